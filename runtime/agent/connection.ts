import {
  agentMethods,
  protocolVersion,
  type AgentMethods,
  type RunRecord,
  workMethods,
  type WorkMethods,
} from "../protocol/messages.ts";
import { hasEnded } from "../protocol/runState.ts";
import { onNode } from "../protocol/logPosition.ts";
import { type Handlers, Peer } from "../protocol/rpc.ts";
import type { Incoming } from "../protocol/served.ts";
import { envSpecOf } from "../spec/env.ts";
import { FarcallError } from "../spec/errors.ts";
import type { RunId } from "../spec/names.ts";
import type { Transport } from "../transport/transport.ts";
import { followChanges } from "./changeFeed.ts";
import type { EnvRegistry } from "./envRegistry.ts";
import type { FileStore } from "./files.ts";
import { LogFollower } from "./logFollower.ts";
import type { RunLogs } from "./logs.ts";
import { listAll, whoKnows } from "./fleet/allRuns.ts";
import { type CallCopies, keptCalls } from "./fleet/callCopies.ts";
import type { SharedCode } from "./fleet/code.ts";
import type { Fleet } from "./fleet/fleet.ts";
import { followOthers } from "./fleet/nodeChanges.ts";
import { followNodeLogs, type LogItem } from "./fleet/nodeLogs.ts";
import { wholeTimeline } from "./fleet/wholeTimeline.ts";
import type { Router } from "./fleet/router.ts";
import { LiveCall, type StoredResult } from "./liveCall.ts";
import { type Maps, runUnknown } from "./maps.ts";
import { pickOutcomes } from "./pick.ts";
import type { Slot } from "./pool.ts";
import type { Pools } from "./pools.ts";
import { answerRequest, answerResult, controlRun } from "./runAnswers.ts";
import type { RunStore } from "./runs.ts";
import { emptyTimeline } from "./timeline.ts";
import type { Timelines } from "./timelines.ts";
import type { Agent } from "./main.ts";
import { sameSecret } from "./sameSecret.ts";

/** One client: what it asks for, once it has shown the token. */

export interface ConnectionOptions {
  agent: Agent;
  /** Number of this node. */
  node: number;
  /** It is another node of the cluster, which the broker has let in. */
  isNode: boolean;
  token: string;
  version: string;
  build: string;
  files: FileStore;
  pools: Pools;
  maps: Maps;
  runs: RunStore;
  logs: RunLogs;
  envs: EnvRegistry;
  timelines: Timelines;
  /** On a node that is not alone. */
  fleet?: Fleet;
  code?: SharedCode;
  router?: Router;
  copies?: CallCopies;
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
/** What another node may answer that knows the run. */
const aboutRun = new Set<string>([
  "run.get",
  "run.control",
  "run.request",
  "run.timeline",
  "run.result",
  "run.watch",
  "run.logs",
] satisfies (keyof AgentMethods)[]);
type Handle = (params: object, incoming: Incoming<never>) => unknown;
/** How long another node may take to answer what is only asked to be shown. */
const elsewhereTimeoutMs = 5_000;
const helloWithinMs = 10_000;
const watchEveryMs = 100;
const maxListed = 1_000;

export class Connection {
  /** As it calls itself, once it has shown the token. */
  client: string | undefined;
  readonly #options: ConnectionOptions;
  readonly #peer: Peer<WorkMethods, AgentMethods>;
  readonly #helloTimer: NodeJS.Timeout;
  #follower: LogFollower | undefined;
  #greeted: boolean;
  #uses = 0;
  #usedAtMs = Number.NEGATIVE_INFINITY;

  constructor(transport: Transport, options: ConnectionOptions) {
    this.#options = options;
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
    return this.#greeted && !this.#options.isNode;
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
        const handle = this.#orElsewhere(name, handler as Handle);
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
    const { agent, files, pools, maps, runs, logs, envs, timelines, version, build, node, isNode } = this.#options;
    const { fleet, code, router, copies } = this.#options;
    const { changes } = agent;
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

      "files.missing": async ({ hashes }) => ({ result: { missing: await files.missing(hashes) } }),
      "file.put": async ({ hash }, { body }) => {
        await files.put(hash, body);
        return { result: {} };
      },
      "file.get": async ({ hash }) => ({ result: {}, body: await files.get(hash) }),

      "bundle.get": ({ hash }) => {
        const bundle = runs.bundle(hash);
        if (!bundle) throw new FarcallError("run.unknown", `The agent does not know the bundle ${hash}.`);
        return { result: { bundle } };
      },

      "module.load": async ({ module }, incoming) => {
        if (!isNode) await pools.findRoom(module.env, incoming.signal);
        runs.saveBundle(module.bundle);
        envs.used(module.env);
        await code?.fetch(module.bundle);
        const ready = await pools.load(module, {
          signal: incoming.signal,
          onOutput: (line) => void incoming.send({ line }),
        });
        envs.keepModule(ready.key, envSpecOf(module.env));
        const elsewhere = isNode ? undefined : await router?.exports(ready, incoming.signal);
        return { result: { module: ready.key, exports: elsewhere ?? (await pools.exports(ready)), env: ready.env } };
      },

      call: (params, incoming) => {
        const ready = pools.get(params.module);
        if (!ready)
          throw new FarcallError("module.unknown", "The agent does not know this module.", { retryable: true });
        const { run } = params;
        if (runs.liveCalls.has(run)) throw new FarcallError("run.mismatch", `The run ${run} is another call.`);
        this.#begin(run);
        const call = new LiveCall(params, ready.pool.module, incoming);
        runs.begin(call);
        changes.touch(run, true);
        const end = (result?: StoredResult) => {
          runs.end(call, result);
          if (!isNode && !call.keptElsewhere) copies?.add(call, result);
          changes.announce(run, true);
          return this.#follower?.flush(run);
        };
        const logFile = (slot: Slot) => logs.file(run, slot.replica.id);
        const answered =
          router && !params.here
            ? router.run(call, ready, logFile, (number) => this.#follower?.followNode(run, number))
            : ready.calls.run(call, logFile);
        return answered.then(
          (answer) => {
            const { ok } = answer.result;
            call.end(ok);
            const flushed = end(call.result(ok, answer.body));
            return flushed ? flushed.then(() => answer) : answer;
          },
          async (error: unknown) => {
            call.end(undefined, error);
            await end();
            throw error;
          },
        );
      },

      "map.create": async (params) => {
        this.#begin(params.run);
        const record = await maps.create(params, this);
        this.#follower?.beginEverywhere(params.run);
        return { result: { record } };
      },
      "map.take": async ({ run }) => {
        const result = await maps.take(run, this);
        if (result.taken) this.#follower?.beginEverywhere(run);
        return { result };
      },
      "map.leave": async ({ run }) => {
        maps.leave(run, this);
        return { result: {} };
      },
      "map.add": async (params, { body }) => {
        await maps.add(params, body, this);
        return { result: {} };
      },
      "map.close": async (params) => {
        await maps.closeInput(params);
        return { result: {} };
      },
      "map.pick": (params, { signal }) => pickOutcomes(maps.queue, params, signal),
      "map.outcomes": async (params, incoming) => {
        const result = await maps.outcomes(params, incoming);
        if (hasEnded(result.record.state)) await this.#follower?.flush(params.run);
        return { result };
      },

      "map.spec": async ({ run }) => {
        const spec = await maps.spec(run);
        if (!spec) throw runUnknown(run);
        return { result: { spec } };
      },
      ...maps.lender.handlers,
      "work.leave": async ({ run, cluster }) => {
        await maps.lender.takeBack(run, cluster);
        return { result: {} };
      },
      "work.join": async (params, { signal }) => {
        const { run } = params;
        if (await maps.spec(run)) throw new FarcallError("run.mismatch", `The run ${run} belongs to this cluster.`);
        this.#begin(run);
        this.#follower?.beginEverywhere(run);
        try {
          await maps.guests.join(params, (...asked) => this.#peer.request(...asked), signal);
        } finally {
          await this.#follower?.flush(run);
        }
        return { result: {} };
      },

      "run.list": async ({ limit, before }) => {
        const most = Math.min(limit, maxListed);
        const mine = await Promise.all(runs.list(most, before).map((record) => current(record, maps)));
        return { result: { runs: fleet && !isNode ? await listAll(fleet, mine, { limit: most, before }) : mine } };
      },
      "run.get": async ({ run }) => {
        // Another node asks for what this one knows: the queue it has itself.
        if (isNode && !this.#knows(run)) throw runUnknown(run);
        return { result: { record: await maps.record(run) } };
      },
      "run.control": async (params) => ({ result: { record: await controlRun(params, this.#options) } }),
      "run.result": ({ run }) => answerResult(run, this.#options),
      "run.keep": (params, { body }) => {
        if (!isNode) throw new FarcallError("protocol.invalid", "Only a node has calls to be kept.");
        for (const { call, request, result } of keptCalls(params, body)) {
          envs.keepModule(call.module, call.env);
          runs.keep(call.record, result, request);
          changes.touch(call.record.id, true);
        }
        return { result: {} };
      },
      "run.request": ({ run }) => answerRequest(run, this.#options),
      "run.timeline": async ({ run, here }) => {
        const record = await maps.record(run);
        const none = emptyTimeline(record.createdAtMs);
        const mine = timelines.get(run) ?? none;
        if (here || !fleet || record.kind === "call") return { result: { timeline: mine } };
        const ask = { run, here: true };
        const others = await fleet.others((peer) =>
          peer.request("run.timeline", ask, { timeoutMs: elsewhereTimeoutMs }).then(
            ({ value }) => value.timeline,
            () => none,
          ),
        );
        return { result: { timeline: wholeTimeline(mine, others) } };
      },
      "run.watch": async ({ run }, incoming) => {
        await maps.watch(run, watchEveryMs, incoming);
        return { result: {} };
      },
      "run.logs": async ({ run, follow, here, tail, tailBytes, after }, incoming) => {
        await maps.record(run);
        const isLive = () => follow && (maps.isLive(run) || runs.get(run)?.state === "running");
        const { signal } = incoming;
        const limit = tail === undefined ? undefined : { lines: tail, bytes: tailBytes };
        const take = (item: LogItem) => incoming.send(item);
        const asked = { follow, tail, tailBytes, after, signal, take };
        const elsewhere = here || !fleet ? undefined : followNodeLogs(fleet, run, asked);
        const mine = { tail: limit, after: after && onNode(after, node) };
        for await (const { files, ...item } of logs.read(run, isLive, signal, mine)) {
          await take({ ...item, place: { node, files } });
        }
        await elsewhere;
        return { result: {} };
      },
      "changes.follow": async (_params, incoming) => {
        const source = { record: (run: RunId) => maps.record(run), replicaCount: () => agent.replicaCount() };
        if (fleet && !isNode) {
          // Maps are followed by every node; of calls that others were asked for only those know.
          void followOthers(fleet, incoming.signal, ({ runs: changed }) => {
            const news = changed.filter(({ id, kind }) => kind === "call" && !this.#knows(id));
            if (news.length > 0) return incoming.send({ runs: news, replicas: agent.replicaCount() });
          });
        }
        await followChanges(changes, source, incoming);
        return { result: {} };
      },
      "env.list": async () => ({ result: { envs: await envs.list() } }),
      "env.rebuild": async ({ name, here }, incoming) => {
        const onOutput = (line: string) => void incoming.send({ line });
        const { signal } = incoming;
        if (!here) {
          const ask = { name, here: true };
          await fleet?.others((peer) => peer.request("env.rebuild", ask, { signal }).catch(unlessEnvUnknown));
        }
        await envs.rebuild(name, { signal, onOutput });
        return { result: {} };
      },
      "env.remove": async ({ name, here }, { signal }) => {
        if (!here) {
          const ask = { name, here: true };
          await fleet?.others((peer) => peer.request("env.remove", ask, { signal }).catch(unlessEnvUnknown));
        }
        await envs.remove(name);
        return { result: {} };
      },
      "logs.follow": async ({ runs: before = [] }, incoming) => {
        const follower = new LogFollower({ logs, incoming, node, ...(fleet ? { fleet } : {}) });
        for (const { run, after } of before) follower.resume(run, after);
        this.#follower = follower;
        try {
          await follower.run();
        } finally {
          if (this.#follower === follower) this.#follower = undefined;
        }
        return { result: {} };
      },
    };
  }

  /** What is asked about a run that this node does not know, another one may answer. */
  #orElsewhere(name: string, handle: Handle): Handle {
    const { fleet, isNode } = this.#options;
    if (!fleet || isNode || !aboutRun.has(name)) return handle;
    return async (params, incoming) => {
      const { run } = params as { run: RunId };
      const peer = this.#knows(run) ? undefined : await whoKnows(fleet, run);
      if (!peer) return handle(params, incoming);
      const { signal } = incoming;
      const send = (item: unknown, body: Uint8Array) => incoming.send(item as never, body);
      const { value, body } = await peer.request(name as "run.get", { ...params, run }, { signal }, send);
      return { result: value, body };
    };
  }

  /** Whether this node can tell by itself, without asking the queue, which may have to look for a leader. */
  #knows(run: RunId): boolean {
    const { runs, maps } = this.#options;
    return maps.isLive(run) || runs.get(run) !== undefined;
  }

  #begin(run: RunId): void {
    if (!/^[a-z0-9-]+$/.test(run)) throw new FarcallError("protocol.invalid", "A run has an impossible id.");
    this.#follower?.begin(run);
  }
}

/** A map's record changes while it runs; a call's is stored as it is. */
async function current(record: RunRecord, maps: Maps): Promise<RunRecord> {
  return record.kind === "map" && !hasEnded(record.state) ? maps.record(record.id) : record;
}

/** A node that has not used an env has nothing to do for it. */
function unlessEnvUnknown(error: unknown): void {
  if (!(error instanceof FarcallError && error.code === "env.unknown")) throw error;
}
