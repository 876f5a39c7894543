/**
 * Follows a stream from its beginning: everything stored, in order, none left out, and then what comes.
 *
 * Behind it stands a consumer that lives as long as it is asked. When it is gone, with its server or for any
 * other reason, another one goes on behind the last message.
 */
import { AckPolicy, DeliverPolicy } from "@nats-io/jetstream";
import { type Msg, type MsgHdrs, nanos } from "@nats-io/transport-node";
import type { Connection } from "./connection.ts";
import { asQueueError, closedError } from "./failures.ts";
import { lastOf } from "./store.ts";
import { newNonce } from "./streams.ts";
import type { PullEnd, Pulls } from "./pulls.ts";
import { parseDelivery } from "./work.ts";

export interface TailOptions {
  stream: string;
  filters: string[];
  /** Only the newest message of each subject, at first. */
  newest?: boolean;
  headersOnly?: boolean;
}

export interface TailMessage {
  subject: string;
  sequence: number;
  header: MsgHdrs | undefined;
  data: Uint8Array;
}

const batch = 500;
const pullMs = 10_000;
const forgetMs = 60_000;
const retryMs = 250;

export class Tail {
  readonly #connection: Connection;
  readonly #pulls: Pulls;
  readonly #options: TailOptions;
  readonly #onMessage: (message: TailMessage) => void;
  readonly #onBroken: () => Promise<void>;
  /** Resolves when everything was read that was there at the beginning. */
  readonly caughtUp: Promise<void>;
  #begun!: () => void;
  /** Sequence of the last message in the stream. */
  #position = 0;
  /** Of the consumer that is asked now: its name, and how many messages it gave. */
  #consumer: string | undefined;
  #given = 0;
  #waiting = new Set<() => void>();
  /** Ends the read that is under way, so that another consumer goes on behind the last message. */
  #giveUp = (): void => undefined;
  #closed = false;

  /**
   * `onBroken` is called whenever the consumer was lost: its stream may be gone, and has to be made, or may have been
   * made anew, in which case nothing behind the last message is what follows it.
   */
  constructor(
    connection: Connection,
    pulls: Pulls,
    options: TailOptions,
    onMessage: (message: TailMessage) => void,
    onBroken: () => Promise<void>,
  ) {
    this.#connection = connection;
    this.#pulls = pulls;
    this.#options = options;
    this.#onMessage = onMessage;
    this.#onBroken = onBroken;
    this.caughtUp = new Promise((resolve) => (this.#begun = resolve));
    void this.#run();
  }

  /** Sequence of the last message that was read. */
  get position(): number {
    return this.#position;
  }

  /** False while nothing new can be heard of. */
  get isOpen(): boolean {
    return this.#consumer !== undefined;
  }

  /** Waits until the message of `sequence` was read. Throws `connection.lost` (retryable) when that takes too long. */
  async reached(sequence: number, withinMs: number): Promise<void> {
    await this.#until(() => this.#position >= sequence, withinMs);
    if (this.#position >= sequence) return;
    // It may have been lost on the way, with none behind it to show that.
    this.#giveUp();
    throw asQueueError(new Error("what is stored in it has not come"));
  }

  /**
   * Waits until everything was read that is stored now; throws as `reached` does. The leader is asked what that is: the
   * replica that the consumer reads may be behind, and believe that there is no more.
   */
  async synced(withinMs: number): Promise<void> {
    const { stream, filters } = this.#options;
    const newest = await Promise.all(filters.map((filter) => lastOf(this.#connection, stream, filter)));
    await this.reached(Math.max(...newest.map((message) => message?.seq ?? 0)), withinMs);
  }

  close(): void {
    this.#closed = true;
    this.#begun();
    this.#tell();
    const consumer = this.#consumer;
    this.#consumer = undefined;
    // It would be forgotten by itself, but later.
    if (consumer !== undefined)
      this.#connection.manager.consumers.delete(this.#options.stream, consumer).catch(() => undefined);
  }

  get #over(): boolean {
    return this.#closed || this.#connection.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#over) {
      try {
        await this.#open();
        while ((await this.#read()) && !this.#over);
      } catch {
        // Nobody waits for this loop; whoever needs its messages asks by himself and is told why there are none.
      }
      this.#consumer = undefined;
      if (this.#over) break;
      await this.#connection.pause(retryMs);
      await this.#onBroken().catch(() => undefined);
    }
    this.#begun();
    this.#tell();
  }

  async #open(): Promise<void> {
    const { stream, filters, newest = false, headersOnly = false } = this.#options;
    const name = `t_${newNonce()}`;
    const info = await this.#connection.persist(() =>
      this.#connection.manager.consumers.add(stream, {
        name,
        filter_subjects: filters,
        ack_policy: AckPolicy.None,
        headers_only: headersOnly,
        mem_storage: true,
        num_replicas: 1,
        inactive_threshold: nanos(forgetMs),
        ...(this.#position > 0
          ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: this.#position + 1 }
          : { deliver_policy: newest ? DeliverPolicy.LastPerSubject : DeliverPolicy.All }),
      }),
    );
    this.#given = 0;
    this.#consumer = info.name;
    if (info.num_pending === 0) this.#begun();
    this.#tell();
  }

  /** False when the consumer has to be made anew. */
  async #read(): Promise<boolean> {
    const { stream } = this.#options;
    const consumer = this.#consumer!;
    let whole = true;
    const take = (message: Msg): void => {
      const { consumerSequence, streamSequence, pending } = parseDelivery(message.reply!);
      if (!whole || this.#closed) return;
      // One before it was lost on the way, with the connection.
      if (consumerSequence !== this.#given + 1) return this.#giveUp();
      this.#given++;
      this.#position = streamSequence;
      this.#onMessage({
        subject: message.subject,
        sequence: streamSequence,
        header: message.headers,
        data: message.data,
      });
      if (pending === 0) this.#begun();
      this.#tell();
    };
    const end = await new Promise<PullEnd>((resolve) => {
      this.#giveUp = () => {
        whole = false;
        resolve("lost");
      };
      this.#pulls.pull({ stream, consumer, batch, waitMs: pullMs, onlyReady: false }, take, resolve);
    });
    return whole && end === "done";
  }

  #tell(): void {
    for (const look of this.#waiting) look();
  }

  async #until(reached: () => boolean, withinMs: number): Promise<void> {
    if (reached() || this.#over) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve();
      };
      const look = (): void => {
        if (reached() || this.#closed) done();
      };
      const timer = setTimeout(done, withinMs);
      this.#waiting.add(look);
    });
    if (this.#connection.signal.aborted) throw closedError();
  }
}
