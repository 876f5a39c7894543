/**
 * Asking consumers for messages, by the protocol itself: the client library's own ways of reading either wait a
 * second at least, or prefetch, or lose what arrives when they are stopped. Here whatever arrives reaches somebody.
 * https://docs.nats.io/reference/reference-protocols/nats_api_reference
 */
import { createInbox, type Msg, nanos, type Subscription } from "@nats-io/transport-node";
import type { Connection } from "./connection.ts";
import { parseDelivery } from "./work.ts";

export interface PullRequest {
  stream: string;
  consumer: string;
  /** Most messages. */
  batch: number;
  maxBytes?: number;
  /** How long to wait for the first one; 0: only what is there. */
  waitMs: number;
  /** Ends with what is there once there is something; otherwise when the batch is full or the time is over. */
  onlyReady: boolean;
}

export type PullEnd =
  /** The batch is full, or there is no more. */
  | "done"
  /** There is no such consumer, or nobody who answers for it at the moment. */
  | "gone"
  /** The broker should have said something by now. */
  | "lost";

interface Pull {
  /** What the broker calls it. */
  inbox: string;
  consumer: string;
  /** On the monotonic clock. */
  askedAtMs: number;
  left: number;
  timer: NodeJS.Timeout;
  onMessage: (message: Msg) => void;
  onEnd: (end: PullEnd) => void;
}

/**
 * A subscription, used by one pull after the other. Messages come under the subjects they are stored with, so only
 * their subscription and their consumer say which pull they are for.
 */
interface Slot {
  inbox: string;
  subscription: Subscription;
  pull: Pull | undefined;
}

const answerMs = 2_000;
const heartbeatMs = 1_500;
const status = { heartbeat: 100, notFound: 404, timeout: 408, conflict: 409 } as const;

export class Pulls {
  readonly #connection: Connection;
  readonly #onStray: (message: Msg) => void;
  readonly #slots = new Set<Slot>();
  readonly #free: Slot[] = [];
  #made = 0;

  /** `onStray` gets messages that arrive when their pull is over. */
  constructor(connection: Connection, onStray: (message: Msg) => void) {
    this.#connection = connection;
    this.#onStray = onStray;
    // The broker forgets what was asked over a connection that was lost.
    connection.onReconnect(() => {
      for (const slot of this.#slots) this.#end(slot, "lost");
    });
    connection.onLeader((consumer, beforeMs) => {
      for (const slot of this.#slots)
        if (slot.pull?.consumer === consumer && slot.pull.askedAtMs < beforeMs) this.#end(slot, "lost");
    });
  }

  /** `onMessage` is called for each message and `onEnd` once, both as they arrive. */
  pull(request: PullRequest, onMessage: (message: Msg) => void, onEnd: (end: PullEnd) => void): void {
    const { stream, consumer, batch, maxBytes, waitMs, onlyReady } = request;
    let slot: Slot | undefined;
    try {
      slot = this.#free.pop() ?? this.#subscribe();
      const used = slot;
      const inbox = `${slot.inbox}.${++this.#made}`;
      const beats = waitMs > 2 * heartbeatMs;
      // Until the first beat; each one sets it anew.
      const timer = setTimeout(() => this.#end(used, "lost"), (beats ? 2 * heartbeatMs : waitMs) + answerMs);
      slot.pull = { inbox, consumer, askedAtMs: performance.now(), left: batch, timer, onMessage, onEnd };
      this.#connection.nats.publish(
        `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`,
        JSON.stringify({
          batch,
          ...(maxBytes === undefined ? {} : { max_bytes: maxBytes }),
          ...(waitMs > 0 ? { expires: nanos(waitMs) } : {}),
          ...(beats ? { idle_heartbeat: nanos(heartbeatMs) } : {}),
          ...(onlyReady ? { no_wait: true } : {}),
        }),
        { reply: inbox },
      );
    } catch {
      // The connection is closed.
      queueMicrotask(() => (slot?.pull ? this.#end(slot, "lost") : onEnd("lost")));
    }
  }

  /** What is open ends as lost. */
  close(): void {
    for (const slot of this.#slots) {
      this.#end(slot, "lost");
      try {
        slot.subscription.unsubscribe();
      } catch {
        // The connection is closed already.
      }
    }
  }

  #subscribe(): Slot {
    const inbox = createInbox(this.#connection.inboxPrefix);
    const subscription = this.#connection.nats.subscribe(`${inbox}.*`, {
      callback: (error, message) => {
        if (!error) this.#arrived(slot, message);
      },
    });
    const slot: Slot = { inbox, subscription, pull: undefined };
    this.#slots.add(slot);
    return slot;
  }

  #arrived(slot: Slot, message: Msg): void {
    const { pull } = slot;
    if (message.reply?.startsWith("$JS.ACK.")) {
      if (pull?.consumer !== parseDelivery(message.reply).consumer) return this.#onStray(message);
      pull.timer.refresh();
      pull.left--;
      pull.onMessage(message);
      if (pull.left === 0) this.#end(slot, "done");
      return;
    }
    // No reply to act on, and of a pull that is over.
    if (message.subject !== pull?.inbox) return;
    const code = message.headers?.code;
    if (code === status.heartbeat) pull.timer.refresh();
    else this.#end(slot, isDone(code, message.headers?.description) ? "done" : "gone");
  }

  #end(slot: Slot, end: PullEnd): void {
    const { pull } = slot;
    if (!pull) return;
    slot.pull = undefined;
    this.#free.push(slot);
    clearTimeout(pull.timer);
    pull.onEnd(end);
  }
}

function isDone(code: number | undefined, description = ""): boolean {
  if (code === status.notFound || code === status.timeout) return true;
  // The one status whose meanings only its text tells apart.
  return code === status.conflict && /max ?bytes|batch completed/i.test(description);
}
