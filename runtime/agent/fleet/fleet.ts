import type { NatsConnection } from "@nats-io/transport-node";
import { agentMethods, type AgentMethods } from "../../protocol/messages/agent.ts";
import type { NodeStatus } from "../../protocol/messages/nodes.ts";
import { workMethods, type WorkMethods } from "../../protocol/messages/work.ts";
import { type Handlers, Peer } from "../../protocol/rpc.ts";
import { FarcallError } from "../../spec/errors.ts";
import { dialOverBroker, listenOnBroker } from "../../transport/broker.ts";
import type { Transport } from "../../transport/transport.ts";

/**
 * The other nodes of this node's cluster: what they say of themselves every few seconds, and a connection to each, over
 * the broker, made when first needed. What a node says may be some seconds old, and nothing rests on it but where work
 * goes and what is shown.
 */
export type AgentPeer = Peer<AgentMethods, WorkMethods>;

export interface FleetOptions {
  nats: NatsConnection;
  /** Number of this node. */
  number: number;
  /** What this node says of itself. */
  look: () => Promise<NodeStatus>;
  /** Another node has connected to this one. */
  accept: (transport: Transport) => void;
  /** Answers other nodes that this one had join a map of another cluster. */
  work: Handlers<WorkMethods>;
}

const sayEveryMs = 2_000;
/** A node that has not been heard of for so long is taken to be away. */
const awayAfterMs = 10_000;
const dialTimeoutMs = 5_000;
/** What it means that a node did not answer, as opposed to what it answered. */
const unanswered = new Set<string>(["node.unreachable", "connection.lost", "timeout"]);

export class Fleet implements AsyncDisposable {
  readonly #options: FleetOptions;
  readonly #heard = new Map<number, { status: NodeStatus; atMs: number }>();
  readonly #peers = new Map<number, Promise<AgentPeer>>();
  readonly #listeners = new Set<() => void>();
  readonly #cleanup = new DisposableStack();
  #shape = "";

  constructor(options: FleetOptions) {
    this.#options = options;
    const { nats, number, accept } = options;
    const subscription = nats.subscribe("h.*", {
      callback: (error, message) => {
        if (!error) this.#hear(message.subject, message.data);
      },
    });
    this.#cleanup.defer(() => subscription.unsubscribe());
    this.#cleanup.use(listenOnBroker(nats, nodeWord(number), accept));
    const timer = setInterval(() => void this.say(), sayEveryMs);
    timer.unref();
    this.#cleanup.defer(() => clearInterval(timer));
  }

  /** Number of this node. */
  get number(): number {
    return this.#options.number;
  }

  /** Says how this node is, to all others and to itself. */
  async say(): Promise<void> {
    const status = await this.#options.look();
    this.#note(status);
    const { nats, number } = this.#options;
    if (!nats.isClosed()) nats.publish(`h.${nodeWord(number)}`, JSON.stringify(status));
  }

  /** The nodes that are there, this one included, by number. */
  nodes(): NodeStatus[] {
    const nowMs = performance.now();
    return [...this.#heard.values()]
      .filter(({ status, atMs }) => status.number === this.number || nowMs - atMs < awayAfterMs)
      .map(({ status }) => status)
      .sort((a, b) => a.number - b.number);
  }

  /** The same without this one. */
  elsewhere(): NodeStatus[] {
    return this.nodes().filter(({ number }) => number !== this.number);
  }

  /** The agent on another node. Rejects with `node.unreachable`, or `connection.lost`. */
  async peer(number: number, signal?: AbortSignal): Promise<AgentPeer> {
    const before = await this.#peers.get(number)?.catch(() => undefined);
    if (before?.isOpen) return before;
    const { nats, work } = this.#options;
    const dialling = dialOverBroker(nats, nodeWord(this.number), nodeWord(number), {
      signal,
      timeoutMs: dialTimeoutMs,
    });
    const made = dialling.then(
      (transport): AgentPeer =>
        new Peer(transport, agentMethods, { methods: workMethods, handlers: work, keepAlive: true }),
    );
    this.#peers.set(number, made);
    made.catch(() => undefined);
    return made;
  }

  /**
   * Asks every other node that is there, and leaves out those that do not answer, with `withinMs` not in that time.
   * Rejects with what one refused, once all have answered.
   */
  async others<T>(
    ask: (peer: AgentPeer, signal: AbortSignal | undefined) => Promise<T>,
    withinMs?: number,
  ): Promise<T[]> {
    const signal = withinMs === undefined ? undefined : AbortSignal.timeout(withinMs);
    const asked = this.elsewhere().map(async ({ number }) => ask(await this.peer(number, signal), signal));
    const answers: T[] = [];
    let refusal: { error: unknown } | undefined;
    for (const answer of await Promise.allSettled(asked)) {
      if (answer.status === "fulfilled") answers.push(answer.value);
      else if (!isUnanswered(answer.reason) && answer.reason !== signal?.reason) refusal ??= { error: answer.reason };
    }
    if (refusal) throw refusal.error;
    return answers;
  }

  /** Calls back when nodes have come or gone, or what they have to work with has changed. */
  onShape(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cleanup.dispose();
    const peers = await Promise.allSettled(this.#peers.values());
    for (const peer of peers) if (peer.status === "fulfilled") peer.value.close();
  }

  #hear(subject: string, data: Uint8Array): void {
    try {
      const status = JSON.parse(Buffer.from(data).toString("utf8")) as NodeStatus;
      if (subject === `h.${nodeWord(status.number)}`) this.#note(status);
    } catch {
      // A node of another build, perhaps: it says so when it is connected to.
    }
  }

  #note(status: NodeStatus): void {
    const before = this.nodes().find(({ number }) => number === status.number);
    // Who has just come, or come back, knows nobody yet, and may want something of the others at once.
    if (status.number !== this.number && before?.startedAtMs !== status.startedAtMs)
      setImmediate(() => void this.say());
    this.#heard.set(status.number, { status, atMs: performance.now() });
    const shape = JSON.stringify(
      this.nodes().map(({ number, cpus, memoryMiB, gpus }) => [number, cpus, memoryMiB, gpus]),
    );
    if (shape === this.#shape) return;
    this.#shape = shape;
    for (const listener of this.#listeners) listener();
  }
}

function isUnanswered(error: unknown): boolean {
  return error instanceof FarcallError && unanswered.has(error.code);
}

function nodeWord(number: number): string {
  return `n${number}`;
}
