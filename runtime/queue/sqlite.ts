/**
 * The embedded queue: one SQLite file that one process owns. Reads run at once; writes are gathered into one
 * transaction a tick, so a promise of this class that resolved means that the write survives this process.
 */
import { FarcallError } from "../spec/errors.ts";
import type { RunId } from "../spec/names.ts";
import { Claims } from "./claims.ts";
import { Deadlines } from "./deadlines.ts";
import type * as port from "./mapQueue.ts";
import { checkChunks, checkSettlement } from "./settlement.ts";
import { openDatabase } from "./sqliteDatabase.ts";
import { hasEnded } from "./jobState.ts";
import { addChunks, byteLength, closeInput, deleteJob, setState } from "./sqliteJobRules.ts";
import { SqliteStore } from "./sqliteStore.ts";
import type { TakenChunk } from "./sqliteWork.ts";
import { WriteBatch } from "./writeBatch.ts";

export interface SqliteQueueOptions {
  /** Most bytes of inputs that may wait or be leased, over all jobs. Default 1 GiB. */
  maxPendingBytes?: number;
  /** Milliseconds a lease holds without being extended. Default 30,000. */
  leaseMs?: number;
  /** `NORMAL` (default) survives a crash of the process, `FULL` also a power cut, at one fsync for each batch. */
  synchronous?: "NORMAL" | "FULL";
  /** Most bytes the file may take, not counting its write-ahead log. Default: no limit but the disk. */
  maxFileBytes?: number;
  /** Wall time in milliseconds, for what people see; durations run on a monotonic clock. Default `Date.now`. */
  now?: () => number;
  /** Called when the file was damaged, moved to `movedTo`, and replaced by an empty one. */
  onCorrupt?: (movedTo: string, cause: FarcallError) => void;
}

/** How long to wait after the store refused a write of the queue's own. */
const retryMs = 1000;

/** Bodies handed to this class must not be changed before the promise has settled. */
export class SqliteQueue implements port.MapQueue {
  readonly #file: string;
  readonly #store: SqliteStore;
  readonly #batch: WriteBatch;
  readonly #claims: Claims;
  readonly #deadlines: Deadlines;
  readonly #listeners = new Set<{ callback: (job: RunId) => void }>();
  readonly #maxPendingBytes: number;
  readonly #leaseMs: number;
  readonly #now: () => number;
  #sweepQueued = false;
  #sweepTimer: NodeJS.Timeout | undefined;
  #closed = false;

  /**
   * Opens the queue in `file`, or makes it. Leases of the process before are void.
   * Throws `home.unusable` when another process owns the file, `agent.version` when a newer Farcall wrote it,
   * and `disk.full`.
   */
  static async open(file: string, options: SqliteQueueOptions = {}): Promise<SqliteQueue> {
    const { now = Date.now, synchronous = "NORMAL", maxFileBytes, onCorrupt = () => {} } = options;
    const store = openDatabase(
      file,
      { synchronous, maxFileBytes, now, onCorrupt },
      (database, epoch) => new SqliteStore(file, database, epoch),
    );
    return new SqliteQueue(file, store, options);
  }

  private constructor(file: string, store: SqliteStore, options: SqliteQueueOptions) {
    this.#file = file;
    this.#store = store;
    this.#maxPendingBytes = options.maxPendingBytes ?? 1024 ** 3;
    this.#leaseMs = options.leaseMs ?? 30_000;
    this.#now = options.now ?? Date.now;
    this.#deadlines = new Deadlines((tokens) => this.#free(tokens));
    this.#batch = new WriteBatch(store, () => this.#afterBatch());
    this.#claims = new Claims(
      this.#batch,
      (job, max) => store.work.take(job, max),
      (taken) => this.#lease(taken),
    );
    this.#sweepOn();
  }

  async createJob(spec: port.JobSpec): Promise<port.JobRecord> {
    const { jobs } = this.#store;
    return this.#write(() => jobs.record(jobs.get(spec.id) ?? jobs.create(spec)), spec.spec.length);
  }

  async addChunks(id: RunId, chunks: readonly port.NewChunk[]): Promise<void> {
    checkChunks(chunks);
    const work = (): void => addChunks(this.#store, this.#store.jobs.need(id), chunks, this.#maxPendingBytes);
    return this.#write(work, byteLength(chunks));
  }

  async storedFrom(id: RunId, from: number, limit: number): Promise<{ lo: number; count: number }[]> {
    this.#checkOpen();
    const { jobs, inputs } = this.#store;
    const job = jobs.need(id);
    return this.#store.read(() => inputs.from(job, from, limit));
  }

  async closeInput(id: RunId, total: number): Promise<void> {
    return this.#write(() => closeInput(this.#store, this.#store.jobs.need(id), total));
  }

  async setState(id: RunId, to: port.JobState, revision: number, note?: string): Promise<number> {
    return this.#write(() => setState(this.#store, this.#store.jobs.need(id), { to, revision, note }));
  }

  async claim(id: RunId, options: port.ClaimOptions): Promise<port.Lease[]> {
    this.#checkOpen();
    return this.#claims.claim(this.#store.jobs.need(id), options);
  }

  async extend(lease: port.Lease): Promise<boolean> {
    this.#checkOpen();
    const { jobs, work } = this.#store;
    const job = jobs.get(lease.job);
    if (job === undefined || hasEnded(job.tally) || !this.#deadlines.has(lease.token)) return false;
    if (!this.#store.read(() => work.isHeld(lease))) return false;
    this.#deadlines.set(lease.token, this.#leaseMs);
    return true;
  }

  async release(lease: port.Lease, delayMs: number): Promise<void> {
    this.#checkOpen();
    return new Promise<void>((resolve, reject) => {
      this.#batch.add({
        work: () => this.#store.work.giveBack(lease, delayMs > 0),
        done: (given) => {
          if (given) this.#deadlines.delete(lease.token);
          if (given && delayMs > 0) this.#deadlines.set(lease.token, delayMs);
          resolve();
        },
        failed: reject,
      });
    });
  }

  async settle(lease: port.Lease, settlement: port.Settlement): Promise<"stored" | "already"> {
    checkSettlement(lease.chunk, settlement);
    const bytes = byteLength(settlement.results) + byteLength(settlement.children);
    const became = await this.#write(() => this.#store.work.settle(lease, settlement), bytes);
    this.#deadlines.delete(lease.token);
    return became;
  }

  async outcomes(id: RunId, query: port.OutcomeQuery): Promise<port.OutcomePage> {
    this.#checkOpen();
    const { jobs, outcomes, epoch } = this.#store;
    const job = jobs.need(id);
    return { ranges: this.#store.read(() => outcomes.page(job, query)), epoch };
  }

  async counts(id: RunId): Promise<port.JobCounts> {
    this.#checkOpen();
    const { pending, leased, settled, errors } = this.#store.jobs.need(id).tally;
    return { pending, leased, settled, errors };
  }

  async credits(id: RunId): Promise<port.Credit[]> {
    this.#checkOpen();
    const { jobs, credits } = this.#store;
    const job = jobs.need(id);
    return this.#store.read(() => credits.of(job));
  }

  async job(id: RunId): Promise<port.JobRecord | undefined> {
    this.#checkOpen();
    const { jobs } = this.#store;
    const job = jobs.get(id);
    return job && this.#store.read(() => jobs.record(job));
  }

  async head(id: RunId): Promise<port.JobHead | undefined> {
    this.#checkOpen();
    const { jobs } = this.#store;
    const job = jobs.get(id);
    return job && jobs.head(job);
  }

  async jobs(): Promise<port.JobHead[]> {
    this.#checkOpen();
    const { jobs } = this.#store;
    return jobs.all().map((job) => jobs.head(job));
  }

  /** Forgetting a job that is unknown does nothing. Throws `run.state` for one that has not ended. */
  async deleteJob(id: RunId): Promise<void> {
    return this.#write(() => {
      const job = this.#store.jobs.get(id);
      if (job !== undefined) deleteJob(this.#store, job);
    });
  }

  onChange(callback: (job: RunId) => void): () => void {
    const listener = { callback };
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Stores what was asked for before, answers waiting claims with nothing, and gives the file free. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#claims.close();
    clearTimeout(this.#sweepTimer);
    this.#batch.flush();
    this.#deadlines.clear();
    this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #write<T>(work: () => T, bytes = 0): Promise<T> {
    this.#checkOpen();
    return this.#batch.run(work, bytes);
  }

  #checkOpen(): void {
    if (this.#closed)
      throw new FarcallError("agent.stopping", `The queue ${this.#file} is closed.`, { retryable: true });
  }

  #lease(taken: TakenChunk): port.Lease {
    this.#deadlines.set(taken.token, this.#leaseMs);
    return { ...taken, deadlineMs: this.#now() + this.#leaseMs };
  }

  /** Leases and delays that are over. */
  #free(tokens: string[]): void {
    this.#batch.add({
      work: () => this.#store.work.free(tokens),
      done: () => {},
      failed: () => {
        if (this.#closed) return;
        for (const token of tokens) this.#deadlines.set(token, retryMs);
      },
    });
  }

  #sweepOn(): void {
    const { sweep } = this.#store;
    if (!sweep.needed || this.#sweepQueued || this.#closed) return;
    this.#sweepQueued = true;
    const next = (): void => {
      this.#sweepQueued = false;
      this.#sweepOn();
    };
    this.#batch.add({
      work: () => sweep.step(),
      done: next,
      failed: () => {
        if (!this.#closed) this.#sweepTimer = setTimeout(next, retryMs).unref();
      },
    });
  }

  #afterBatch(): void {
    for (const job of this.#store.takeChanged()) {
      for (const listener of this.#listeners) {
        // In a turn of its own: what a callback throws is its owner's fault and not the queue's.
        queueMicrotask(() => this.#listeners.has(listener) && listener.callback(job));
      }
    }
    this.#claims.wake();
    this.#sweepOn();
  }
}
