import type { NatsConnection } from "@nats-io/transport-node";
import { agentMethods, type AgentMethods, type NodeStatus } from "../../protocol/messages.ts";
import { Peer } from "../../protocol/rpc.ts";
import { dialOverBroker, listenOnBroker } from "../../transport/broker.ts";
import type { Transport } from "../../transport/transport.ts";

/**
 * The other nodes of this node's cluster: what they say of themselves every few seconds, and a connection to each, over
 * the broker, made when first needed. What a node says may be some seconds old, and nothing rests on it but where work
 * goes and what is shown.
 */
export type AgentPeer = Peer<AgentMethods>;

export interface FleetOptions {
  nats: NatsConnection;
  /** Number of this node. */
  number: number;
  /** What this node says of itself. */
  look: () => Promise<NodeStatus>;
  /** Another node has connected to this one. */
  accept: (transport: Transport) => void;
}

const sayEveryMs = 2_000;
/** A node that has not been heard of for so long is taken to be away. */
const awayAfterMs = 10_000;
const dialTimeoutMs = 5_000;

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

  /** The agent on another node. Rejects with `node.unreachable`, or `connection.lost`. */
  async peer(number: number, signal?: AbortSignal): Promise<AgentPeer> {
    const before = await this.#peers.get(number)?.catch(() => undefined);
    if (before?.isOpen) return before;
    const { nats } = this.#options;
    const dialling = dialOverBroker(nats, nodeWord(this.number), nodeWord(number), {
      signal,
      timeoutMs: dialTimeoutMs,
    });
    const made = dialling.then(
      (transport): AgentPeer => new Peer(transport, agentMethods, { methods: {}, handlers: {}, keepAlive: true }),
    );
    this.#peers.set(number, made);
    made.catch(() => undefined);
    return made;
  }

  /** Asks every other node that is there, and leaves out those that do not answer. */
  async others<T>(ask: (peer: AgentPeer, number: number) => Promise<T>): Promise<T[]> {
    const numbers = this.nodes().flatMap(({ number }) => (number === this.number ? [] : [number]));
    const answers = await Promise.allSettled(numbers.map(async (number) => ask(await this.peer(number), number)));
    return answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
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
      if (subject !== `h.${nodeWord(status.number)}`) return;
      const isNew = !this.nodes().some(({ number }) => number === status.number);
      this.#note(status);
      // It does not know yet who is there.
      if (isNew && status.number !== this.number) void this.say();
    } catch {
      // A node of another build, perhaps: it says so when it is connected to.
    }
  }

  #note(status: NodeStatus): void {
    this.#heard.set(status.number, { status, atMs: performance.now() });
    const shape = JSON.stringify(
      this.nodes().map(({ number, cpus, memoryMiB, gpus }) => [number, cpus, memoryMiB, gpus]),
    );
    if (shape === this.#shape) return;
    this.#shape = shape;
    for (const listener of this.#listeners) listener();
  }
}

function nodeWord(number: number): string {
  return `n${number}`;
}
