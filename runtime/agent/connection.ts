import { agentMethods, type AgentMethods } from "../protocol/messages/agent.ts";
import { protocolVersion } from "../protocol/messages/session.ts";
import { workMethods, type WorkMethods } from "../protocol/messages/work.ts";
import type { AskWork } from "../protocol/passOn.ts";
import { type Handlers, Peer } from "../protocol/rpc.ts";
import { FarcallError } from "../spec/errors.ts";
import type { Transport } from "../transport/transport.ts";
import type { LogFollower } from "./logFollower.ts";
import { sameSecret } from "./sameSecret.ts";
import { serveCalls } from "./serving/calls.ts";
import { serveCode } from "./serving/code.ts";
import { type Handle, orElsewhere } from "./serving/elsewhere.ts";
import { serveEnvs } from "./serving/envs.ts";
import { serveLogs } from "./serving/logs.ts";
import { serveMaps } from "./serving/maps.ts";
import { serveRuns } from "./serving/runs.ts";
import type { Caller, NodeParts, Serving } from "./serving/serving.ts";
import { serveWork } from "./serving/work.ts";

/** One client: what it asks for, once it has shown the token. */

export interface ConnectionOptions extends NodeParts {
  /** It is another node of the cluster, which the broker has let in. */
  isNode: boolean;
  token: string;
  version: string;
  build: string;
  /** A client has shown the token. */
  onGreeted(connection: Connection): void;
  onClose(connection: Connection): void;
}

/**
 * What those ask who only look: an editor that shows the cluster must not keep it from ending when it is idle, nor a
 * program that is connected and does nothing.
 */
const looks = new Set<string>([
  "hello",
  "retire",
  "status",
  "env.list",
  "run.list",
  "run.get",
  "changes.follow",
  "logs.follow",
  "node.metrics",
] satisfies (keyof AgentMethods)[]);
const helloWithinMs = 10_000;

export class Connection implements Caller {
  /** As it calls itself, once it has shown the token. */
  client: string | undefined;
  follower: LogFollower | undefined;
  readonly isNode: boolean;
  readonly request: AskWork = (...asked) => this.#peer.request(...asked);
  readonly #options: ConnectionOptions;
  readonly #serving: Serving;
  readonly #peer: Peer<WorkMethods, AgentMethods>;
  readonly #helloTimer: NodeJS.Timeout;
  #greeted: boolean;
  #uses = 0;
  #usedAtMs = Number.NEGATIVE_INFINITY;

  constructor(transport: Transport, options: ConnectionOptions) {
    this.#options = options;
    this.#serving = { ...options, caller: this };
    this.isNode = options.isNode;
    this.#greeted = options.isNode;
    this.#peer = new Peer(transport, workMethods, {
      methods: agentMethods,
      handlers: this.#guarded(this.#handlers()),
      keepAlive: true,
      onClose: () => {
        clearTimeout(this.#helloTimer);
        options.maps.feederGone(this);
        options.onClose(this);
      },
    });
    this.#helloTimer = setTimeout(() => this.#greeted || this.#peer.destroy(), helloWithinMs);
    this.#helloTimer.unref();
  }

  get isClient(): boolean {
    return this.#greeted && !this.isNode;
  }

  /** Whether more than a look was asked in that time. */
  wasUsedWithin(ms: number): boolean {
    return this.#uses > 0 || Date.now() - this.#usedAtMs < ms;
  }

  close(): void {
    this.#peer.close();
  }

  /** For one whose other end is known to be gone. */
  destroy(): void {
    this.#peer.destroy();
  }

  #use(): () => void {
    this.#uses++;
    const end = this.#options.agent.use();
    return () => {
      this.#uses--;
      this.#usedAtMs = Date.now();
      end();
    };
  }

  /** Nothing but `hello` is answered before a `hello` with the right token. */
  #guarded(handlers: Handlers<AgentMethods>): Handlers<AgentMethods> {
    const guarded: Record<string, unknown> = {};
    for (const [name, handler] of Object.entries(handlers)) {
      guarded[name] = (params: never, incoming: never) => {
        if (!this.#greeted && name !== "hello")
          throw new FarcallError("agent.auth", "The connection has not been greeted.");
        const handle = orElsewhere(this.#serving, name, handler as Handle);
        if (looks.has(name)) return handle(params, incoming);
        const end = this.#use();
        try {
          const answer = handle(params, incoming);
          if (answer instanceof Promise) answer.then(end, end);
          else end();
          return answer;
        } catch (error) {
          end();
          throw error;
        }
      };
    }
    return guarded as Handlers<AgentMethods>;
  }

  #handlers(): Handlers<AgentMethods> {
    const { agent, fleet, version, build } = this.#options;
    const serving = this.#serving;
    return {
      hello: ({ token, client }) => {
        if (!sameSecret(token, this.#options.token)) {
          setImmediate(() => this.#peer.close());
          throw new FarcallError("agent.auth", "The token is wrong.", { retryable: true });
        }
        this.#greeted = true;
        this.#usedAtMs = Date.now();
        clearTimeout(this.#helloTimer);
        this.client = client;
        this.#options.onGreeted(this);
        return { result: { protocol: protocolVersion, version, build, pid: process.pid } };
      },
      retire: async () => ({ result: await agent.retire(this) }),
      status: async () => ({ result: await agent.status() }),
      "node.metrics": async ({ node }, { signal }) => {
        if (node === undefined || !fleet || node === fleet.number) return { result: { metrics: agent.metrics() } };
        const { value } = await (await fleet.peer(node, signal)).request("node.metrics", { node }, { signal });
        return { result: value };
      },
      stop: async ({ force, here = false }) => ({ result: await agent.requestStop(force, here) }),

      ...serveCode(serving),
      ...serveCalls(serving),
      ...serveMaps(serving),
      ...serveWork(serving),
      ...serveRuns(serving),
      ...serveLogs(serving),
      ...serveEnvs(serving),
    };
  }
}
