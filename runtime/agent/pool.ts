import type { ExportInfo, ModuleRef } from "../protocol/messages/code.ts";
import { FarcallError } from "../spec/errors.ts";
import type { Death } from "./death.ts";
import type { Replica } from "./replica.ts";

/**
 * The replicas of one bundle in one env, and who works on them.
 *
 * Work comes from workloads: single calls, and the feeds of maps. Whenever a replica has room, the pool asks
 * the workloads in turn, calls first, then the map that has had the least of the replicas' time, so maps
 * share fairly however long their inputs take.
 */
export interface Workload {
  /** Calls come before maps. */
  readonly urgent: boolean;
  /** Milliseconds of replica time used so far, for fairness. */
  usedMs: number;
  /** How many replicas this workload could keep busy now, running ones included. */
  readonly wanted: number;
  /** How many replicas it may have. */
  readonly maxReplicas: number;
  /**
   * Gives the replica work. `none` when there is none for it or no room, `wait` when there is work but the
   * replica must first finish what it has of others, so nobody else should be given it either.
   */
  offer(slot: Slot): "given" | "none" | "wait";
  /** The pool cannot run anything: the reason. */
  fail(error: FarcallError): void;
}

/** A replica as the workloads see it. */
export interface Slot {
  readonly replica: Replica;
  calls: number;
  /** Calls among them that will never end. */
  stuck: number;
  /** Slices handed to the worker and not finished, by token. */
  readonly slices: Map<string, { workload: Workload; estimateMs: number; alone: boolean }>;
  /** Takes no more work and ends when what it has is done. */
  draining: boolean;
  rawFrom: { stdout: number; stderr: number };
  lastRun: string | undefined;
  /** When it last finished a slice, on the monotonic clock. */
  finishedAtMs: number;
}

export interface PoolHost {
  /** Starts a worker process for the pool. */
  spawn(module: ModuleRef): Promise<Replica>;
  onLoaded(): void;
  onDeath(slot: Slot, death: Death): void;
  /** Replicas that this node is to have of `total`, or of what the env says. */
  share(total: number | null): number;
}

/** Times in a row that workers died before they did anything useful, after which the pool gives up. */
const maxBootFailures = 5;
/** Between such a death and the next start. Doubles each time, so that somebody who kills workers does not hit them all. */
const firstRestMs = 250;
/** A replica without work is kept this long. */
const idleReplicaMs = 60_000;

export class Pool {
  readonly key: string;
  readonly module: ModuleRef;
  readonly folder: string;
  readonly #host: PoolHost;
  readonly #slots = new Set<Slot>();
  readonly #starting = new Set<Replica>();
  /** Workers asked for that have not been loaded yet. */
  #coming = 0;
  readonly #workloads = new Set<Workload>();
  #bootFailures = 0;
  /** Starts nothing until then, on the monotonic clock. */
  #restsUntilMs = 0;
  #idleSinceMs = 0;
  #exports: Promise<ExportInfo[]> | undefined;
  #scheduled = false;
  #closed = false;

  constructor(key: string, module: ModuleRef, folder: string, host: PoolHost) {
    this.key = key;
    this.module = module;
    this.folder = folder;
    this.#host = host;
  }

  get slots(): ReadonlySet<Slot> {
    return this.#slots;
  }

  get isIdle(): boolean {
    for (const workload of this.#workloads) if (workload.wanted > 0) return false;
    for (const slot of this.#slots) if (slot.calls > 0 || slot.slices.size > 0) return false;
    return true;
  }

  /** Lets replicas go that have had nothing to do for a while; called now and then. */
  retireIdle(nowMs: number): void {
    if (!this.isIdle || this.#slots.size === 0) this.#idleSinceMs = nowMs;
    else if (nowMs - this.#idleSinceMs > idleReplicaMs) for (const slot of this.#slots) this.recycle(slot);
  }

  /** Replicas this pool may have when somebody asks for `total` in the cluster; with null, when nobody asks for a number. */
  share(total: number | null): number {
    return this.#host.share(total);
  }

  /** What the bundle exports, from a replica that imported it. Rejects with what the import threw. */
  exports(): Promise<ExportInfo[]> {
    this.#exports ??= this.#start();
    this.#exports.catch(() => (this.#exports = undefined));
    return this.#exports;
  }

  add(workload: Workload): void {
    // A map that comes later starts level with the others: what they had before it came is past.
    const used = [...this.#workloads].filter((other) => !other.urgent).map((other) => other.usedMs);
    if (used.length > 0) workload.usedMs = Math.max(workload.usedMs, Math.min(...used));
    this.#workloads.add(workload);
    this.dispatch();
  }

  remove(workload: Workload): void {
    this.#workloads.delete(workload);
  }

  /** Looks for replicas with room and for work for them, once for all the changes of this tick. */
  wake(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.dispatch();
    });
  }

  dispatch(): void {
    if (this.#closed || this.#workloads.size === 0) return;
    const workloads = [...this.#workloads];
    const slots = [...this.#slots].filter((slot) => !slot.draining);
    slots.sort((a, b) => a.calls + a.slices.size - (b.calls + b.slices.size));
    // One piece for each replica before any gets a second, so that work spreads.
    for (const slot of slots) this.#offer(slot, workloads);
    for (const slot of slots) while (this.#offer(slot, workloads));
    if (performance.now() < this.#restsUntilMs) return;
    const wanted = workloads.reduce((sum, workload) => sum + Math.min(workload.wanted, workload.maxReplicas), 0);
    const limit = Math.max(...workloads.map((workload) => workload.maxReplicas));
    for (let have = slots.length + this.#coming; have < Math.min(wanted, limit); have++) {
      this.#start().catch((error: unknown) => this.#startFailed(error));
    }
  }

  #offer(slot: Slot, workloads: Workload[]): boolean {
    if (workloads.length > 1) workloads.sort((a, b) => Number(b.urgent) - Number(a.urgent) || a.usedMs - b.usedMs);
    for (const workload of workloads) {
      const answer = workload.offer(slot);
      if (answer !== "none") return answer === "given";
    }
    return false;
  }

  /** A replica that has nothing to do at all. */
  freeSlot(): Slot | undefined {
    for (const slot of this.#slots) if (slot.calls === 0 && slot.slices.size === 0 && !slot.draining) return slot;
    return undefined;
  }

  /** A piece of work ended: its replica may have room again. */
  finished(slot: Slot): void {
    this.#bootFailures = 0;
    if (slot.draining && slot.calls === slot.stuck && slot.slices.size === 0) {
      if (slot.stuck > 0) slot.replica.kill("stopped");
      else void slot.replica.stop("stopped");
    } else if (this.#hasWork) this.wake();
  }

  get #hasWork(): boolean {
    for (const workload of this.#workloads) if (workload.wanted > 0) return true;
    return false;
  }

  /** Replaces a replica as soon as it has done what it holds. */
  recycle(slot: Slot): void {
    slot.draining = true;
    this.finished(slot);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const replicas = [...this.#starting, ...[...this.#slots].map((slot) => slot.replica)];
    await Promise.all(replicas.map((replica) => replica.stop("stopped")));
  }

  async #start(): Promise<ExportInfo[]> {
    this.#coming++;
    try {
      return await this.#load(await this.#host.spawn(this.module));
    } finally {
      this.#coming--;
    }
  }

  async #load(replica: Replica): Promise<ExportInfo[]> {
    this.#starting.add(replica);
    try {
      const { entry, commonJs } = this.module.bundle;
      const exports = await replica.load(this.folder, entry, commonJs);
      this.#exports ??= Promise.resolve(exports);
      const slot: Slot = {
        replica,
        calls: 0,
        stuck: 0,
        slices: new Map(),
        draining: this.#closed,
        rawFrom: { stdout: 0, stderr: 0 },
        lastRun: undefined,
        finishedAtMs: 0,
      };
      this.#slots.add(slot);
      this.#host.onLoaded();
      void replica.died.then((death) => {
        this.#slots.delete(slot);
        this.#host.onDeath(slot, death);
        this.wake();
      });
      if (this.#closed) void replica.stop("stopped");
      this.wake();
      return exports;
    } catch (error) {
      replica.kill("stopped");
      throw error;
    } finally {
      this.#starting.delete(replica);
    }
  }

  #startFailed(error: unknown): void {
    const failure = error instanceof FarcallError ? error : new FarcallError("internal", String(error));
    const nowMs = performance.now();
    // What ended one of the workers that were starting ended the others: that is one failure.
    if (failure.code === "worker.crashed" && nowMs < this.#restsUntilMs) return;
    this.#bootFailures++;
    // An import that throws will throw again; a process that died may not.
    if (failure.code !== "worker.crashed" || this.#bootFailures >= maxBootFailures) {
      for (const workload of this.#workloads) workload.fail(failure);
      return;
    }
    const restMs = firstRestMs * 2 ** (this.#bootFailures - 1);
    this.#restsUntilMs = nowMs + restMs;
    // Timers may fire a little early.
    setTimeout(() => this.wake(), restMs + 1).unref();
  }
}
