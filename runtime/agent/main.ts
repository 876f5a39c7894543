/**
 * The agent: the one Farcall process of a node. Pieces: `lock` sees that it is the only one, `connection`
 * serves a client, `files`, `envs` and `envRegistry` keep code, `pools` and `pool` keep replicas, `calls`, `maps` and `feed`
 * bring work to them, `runs` and `logs` keep the record, `reaper` ends what is left when this process dies.
 *
 * Started as `node agent.js FOLDER IDLE_MS`, with 0 for an agent that never ends by itself. Everything it keeps is below FOLDER, which only its owner can
 * read. It listens on a unix socket there (on Windows on a named pipe) and on nothing else.
 */
import { createHash, randomBytes } from "node:crypto";
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { enableCompileCache } from "node:module";
import { fileURLToPath } from "node:url";
import type { NatsConnection } from "@nats-io/transport-node";
import { WebSocketServer } from "ws";
import type { AgentStatus, NodeMetrics, NodeStatus } from "../protocol/messages/nodes.ts";
import { passOn } from "../protocol/passOn.ts";
import { FarcallError, messageOf } from "../spec/errors.ts";
import { FileLock } from "../spec/fileLock.ts";
import { ensurePrivateFolder } from "../spec/home.ts";
import { farcallVersion } from "../spec/version.ts";
import { maxFrameBytes, type Transport } from "../transport/transport.ts";
import { WebSocketTransport } from "../transport/websocket.ts";
import { agentPaths } from "../transport/agentPaths.ts";
import { changedFilesListener } from "./changedFiles.ts";
import { Changes, replicasKey } from "./changes.ts";
import { Connection } from "./connection.ts";
import { type Engine, openEngine } from "./engine.ts";
import { EnvRegistry } from "./envRegistry.ts";
import { EnvStore } from "./envs.ts";
import { FileStore } from "./files.ts";
import { CallCopies } from "./fleet/callCopies.ts";
import { SharedCode } from "./fleet/code.ts";
import { Fleet } from "./fleet/fleet.ts";
import { Router } from "./fleet/router.ts";
import { Shares } from "./fleet/shares.ts";
import { gpuDevices } from "./gpuDevices.ts";
import { Gpus } from "./gpus.ts";
import { IdleClock } from "./idleClock.ts";
import { RunLogs } from "./logs.ts";
import { Maps } from "./maps.ts";
import { Metrics } from "./metrics.ts";
import { type NodeFacts, nodeFacts, readIdleMs, readNextBuild, readNodeFile } from "./node.ts";
import { OutcomeCache } from "./outcomeCache.ts";
import { Pools } from "./pools.ts";
import { markerVariable, Reaper, sweepLeftovers } from "./reaper.ts";
import { RunStore } from "./runs.ts";
import { Timelines } from "./timelines.ts";

const tokenBytes = 32;
const stopNodeWithinMs = 5_000;
/** Each node says how it is more often than that. */
const hearWithinMs = 3_000;
/** Replicas are numbered through the whole cluster: those of node 2 from 10,001 on. */
const replicasPerNode = 10_000;
const pruneEveryMs = 10_000;
/** A client that used the agent in this time would miss it. */
const recentUseMs = 60_000;
/** How often it is seen whether the agent is still needed. */
const mostIdleStepMs = 5_000;
/** Exit status with which whoever restarts agents starts this one at once, as the build that lies there then. */
const startAgain = 75;
/** Exit status of an agent that found another one running in its folder. */
const notNeeded = 0;

export class Agent {
  readonly changes = new Changes();
  readonly #clock: IdleClock;
  readonly #folder: string;
  readonly #engine: Engine;
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
  /** Another build was put in place, for the next start. */
  #isOutdated = false;
  #stopping: Promise<void> | undefined;

  private constructor(
    folder: string,
    idleMs: number,
    engine: Engine,
    lock: FileLock,
    node: { number: number; facts: NodeFacts; gpus: Gpus },
    warnings: string[],
  ) {
    this.#clock = new IdleClock(idleMs);
    this.#folder = folder;
    this.#engine = engine;
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
    const prune = () => {
      try {
        for (const run of this.#runs.prune()) void logs.remove(run).catch(() => undefined);
      } catch (error) {
        // A full disk, most likely. It is tried again.
        logFault(error);
      }
    };
    prune();
    const pruner = setInterval(() => this.#runs.isPruneDue && prune(), pruneEveryMs);
    this.#cleanup.defer(() => clearInterval(pruner));
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
    this.#server = createServer(changedFilesListener(token, () => this.#reread()));
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
    agent.#announce(folder);
    await agent.#listen(folder);
    await agent.#maps.restore();
    agent.#watchIdle();
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
      isBusy: activeRuns > 0 || this.#clock.isUsed,
      usedAgoMs: activeRuns > 0 ? 0 : this.#clock.usedAgoMs,
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
      idleTimeoutMs: this.#clock.idleMs,
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
    const why = await this.#whyNeeded(asker);
    if (why !== undefined) return { retiring: false, why };
    if (asker.isClient) {
      const asking = this.#fleet?.others((peer) => peer.request("retire", {}, { timeoutMs: stopNodeWithinMs }));
      // One that stays after all takes the new build when it is idle.
      await asking?.catch(() => undefined);
    }
    setImmediate(() => void this.stop());
    return { retiring: true };
  }

  /** Why this agent would be missed now; undefined when it would not. A node that asks has looked at the others itself. */
  async #whyNeeded(asker?: Connection): Promise<string | undefined> {
    const activeRuns = await this.#activeRuns();
    if (activeRuns > 0) return `${activeRuns} runs are active`;
    const users = this.#users().filter((each) => each !== asker).length;
    if (users > 0) return `${users} other clients are connected`;
    if (asker && !asker.isClient) return undefined;
    const used = this.#others().find(({ isBusy, users = 0 }) => isBusy || users > 0);
    return used && `the node ${used.number} is used`;
  }

  /** Goes by what was changed in this node's folder. `restarts` when it ends to come up as another build. */
  async #reread(): Promise<{ restarts: boolean }> {
    const node = readNodeFile(this.#folder);
    if (node) this.#engine.reread(node);
    this.#clock.idleMs = readIdleMs(this.#folder) ?? this.#clock.idleMs;
    // Whoever has just changed something is about to use it.
    this.#clock.touch();
    this.#isOutdated = (readNextBuild(this.#folder) ?? this.#build) !== this.#build;
    return { restarts: await this.#renew() };
  }

  /** Ends, to be started again as the build that was put in place, if there is another one and nobody would miss this. */
  async #renew(): Promise<boolean> {
    if (!this.#isOutdated || (await this.#whyNeeded()) !== undefined) return false;
    setImmediate(() => void this.stop(startAgain));
    return true;
  }

  use(): () => void {
    return this.#clock.use();
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

  async #listen(folder: string): Promise<void> {
    const { socket, isPipe } = agentPaths(folder);
    // Whoever made this socket is dead: we hold the lock.
    if (!isPipe) rmSync(socket, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(socket, resolve);
    });
    if (isPipe) return;
    chmodSync(socket, 0o600);
    this.#cleanup.defer(() => rmSync(socket, { force: true }));
  }

  /** Says in a file where it listens, for those who come over SSH and cannot work that out. */
  #announce(folder: string): void {
    const file = join(folder, "agent.address");
    const address = { token: this.#token, socket: agentPaths(folder).socket, build: this.#build };
    writeFileSync(`${file}.tmp`, JSON.stringify(address), { mode: 0o600 });
    renameSync(`${file}.tmp`, file);
    writeFileSync(join(folder, "agent.pid"), String(process.pid), { mode: 0o600 });
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

  #watchIdle(): void {
    let timer: NodeJS.Timeout | undefined;
    const watch = async () => {
      if ((await this.#activeRuns()) > 0) this.#clock.touch();
      // Whoever uses the cluster through another node may need this one at any moment.
      const others = this.#others().map(({ isBusy, usedAgoMs = Infinity }) => (isBusy ? 0 : usedAgoMs));
      if (this.#clock.isOver(others)) {
        this.#isDown = true;
        void this.stop();
      } else if (!(await this.#renew())) next();
    };
    const next = () => {
      if (this.#stopping) return;
      const { idleMs } = this.#clock;
      const afterMs = idleMs === 0 ? mostIdleStepMs : Math.min(mostIdleStepMs, Math.max(50, idleMs / 10));
      timer = setTimeout(() => void watch().catch(next), afterMs);
    };
    next();
    this.#cleanup.defer(() => clearTimeout(timer));
  }
}

/** How the mark of every agent of a folder begins, so that a later one finds what an earlier one left. */
function markerOf(folder: string): string {
  return `${markerVariable}=${createHash("sha256").update(folder).digest("hex").slice(0, 24)}`;
}

function logFault(error: unknown): void {
  const what = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
  process.stderr.write(`${new Date().toISOString()} ${what}\n`);
}

async function main(): Promise<void> {
  const [folder, idleText] = process.argv.slice(2);
  const idleMs = Number(idleText);
  if (!folder || !Number.isFinite(idleMs))
    throw new FarcallError("usage", "An agent is started with its folder and its idle time.");
  process.umask(0o077);
  enableCompileCache(join(folder, "compile-cache"));
  const agent = await Agent.start(folder, idleMs);
  if (!agent) process.exit(notNeeded);
  // A fault in one place must not end the work of all others; what it was stands in the log.
  process.on("unhandledRejection", (error) => logFault(error));
  process.on("uncaughtException", (error) => {
    logFault(error);
    // What state is left is anybody's guess. The next agent goes on with every map.
    void agent.stop();
  });
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => void agent.stop());
}

main().catch((error: unknown) => {
  // The client that started this process reads the last line of its log.
  process.stderr.write(
    `${JSON.stringify({ code: error instanceof FarcallError ? error.code : "agent.start-failed", message: messageOf(error) })}\n`,
  );
  process.exit(1);
});
