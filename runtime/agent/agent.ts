import { createHash, randomBytes } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { NatsConnection } from "@nats-io/transport-node";
import { WebSocketServer } from "ws";
import type { AgentStatus, NodeMetrics, NodeStatus } from "../protocol/messages/nodes.ts";
import { passOn } from "../protocol/passOn.ts";
import { FarcallError } from "../spec/errors.ts";
import { FileLock } from "../spec/fileLock.ts";
import { ensurePrivateFolder } from "../spec/home.ts";
import { farcallVersion } from "../spec/version.ts";
import { maxFrameBytes, type Transport } from "../transport/transport.ts";
import { WebSocketTransport } from "../transport/websocket.ts";
import { agentPaths } from "../transport/agentPaths.ts";
import { announceIn, listenIn } from "./address.ts";
import { changedFilesListener } from "./changedFiles.ts";
import { Changes, replicasKey } from "./changes.ts";
import { Connection } from "./connection.ts";
import { type Engine, openEngine } from "./engine.ts";
import { EnvRegistry } from "./envRegistry.ts";
import { EnvStore } from "./envs.ts";
import { logFault } from "./faults.ts";
import { FileStore } from "./files.ts";
import { CallCopies } from "./fleet/callCopies.ts";
import { SharedCode } from "./fleet/code.ts";
import { Fleet } from "./fleet/fleet.ts";
import { Router } from "./fleet/router.ts";
import { Shares } from "./fleet/shares.ts";
import { gpuDevices } from "./gpuDevices.ts";
import { Gpus } from "./gpus.ts";
import { Lifetime } from "./lifetime.ts";
import { RunLogs } from "./logs.ts";
import { Maps } from "./maps.ts";
import { Metrics } from "./metrics.ts";
import { type NodeFacts, nodeFacts, readNodeFile } from "./node.ts";
import { OutcomeCache } from "./outcomeCache.ts";
import { Pools } from "./pools.ts";
import { keepPruned } from "./pruning.ts";
import { markerOf, Reaper, sweepLeftovers } from "./reaper.ts";
import { RunStore } from "./runs.ts";
import { Timelines } from "./timelines.ts";

const tokenBytes = 32;
const stopNodeWithinMs = 5_000;
/** Each node says how it is more often than that. */
const hearWithinMs = 3_000;
/** Replicas are numbered through the whole cluster: those of node 2 from 10,001 on. */
const replicasPerNode = 10_000;
/** A client that used the agent in this time would miss it. */
const recentUseMs = 60_000;
/** Exit status with which whoever restarts agents starts this one at once, as the build that lies there then. */
const startAgain = 75;

/**
 * What an agent is made of, and how it begins, says how it is, and ends. How long it stays is for `Lifetime` to say.
 */
export class Agent {
  readonly changes = new Changes();
  readonly #lifetime: Lifetime;
  readonly #startedAtMs = Date.now();
  readonly #build = createHash("sha256")
    .update(readFileSync(fileURLToPath(import.meta.url)))
    .digest("hex")
    .slice(0, 12);
  readonly #connections = new Set<Connection>();
  readonly #warnings: string[] = [];
  readonly #pools: Pools;
  readonly #maps: Maps;
  readonly #runs: RunStore;
  readonly #server: Server;
  readonly #token: string;
  /** Of this node in its cluster. */
  readonly #number: number;
  /** The other nodes; undefined on a node that is alone. */
  readonly #fleet: Fleet | undefined;
  readonly #shares: Shares;
  /** The whole cluster ends, not only this agent. */
  #isDown = false;
  readonly #facts: NodeFacts;
  readonly #metrics: Metrics;
  readonly #cleanup = new AsyncDisposableStack();
  #stopping: Promise<void> | undefined;

  private constructor(
    folder: string,
    idleMs: number,
    engine: Engine,
    lock: FileLock,
    node: { number: number; facts: NodeFacts; gpus: Gpus },
    warnings: string[],
  ) {
    this.#lifetime = new Lifetime(idleMs, {
      folder,
      build: this.#build,
      engine,
      activeRuns: () => this.#activeRuns(),
      users: () => this.#users(),
      others: () => this.#others(),
      onIdle: () => {
        this.#isDown = true;
        void this.stop();
      },
      onOutdated: () => setImmediate(() => void this.stop(startAgain)),
    });
    this.#number = node.number;
    this.#facts = node.facts;
    const alone = [{ number: node.number, ...node.facts }];
    this.#shares = new Shares(node.number, () => this.#fleet?.nodes() ?? alone, engine.nats ? hearWithinMs : 0);
    this.#metrics = this.#cleanup.use(new Metrics());
    this.#warnings.push(...warnings);
    this.#cleanup.use(lock);
    sweepLeftovers(markerOf(folder));
    // An earlier agent's reaper may still be looking for that one's processes: ours must not look the same.
    const marker = `${markerOf(folder)}-${randomBytes(6).toString("hex")}`;
    const reaper = this.#cleanup.use(new Reaper(marker));
    const { queue } = engine;
    this.#cleanup.defer(() => engine.close(this.#isDown));
    this.#runs = new RunStore(join(folder, "runs.db"), (movedTo) => {
      this.#warnings.push(`The record of runs was damaged. It was kept as ${movedTo}, and a new one begun.`);
    });
    this.#cleanup.defer(() => this.#runs.close());
    const logs = new RunLogs(join(folder, "logs"));
    this.#cleanup.defer(keepPruned(this.#runs, logs));
    const files = new FileStore(join(folder, "files"));
    const envs = new EnvStore(join(folder, "envs"), { marker, onGroup: (pid) => reaper.add(pid) });
    void envs.sweep();
    const replicaFolder = join(folder, "replicas");
    rmSync(replicaFolder, { recursive: true, force: true });
    this.#pools = new Pools({
      folder: replicaFolder,
      workerFile: fileURLToPath(new URL("./worker.js", import.meta.url)),
      firstReplica: (node.number - 1) * replicasPerNode + 1,
      shares: this.#shares,
      gpus: node.gpus,
      compileCache: join(folder, "compile-cache"),
      marker,
      envs,
      files,
      logs,
      onGroup: (pid) => reaper.add(pid),
      onGroupGone: (pid) => reaper.remove(pid),
      onReplicas: () => this.changes.touch(replicasKey),
    });
    this.#cleanup.defer(() => this.#pools.close());
    const cache = this.#cleanup.use(new OutcomeCache(join(folder, "cache.db")));
    const { database } = this.#runs;
    const timelines = new Timelines(database);
    const { changes } = this;
    this.#fleet = engine.nats && this.#join(engine.nats, (transport) => connect(transport, true));
    const code = this.#fleet && new SharedCode(this.#fleet, files);
    const fleet = this.#fleet;
    this.#maps = new Maps({
      queue,
      onEnv: (env) => {
        try {
          registry.used(env);
        } catch (error) {
          // A full disk, most likely. The map needs no note of it.
          logFault(error);
        }
      },
      cache,
      pools: this.#pools,
      runs: this.#runs,
      logs,
      timelines,
      changes,
      node: this.#number,
      ...(fleet && code ? { fleet, code } : {}),
    });
    this.#cleanup.defer(() => this.#maps.close());
    const registry = new EnvRegistry({ database, envs, pools: this.#pools, maps: this.#maps, runs: this.#runs });

    const paths = agentPaths(folder);
    const token = (this.#token = randomBytes(tokenBytes).toString("hex"));
    writeFileSync(paths.token, token, { mode: 0o600 });
    // An import of it has Node 24 load all of fetch, which takes 30 ms.
    const { createServer } = process.getBuiltinModule("node:http");
    this.#server = createServer(changedFilesListener(token, () => this.#lifetime.reread()));
    const sockets = new WebSocketServer({
      server: this.#server,
      maxPayload: maxFrameBytes,
      perMessageDeflate: false,
      skipUTF8Validation: true,
    });
    const router = fleet && code && new Router(fleet, code, this.#shares);
    const copies = fleet && this.#cleanup.use(new CallCopies(fleet));
    const connect = (transport: Transport, isNode: boolean) => {
      const connection = new Connection(transport, {
        agent: this,
        node: this.#number,
        isNode,
        token,
        version: farcallVersion,
        build: this.#build,
        files,
        pools: this.#pools,
        maps: this.#maps,
        runs: this.#runs,
        logs,
        envs: registry,
        timelines,
        ...(fleet && code && router && copies ? { fleet, code, router, copies } : {}),
        onGreeted: (greeted) => this.#replace(greeted),
        onClose: (closed) => this.#connections.delete(closed),
      });
      this.#connections.add(connection);
    };
    sockets.on("connection", (socket) => connect(new WebSocketTransport(socket), false));
    this.#cleanup.defer(() => {
      for (const connection of this.#connections) connection.close();
      this.#server.close();
      this.#server.closeAllConnections();
    });
  }

  /** A client that comes back has lost the connection before; of a link that fell silent only it knows so far. */
  #replace(greeted: Connection): void {
    for (const other of this.#connections) {
      if (other !== greeted && other.client !== undefined && other.client === greeted.client) other.destroy();
    }
  }

  /** Starts an agent in a folder; undefined when one is running there. */
  static async start(folder: string, idleMs: number): Promise<Agent | undefined> {
    ensurePrivateFolder(folder);
    const lock = FileLock.acquire(join(folder, "agent.lock"));
    if (!lock) return undefined;
    const warnings: string[] = [];
    const nodeFile = readNodeFile(folder);
    // Asking for them may take seconds.
    const finding = gpuDevices();
    const engine = await openEngine(folder, nodeFile, (text) => warnings.push(text));
    const gpus = new Gpus(await finding);
    const node = { number: nodeFile?.number ?? 1, facts: nodeFacts(gpus.count), gpus };
    const agent = new Agent(folder, idleMs, engine, lock, node, warnings);
    // Before work comes in, this node is one of those that share it.
    await agent.#fleet?.say();
    // Whoever finds it listening finds its token, too, and not that of the agent before.
    announceIn(folder, { token: agent.#token, build: agent.#build });
    agent.#cleanup.defer(await listenIn(folder, agent.#server));
    await agent.#maps.restore();
    agent.#cleanup.use(agent.#lifetime).watch();
    return agent;
  }

  #join(nats: NatsConnection, accept: (transport: Transport) => void): Fleet {
    const work = passOn((run) => this.#maps.guests.askFor(run));
    const look = () => this.#look();
    const fleet = this.#cleanup.use(new Fleet({ nats, number: this.#number, look, accept, work }));
    fleet.onShape(() => {
      this.#shares.forget();
      this.#maps.refill();
      this.#pools.wake();
    });
    return fleet;
  }

  /** What this node says of itself. */
  async #look(): Promise<NodeStatus> {
    const { cpuShare, usedMiB } = this.#metrics.now;
    const activeRuns = await this.#activeRuns();
    return {
      number: this.#number,
      ...this.#facts,
      cpuShare,
      usedMiB,
      startedAtMs: this.#startedAtMs,
      residentMiB: Math.round(process.memoryUsage.rss() / 2 ** 20),
      clients: this.#clients().length,
      activeRuns,
      isBusy: activeRuns > 0 || this.#lifetime.clock.isUsed,
      usedAgoMs: activeRuns > 0 ? 0 : this.#lifetime.clock.usedAgoMs,
      users: this.#users().length,
      build: this.#build,
      replicas: this.#pools.status(),
      maps: this.#maps.working(),
    };
  }

  metrics(): NodeMetrics {
    return this.#metrics.series;
  }

  async status(): Promise<AgentStatus> {
    await this.#fleet?.say();
    const nodes = this.#fleet?.nodes() ?? [await this.#look()];
    const { clients, activeRuns, residentMiB } = nodes.find(({ number }) => number === this.#number)!;
    return {
      pid: process.pid,
      version: farcallVersion,
      build: this.#build,
      nodeVersion: process.versions.node,
      startedAtMs: this.#startedAtMs,
      idleTimeoutMs: this.#lifetime.clock.idleMs,
      clients,
      activeRuns,
      residentMiB,
      replicas: nodes.flatMap(({ replicas }) => replicas),
      nodes,
      warnings: this.#warnings,
    };
  }

  /** Makes room for an agent of another version, if nobody would miss this one, nor those of the other nodes. */
  async retire(asker: Connection): Promise<{ retiring: boolean; why?: string }> {
    const why = await this.#lifetime.whyNeeded(asker);
    if (why !== undefined) return { retiring: false, why };
    if (asker.isClient) {
      const asking = this.#fleet?.others((peer) => peer.request("retire", {}, { timeoutMs: stopNodeWithinMs }));
      // One that stays after all takes the new build when it is idle.
      await asking?.catch(() => undefined);
    }
    setImmediate(() => void this.stop());
    return { retiring: true };
  }

  use(): () => void {
    return this.#lifetime.clock.use();
  }

  /** Replicas on all nodes, as far as is known. */
  replicaCount(): number {
    return this.#others().reduce((sum, { replicas }) => sum + replicas.length, this.#pools.replicaCount());
  }

  /** Ends the agents of all nodes, or with `here` this one. */
  async requestStop(force: boolean, here: boolean): Promise<{ stopping: boolean; activeRuns: number }> {
    const activeRuns = await this.#activeRuns();
    if (activeRuns > 0 && !force) return { stopping: false, activeRuns };
    if (force) {
      for (const call of this.#runs.liveCalls.values())
        call.abort(new FarcallError("run.cancelled", "The cluster went down."));
      if (!here) await this.#maps.cancelRunning();
    }
    if (!here) {
      const ask = { force: true, here: true };
      const stopping = this.#fleet?.others((peer) => peer.request("stop", ask, { timeoutMs: stopNodeWithinMs }));
      // One that cannot be asked to does not keep this one from ending.
      await stopping?.catch(() => undefined);
    }
    this.#isDown = true;
    setImmediate(() => void this.stop());
    return { stopping: true, activeRuns };
  }

  /** Ends the agent and everything it started. Twice is fine. */
  stop(status = 0): Promise<void> {
    this.#stopping ??= this.#cleanup.disposeAsync().finally(() => process.exit(status));
    return this.#stopping;
  }

  #clients(): Connection[] {
    return [...this.#connections].filter((connection) => connection.isClient);
  }

  /** Those that used it a moment ago. */
  #users(): Connection[] {
    return this.#clients().filter((each) => each.wasUsedWithin(recentUseMs));
  }

  #others(): NodeStatus[] {
    return this.#fleet?.elsewhere() ?? [];
  }

  async #activeRuns(): Promise<number> {
    return this.#runs.liveCalls.size + (await this.#maps.activeCount());
  }
}
