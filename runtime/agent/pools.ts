import { createHash } from "node:crypto";
import { totalmem } from "node:os";
import { join } from "node:path";
import { mkdirSync } from "node:fs";
import type { AgentStatus } from "../protocol/messages/nodes.ts";
import type { ExportInfo, ModuleRef } from "../protocol/messages/code.ts";
import type { ResolvedEnv } from "../spec/env.ts";
import { FarcallError } from "../spec/errors.ts";
import { Calls } from "./calls.ts";
import { envId, type EnvStore } from "./envs.ts";
import type { FileStore } from "./files.ts";
import type { Shares } from "./fleet/shares.ts";
import type { Gpus } from "./gpus.ts";
import type { RunLogs } from "./logs.ts";
import { Pool, type Slot } from "./pool.ts";
import { Replica } from "./replica.ts";
import { Spare } from "./spare.ts";

/** All pools of the node: readies envs, lays out bundles, starts worker processes and watches over them. */

export interface PoolsOptions {
  /** For what replicas write besides results. */
  folder: string;
  workerFile: string;
  compileCache: string;
  /** Number of the first replica. */
  firstReplica: number;
  shares: Shares;
  gpus: Gpus;
  marker: string;
  envs: EnvStore;
  files: FileStore;
  logs: RunLogs;
  onGroup: (pid: number) => void;
  onGroupGone: (pid: number) => void;
  /** Replicas have come or gone. */
  onReplicas: () => void;
}

export interface ReadyPool {
  key: string;
  pool: Pool;
  calls: Calls;
}

const watchEveryMs = 250;
/** Raw output kept of a replica before the file is emptied. */
const rawCapBytes = 1024 * 1024;
/** Share of its limit at which a replica is replaced between two pieces of work. */
const recycleAtShare = 0.7;
/** Memory beside the JavaScript heap that a worker needs in any case. */
const overheadMiB = 256;

export class Pools {
  readonly #options: PoolsOptions;
  readonly #ready = new Map<string, ReadyPool>();
  readonly #stop = new AbortController();
  readonly #replicas = new Set<Replica>();
  readonly #watcher: NodeJS.Timeout;
  #nextId: number;
  readonly #spare: Spare;
  /** Envs that are being taken apart and must not be used meanwhile, by id. */
  readonly #blocked = new Map<string, Promise<unknown>>();
  #closed = false;

  constructor(options: PoolsOptions) {
    this.#options = options;
    this.#nextId = options.firstReplica;
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    this.#watcher = setInterval(() => this.#watch(), watchEveryMs);
    this.#watcher.unref();
    this.#spare = new Spare(() => this.#start({}, null));
  }

  /** There may be room for other numbers of replicas. */
  wake(): void {
    for (const { pool } of this.#ready.values()) pool.wake();
  }

  /** A module that `load` readied, by the key it returned. */
  get(key: string): ReadyPool | undefined {
    return this.#ready.get(key);
  }

  /** Readies the env and lays out the bundle; starts no worker. Those who ask for the same at once share the work. */
  async load(
    module: ModuleRef,
    options: { signal?: AbortSignal; onOutput?: (line: string) => void } = {},
  ): Promise<ReadyPool & { env: "reused" | "installed" }> {
    const key = createHash("sha256")
      .update(JSON.stringify([module.bundle.hash, module.env]))
      .digest("hex")
      .slice(0, 32);
    const ready = this.#ready.get(key);
    if (ready) return { ...ready, env: "reused" };
    const { signal = this.#stop.signal } = options;
    // Whether that went well is seen when the env is used.
    await this.#blocked.get(envId(module.env.install))?.catch(() => undefined);
    const env = await this.#options.envs.install(module.env.install, {
      ...options,
      signal: AbortSignal.any([signal, this.#stop.signal]),
    });
    const folder = await this.#options.files.place(module.bundle, join(env.folder, "bundles"));
    const other = this.#ready.get(key);
    if (other) return { ...other, env: env.state };
    const pool = new Pool(key, module, folder, {
      share: (total) => this.#options.shares.mine(module.env, total),
      spawn: (ref) => this.#spawn(ref, folder),
      onLoaded: () => this.#options.onReplicas(),
      onDeath: (slot) => {
        this.#flushRaw(slot);
        this.#options.onReplicas();
      },
    });
    const made = { key, pool, calls: new Calls(pool) };
    this.#ready.set(key, made);
    return { ...made, env: env.state };
  }

  /** Waits a while for a node that can have a replica of the env; throws `spec.invalid` when there is none. */
  async findRoom(env: ResolvedEnv, signal?: AbortSignal): Promise<void> {
    await this.#options.shares.some(env, signal);
  }

  async exports(ready: ReadyPool): Promise<ExportInfo[]> {
    const exports = await ready.pool.exports();
    this.#replaceOlder(ready.pool);
    this.#spare.renew(ready.pool.folder);
    return exports;
  }

  replicaCount(uses: (env: ResolvedEnv) => boolean = () => true): number {
    let count = 0;
    for (const { pool } of this.#ready.values()) if (uses(pool.module.env)) count += pool.slots.size;
    return count;
  }

  /** Ends the replicas of some envs; their modules are to be loaded again. */
  async end(uses: (env: ResolvedEnv) => boolean): Promise<void> {
    const ending = [...this.#ready.values()].filter(({ pool }) => uses(pool.module.env));
    for (const { key } of ending) this.#ready.delete(key);
    await Promise.all(ending.map(({ pool }) => pool.close()));
    this.#options.onReplicas();
  }

  /** Does `act`, which takes what is installed for an env apart, while nobody can begin to use it. */
  async whileBlocked<T>(id: string, act: () => Promise<T>): Promise<T> {
    while (this.#blocked.has(id)) await this.#blocked.get(id)?.catch(() => undefined);
    const acting = act().finally(() => this.#blocked.delete(id));
    this.#blocked.set(id, acting);
    // It may have imported packages that will no longer be there.
    this.#spare.discard();
    return acting;
  }

  status(): AgentStatus["replicas"] {
    return [...this.#ready.values()].flatMap(({ pool }) =>
      [...pool.slots].map((slot) => ({
        id: slot.replica.id,
        pid: slot.replica.pid,
        env: pool.module.env.name,
        bundle: pool.module.bundle.hash.slice(0, 12),
        state: slot.draining ? "draining" : slot.calls + slot.slices.size > 0 ? "busy" : "idle",
        active: slot.calls + slot.slices.size,
        residentMiB: Math.round(slot.replica.residentMiB()),
      })),
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stop.abort(new FarcallError("agent.stopping", "The agent is stopping."));
    clearInterval(this.#watcher);
    this.#spare.discard();
    await Promise.all([...this.#ready.values()].map(({ pool }) => pool.close()));
    await Promise.all([...this.#replicas].map((replica) => replica.stop("stopped")));
  }

  async #spawn(module: ModuleRef, folder: string): Promise<Replica> {
    if (this.#closed) throw new FarcallError("agent.stopping", "The agent is stopping.", { retryable: true });
    const { vars, memoryMiB, gpus } = module.env;
    if (gpus) return this.#spawnWithGpus(gpus, vars, memoryMiB);
    const plain = memoryMiB === null && Object.keys(vars).length === 0;
    return (plain ? await this.#spare.take(folder) : undefined) ?? this.#start(vars, memoryMiB);
  }

  async #spawnWithGpus(count: number, vars: Record<string, string>, memoryMiB: number | null): Promise<Replica> {
    const { gpus } = this.#options;
    const taking = gpus.take(count, this.#stop.signal);
    this.#makeWay();
    const lease = await taking;
    try {
      const replica = this.#start({ ...vars, CUDA_VISIBLE_DEVICES: lease.devices.join(",") }, memoryMiB);
      void replica.died.then(() => lease.giveBack());
      return replica;
    } catch (error) {
      lease.giveBack();
      throw error;
    }
  }

  /** While GPUs are waited for, replicas that have nothing to do hold none. */
  #makeWay(): void {
    if (!this.#options.gpus.isAwaited) return;
    for (const { pool } of this.#ready.values()) {
      if (pool.module.env.gpus && pool.isIdle) for (const slot of pool.slots) pool.recycle(slot);
    }
  }

  #start(vars: Record<string, string>, memoryMiB: number | null): Replica {
    const { folder, workerFile, marker, compileCache, logs, onGroup } = this.#options;
    const replica = new Replica({
      id: this.#nextId++,
      workerFile,
      folder,
      marker,
      vars,
      memoryMiB,
      compileCache,
      onOutput: (run) => logs.grew(run),
      onGroup,
      onLastOutput: () => this.#flushRawOf(replica),
    });
    this.#replicas.add(replica);
    void replica.died.then(() => {
      this.#replicas.delete(replica);
      this.#options.onGroupGone(replica.pid);
    });
    return replica;
  }

  /** An edited file makes its earlier replicas useless as soon as they have nothing to do. */
  #replaceOlder(pool: Pool): void {
    const { source, env } = pool.module;
    for (const other of this.#ready.values()) {
      const { module } = other.pool;
      if (other.pool === pool || module.source.file !== source.file || module.env.name !== env.name) continue;
      if (module.bundle.hash === pool.module.bundle.hash || !other.pool.isIdle) continue;
      for (const slot of other.pool.slots) other.pool.recycle(slot);
    }
  }

  #slotOf(replica: Replica): Slot | undefined {
    for (const { pool } of this.#ready.values())
      for (const slot of pool.slots) if (slot.replica === replica) return slot;
    return undefined;
  }

  #watch(): void {
    const nowMs = performance.now();
    this.#makeWay();
    for (const { pool } of this.#ready.values()) {
      pool.retireIdle(nowMs);
      const { memoryMiB } = pool.module.env;
      const shareMiB = (totalmem() / 2 ** 20) * 0.8;
      const limitMiB = memoryMiB === null ? shareMiB / Math.max(1, pool.slots.size) : memoryMiB * 1.25 + overheadMiB;
      for (const slot of pool.slots) {
        this.#flushRaw(slot);
        const usedMiB = slot.replica.residentMiB();
        if (usedMiB > limitMiB) slot.replica.kill("memory");
        else if (usedMiB > limitMiB * recycleAtShare && !slot.draining) pool.recycle(slot);
      }
    }
  }

  #flushRawOf(replica: Replica): void {
    const slot = this.#slotOf(replica);
    if (slot) this.#flushRaw(slot);
  }

  /** Gives raw output to the run that the replica last worked on: nobody knows better whose it is. */
  #flushRaw(slot: Slot): void {
    for (const stream of ["stdout", "stderr"] as const) {
      const { text, next } = slot.replica.rawOutput(stream, slot.rawFrom[stream], rawCapBytes);
      slot.rawFrom[stream] = next;
      if (text !== "" && slot.lastRun !== undefined)
        this.#options.logs.appendRaw(slot.lastRun, slot.replica.id, stream, text);
    }
  }
}
