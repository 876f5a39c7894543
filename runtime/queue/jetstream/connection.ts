/**
 * One connection to the broker: for ever, with a pause that varies, after every loss. Everything asked for is
 * idempotent, so `persist` asks again when nothing is known of a request.
 */
import { jetstream, type JetStreamClient, jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection, nkeyAuthenticator } from "@nats-io/transport-node";
import { FarcallError, messageOf } from "../../spec/errors.ts";
import { waitWithin } from "../../spec/waitWithin.ts";
import { asQueueError, closedError, failureOf } from "./failures.ts";

export interface BrokerAddress {
  /** `tls://host:port` of every seat, or `nats://host:port` where no TLS is spoken. */
  servers: readonly string[];
  /** The first that answers is taken. Otherwise any, so that nodes spread over the seats. */
  inOrder?: boolean | undefined;
  /** The cluster's own authority, and this node's certificate and key, as PEM. */
  tls?: {
    ca: string;
    cert: string;
    key: string;
    /** The name that the certificates of all seats are for, whatever their addresses. */
    servername?: string;
  };
  /** Who this is to the broker. */
  nkeySeed?: string;
  /** Where answers arrive; a user may be confined to one of its own. Default `_INBOX`. */
  inboxPrefix?: string;
}

/** Below, replicated work queues lose or forget messages. */
const oldestVersion = [2, 14, 5] as const;
const connectTimeoutMs = 5_000;
const requestTimeoutMs = 5_000;
/** A dead link is noticed after three of these. */
const pingEveryMs = 2_000;
const reconnectMs = 250;
const flushMs = 500;
const firstRetryMs = 100;
const longestRetryMs = 1_000;
/** A request that is this old when a group has a new leader was most likely lost with the old one. */
const lostAfterMs = 300;
/** What a group of servers says when it has a leader again: of which stream, and of which consumer of it. */
const leaderElected = "$JS.EVENT.ADVISORY.*.LEADER_ELECTED.>";
const hearAgainMs = 10_000;
/** How long a request is repeated before its caller is told that nothing answers. */
const patienceMs = 60_000;

export class Connection {
  readonly nats: NatsConnection;
  readonly publisher: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly inboxPrefix: string | undefined;
  readonly #closing = new AbortController();
  readonly #onReconnect = new Set<() => void>();
  readonly #onLeader = new Set<(consumer: string, beforeMs: number) => void>();
  /** Give up requests whose answers can no longer come; each with when it was asked, on the monotonic clock. */
  readonly #asked = new Map<(error: Error) => void, number>();

  /** Throws `agent.auth`, `agent.version`, or `connection.lost` (retryable). */
  static async open(address: BrokerAddress): Promise<Connection> {
    const nats = await connectToBroker(address);
    const { version } = nats.info!;
    if (isOlder(version)) {
      await nats.close();
      throw new FarcallError(
        "agent.version",
        `The broker at ${address.servers.join(", ")} is nats-server ${version}; ${oldestVersion.join(".")} or newer is needed.`,
        { hint: "Older ones can lose work. Let Farcall bring its own, or name a newer one in FARCALL_NATS_SERVER." },
      );
    }
    const options = { timeout: requestTimeoutMs };
    const manager = await jetstreamManager(nats, { ...options, checkAPI: false });
    return new Connection(nats, jetstream(nats, options), manager, address.inboxPrefix);
  }

  private constructor(
    nats: NatsConnection,
    publisher: JetStreamClient,
    manager: JetStreamManager,
    inboxPrefix: string | undefined,
  ) {
    this.inboxPrefix = inboxPrefix;
    this.nats = nats;
    this.publisher = publisher;
    this.manager = manager;
    this.#hearLeaders();
    void this.#watch();
  }

  /** Aborts when the connection is closed. */
  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  /** Names the run of the server that this is connected to now. */
  get serverId(): string {
    return this.nats.info?.server_id ?? "";
  }

  onReconnect(callback: () => void): void {
    this.#onReconnect.add(callback);
  }

  /**
   * Calls back with the name of a consumer that has a new leader, which knows nothing of what was asked of the old one:
   * of what was asked before the given time, on the monotonic clock. A consumer that was just made says it as well.
   */
  onLeader(callback: (consumer: string, beforeMs: number) => void): void {
    this.#onLeader.add(callback);
  }

  /** Asks until there is an answer. Throws the broker's own error, or one of Farcall's when nobody answered. */
  async persist<T>(ask: () => Promise<T>): Promise<T> {
    const beganAtMs = performance.now();
    for (let pauseMs = firstRetryMs; ; pauseMs = Math.min(2 * pauseMs, longestRetryMs)) {
      if (this.signal.aborted) throw closedError();
      try {
        return await this.#ask(ask);
      } catch (error) {
        if (this.signal.aborted) throw closedError(error);
        if (failureOf(error) !== "unknown") throw error;
        if (performance.now() - beganAtMs > patienceMs) throw asQueueError(error);
      }
      await this.pause(pauseMs);
    }
  }

  /** Waits for half to the whole of `ms`, or until the connection is closed. */
  async pause(ms: number): Promise<void> {
    if (this.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const over = (): void => {
        clearTimeout(timer);
        this.signal.removeEventListener("abort", over);
        resolve();
      };
      const timer = setTimeout(over, ms * (0.5 + Math.random() / 2));
      this.signal.addEventListener("abort", over, { once: true });
    });
  }

  /** From here on nothing is asked any more; what is on its way may still arrive. */
  stop(): void {
    this.#closing.abort();
  }

  async close(): Promise<void> {
    this.stop();
    // What was published last, such as acknowledgements, is to leave; a server that is gone is not waited for.
    const flushed = this.nats.flush().catch(() => undefined);
    await waitWithin(flushMs, flushed);
    await this.nats.close().catch(() => undefined);
  }

  /**
   * The client library waits for answers over a connection that was lost, or of a leader that died; this asks again as
   * soon as there is another.
   */
  #ask<T>(ask: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#asked.set(reject, performance.now());
      const over = (): void => void this.#asked.delete(reject);
      ask().then(resolve, reject).then(over, over);
    });
  }

  /**
   * Seats that an earlier build configured do not let everybody hear it. Until they are of this one, which this node may
   * be before them, requests wait for their time.
   */
  #hearLeaders(): void {
    this.nats.subscribe(leaderElected, {
      callback: (error, message) => {
        if (error) void this.#hearLeadersLater();
        else this.#leaderElected(message.subject);
      },
    });
  }

  async #hearLeadersLater(): Promise<void> {
    await this.pause(hearAgainMs);
    if (!this.signal.aborted) this.#hearLeaders();
  }

  #leaderElected(subject: string): void {
    const beforeMs = performance.now() - lostAfterMs;
    for (const [giveUp, askedAtMs] of this.#asked) if (askedAtMs < beforeMs) giveUp(new Error("its leader died"));
    const [kind, , , consumer] = subject.split(".").slice(3);
    if (kind === "CONSUMER" && consumer !== undefined)
      for (const callback of this.#onLeader) callback(consumer, beforeMs);
  }

  async #watch(): Promise<void> {
    try {
      for await (const { type } of this.nats.status()) {
        if (type !== "reconnect") continue;
        for (const giveUp of this.#asked.keys()) giveUp(new Error("the connection was lost"));
        for (const callback of this.#onReconnect) callback();
      }
    } catch {
      // The connection is over; whoever uses it is told by its own request.
    }
  }
}

export async function connectToBroker({
  servers,
  inOrder,
  tls,
  nkeySeed,
  inboxPrefix,
}: BrokerAddress): Promise<NatsConnection> {
  try {
    return await connect({
      servers: [...servers],
      ...(inOrder ? { noRandomize: true } : {}),
      name: "farcall",
      ...(tls ? { tls } : {}),
      ...(nkeySeed === undefined ? {} : { authenticator: nkeyAuthenticator(new TextEncoder().encode(nkeySeed)) }),
      ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
      timeout: connectTimeoutMs,
      maxReconnectAttempts: -1,
      reconnectTimeWait: reconnectMs,
      reconnectJitter: reconnectMs,
      reconnectJitterTLS: reconnectMs,
      pingInterval: pingEveryMs,
      maxPingOut: 2,
      // A node reaches the seats by the addresses it was given, which need not be those they know of each other.
      ignoreClusterUpdates: true,
      // Users are added by reloading the broker, which may lag; and a stack for each request would cost half of it.
      ignoreAuthErrorAbort: true,
      noAsyncTraces: true,
    });
  } catch (error) {
    if (failureOf(error) === "denied") throw asQueueError(error);
    throw new FarcallError(
      "connection.lost",
      `Cannot connect to the broker at ${servers.join(", ")}: ${messageOf(error)}.`,
      {
        cause: error,
        retryable: true,
        hint: "Check that it is up, that this machine may reach its port, and that the certificates are the cluster's.",
      },
    );
  }
}

function isOlder(version: string): boolean {
  const parts = version.split(/[.-]/).map(Number);
  for (const [i, least] of oldestVersion.entries()) {
    const part = parts[i] ?? 0;
    if (part !== least) return !(part > least);
  }
  return false;
}
