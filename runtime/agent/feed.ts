import type { MapSpec } from "../protocol/messages/maps.ts";
import { leaseMs } from "../queue/leaseMs.ts";
import type { Lease, NewChunk, ResultRange, WorkSource } from "../queue/mapQueue.ts";
import { asFarcallError, FarcallError } from "../spec/errors.ts";
import type { RunId } from "../spec/names.ts";
import { aftermath } from "./aftermath.ts";
import { BusyTime } from "./busyTime.ts";
import { piece, remainder, splitFront } from "./chunks.ts";
import { KnownOutcomes } from "./knownOutcomes.ts";
import { LeaseBuffer } from "./leaseBuffer.ts";
import type { OutcomeCache } from "./outcomeCache.ts";
import { endOverdue } from "./overdue.ts";
import { Pace } from "./pace.ts";
import type { Pool, Slot, Workload } from "./pool.ts";
import { type Slice, Slices, workSlice } from "./slices.ts";

/**
 * One map on this node: leases chunks from the queue, cuts them to the length that suits, hands them to
 * replicas as slices, and settles what comes back.
 *
 * Length: see `Pace`. How long an input takes is not known at first, so single inputs go ahead as probes; after that
 * the average of what was measured decides. A chunk that is too long is split in the queue, so nothing depends on this
 * process.
 *
 * Deaths: see `aftermath`.
 */
export interface FeedHost {
  queue: WorkSource;
  cache: OutcomeCache;
  logFile(run: RunId, replica: number): string;
  /** Something a watcher of the run may want to see has changed. */
  onProgress(): void;
  /** An input failed and the map wants to stop at that. */
  onFirstError(): void;
  /** The map cannot go on. */
  onFailed(error: FarcallError): void;
  /** Whether another node is at work on the map. */
  othersWork(): boolean;
}

/** Single inputs that go ahead to find out how long one takes. */
const maxProbes = 64;
/** Splitting a chunk of long inputs takes this many slices off its front, and leaves the rest in one piece. */
const slicesPerSplit = 8;
/** Work that is kept at hand, so that no replica waits for the queue. */
const aheadMs = 1_000;
/** Slices one worker may hold, the running one included, as long as they are short together. */
const maxSlicesHeld = 6;
const extendEveryMs = leaseMs / 3;
const cancelGraceMs = 2_000;
/** Between no worker of this node staying alive and trying again, when others get on with the map. */
const restMs = 10_000;

export class Feed implements Workload {
  readonly urgent = false;
  usedMs = 0;
  readonly run: RunId;
  readonly #spec: MapSpec;
  readonly #pool: Pool;
  readonly #host: FeedHost;
  readonly #buffer: LeaseBuffer;
  readonly #slices = new Slices();
  readonly #pace = new Pace();
  readonly #busy = new BusyTime();
  readonly #known: KnownOutcomes;
  readonly #stop = new AbortController();
  readonly #timers: NodeJS.Timeout[] = [];
  #splitting = 0;
  #hasProbed = false;
  #failedOnce = false;
  /** Leaves the work to other nodes for a while. */
  #rests = false;

  constructor(run: RunId, spec: MapSpec, pool: Pool, host: FeedHost) {
    this.run = run;
    this.#spec = spec;
    this.#pool = pool;
    this.#host = host;
    this.#known = new KnownOutcomes(host.cache, spec);
    this.#buffer = new LeaseBuffer({
      run,
      queue: host.queue,
      stopped: this.#stop.signal,
      wanted: () => this.#wantedLeases,
      coming: () => this.#splitting * slicesPerSplit,
      takes: (lease) => this.#shortensEarly(lease),
      onFilled: () => pool.dispatch(),
      onFailed: (error) => this.#queueFailed(error),
    });
    this.#timers.push(setInterval(() => this.#extendLeases(), extendEveryMs));
    const { timeoutMs } = spec.options;
    if (timeoutMs !== undefined) {
      this.#timers.push(endOverdue(timeoutMs, () => new Set(this.#slices.all.map(({ slot }) => slot.replica))));
    }
    for (const timer of this.#timers) timer.unref();
  }

  start(): void {
    this.#pool.add(this);
    void this.#buffer.fill();
  }

  /** Takes more work if there are replicas for it now, and gives back what there are none for any more. */
  refill(): void {
    this.#buffer.releaseSurplus();
    void this.#buffer.fill();
  }

  /**
   * How many to have at hand. Of long inputs it is few, and none but probes before it is known how long they are: what
   * lies here, others cannot take, whose replicas may be free sooner.
   */
  get #wantedLeases(): number {
    if (this.#rests) return 0;
    const most = 2 * this.maxReplicas;
    const { itemMs } = this.#pace;
    if (itemMs === undefined) return Math.min(most, this.#splitting > 0 ? 0 : this.#missingProbes);
    const ahead = (this.maxReplicas * this.#concurrency * aheadMs) / itemMs;
    return Math.min(most, Math.max(1, Math.ceil(ahead)));
  }

  /** Inputs that could be begun now to find out how long one takes. */
  get #missingProbes(): number {
    return Math.max(0, Math.min(maxProbes, this.maxReplicas * this.#concurrency) - this.#slices.count);
  }

  get maxReplicas(): number {
    return this.#pool.share(this.#spec.options.replicas ?? null);
  }

  get wanted(): number {
    return this.#buffer.count + this.#slices.count;
  }

  /** Inputs in the hands of workers. */
  get activeInputs(): number {
    return this.#slices.activeInputs;
  }

  /** Inputs done in slices that are still being worked, so not yet settled. */
  get unsettled(): { done: number; failed: number } {
    return this.#slices.unsettled;
  }

  /** Replicas that work on the map. */
  get replicas(): number {
    return this.#slices.replicas;
  }

  /** Milliseconds each replica was busy with this map since this was last asked. */
  takeBusyMs(): Map<number, number> {
    return this.#busy.take();
  }

  offer(slot: Slot): "given" | "none" | "wait" {
    const [lease] = this.#buffer.all;
    if (!lease || slot.draining || this.#failedOnce) return "none";
    if (slot.calls > 0) return "wait";
    // What a worker died over before is worked alone, or its next death would be blamed on its neighbours too.
    const alone = lease.chunk.deaths > 0;
    let heldMs = 0;
    for (const held of slot.slices.values()) {
      if (held.workload !== this || held.alone || alone) return "wait";
      heldMs += held.estimateMs;
    }
    if (slot.slices.size === 0 && this.replicas >= this.maxReplicas) return "none";
    if (slot.slices.size > 0 && this.#isFull(slot, heldMs)) return "none";
    const { count } = lease.chunk;
    const isUnknown = this.#pace.itemMs === undefined && count > 1;
    if (isUnknown && (this.#missingProbes === 0 || this.#splitting > 0)) return "none";
    this.#buffer.shift();
    const known = this.#known.of(lease.chunk);
    if (known.length > 0) void this.#settleKnown(lease, known);
    else if (isUnknown) this.#probe(lease, slot);
    else if (this.#pace.isTooLong(count)) void this.#shorten(lease);
    else void this.#work(lease, slot, this.#pace.estimateMs(count));
    void this.#buffer.fill();
    return "given";
  }

  /**
   * Once, single inputs are sent ahead, for all replicas that there are. They come again behind all other children that
   * wait, and maybe elsewhere; until then the next chunks are begun where they lie, or each of them would be cut to pieces.
   */
  #probe(lease: Lease, slot: Slot): void {
    const { count } = lease.chunk;
    if (this.#hasProbed) void this.#work(lease, slot, this.#pace.estimateMs(1), Math.min(count, this.#concurrency));
    else void this.#split(lease, 1, Math.min(count - 1, this.#missingProbes));
    this.#hasProbed = true;
  }

  async #settleKnown(lease: Lease, known: ResultRange[]): Promise<void> {
    await this.#settle(lease, known, remainder(lease.chunk, known));
    this.#pool.wake();
    void this.#buffer.fill();
  }

  /** A worker needs enough inputs to fill its lanes, and a little more so that it never waits for the agent. */
  #isFull(slot: Slot, heldMs: number): boolean {
    if (this.#slices.inputsOf(slot) < this.#concurrency) return false;
    return this.#pace.isEnough(heldMs) || slot.slices.size >= maxSlicesHeld;
  }

  /** Workers that die as they start are this node's trouble, as long as those of another do not. */
  fail(error: FarcallError): void {
    if (error.code !== "worker.crashed" || !this.#host.othersWork()) return this.#host.onFailed(error);
    if (this.#rests) return;
    this.#rests = true;
    this.#buffer.releaseSurplus();
    const rested = setTimeout(() => {
      this.#rests = false;
      this.#timers.splice(this.#timers.indexOf(rested), 1);
      void this.#buffer.fill();
    }, restMs).unref();
    this.#timers.push(rested);
  }

  /** Stops working on the map; what is leased is dropped with the job, or expires. */
  async cancel(): Promise<void> {
    this.#stop.abort(new FarcallError("run.cancelled", "The map was cancelled."));
    for (const timer of this.#timers) clearInterval(timer);
    this.#buffer.clear();
    for (const slice of this.#slices.all) slice.abort.abort(this.#stop.signal.reason);
    const grace = setTimeout(() => {
      for (const slice of this.#slices.all) slice.slot.replica.kill("cancelled");
    }, cancelGraceMs);
    while (this.#slices.count > 0) await this.#slices.changed();
    clearTimeout(grace);
    this.#pool.remove(this);
  }

  /** Ends a feed that has nothing left to do. */
  finish(): void {
    this.#stop.abort();
    for (const timer of this.#timers) clearInterval(timer);
    this.#pool.remove(this);
  }

  get #concurrency(): number {
    return this.#spec.options.concurrency ?? 1;
  }

  /** Before it is its turn, unless the cache may have some of it, which is seen then. */
  #shortensEarly(lease: Lease): boolean {
    if (this.#known.isUsed || !this.#pace.isTooLong(lease.chunk.count)) return false;
    void this.#shorten(lease);
    return true;
  }

  #shorten(lease: Lease): Promise<void> {
    return this.#split(lease, this.#pace.suitableCount, slicesPerSplit);
  }

  /** Takes up to `pieces` slices of `size` inputs off the front of a chunk, back in the queue. */
  async #split(lease: Lease, size: number, pieces: number): Promise<void> {
    this.#splitting++;
    const children = splitFront(lease.chunk, size, pieces);
    await this.#settle(lease, [], children);
    this.#splitting--;
    this.#pool.wake();
    void this.#buffer.fill();
  }

  /** Works the first `count` inputs of a chunk, by default all; the rest goes back to the queue with their outcomes. */
  async #work(lease: Lease, slot: Slot, estimateMs: number, count = lease.chunk.count): Promise<void> {
    const { token } = lease;
    const whole = lease.chunk;
    const chunk = count === whole.count ? whole : { ...piece(whole, whole.lo, whole.lo + count), deaths: whole.deaths };
    const rest = count === whole.count ? [] : [piece(whole, whole.lo + count, whole.lo + whole.count)];
    const { options } = this.#spec;
    const { replica } = slot;
    const slice: Slice = { lease: { ...lease, chunk }, slot, results: [], abort: new AbortController() };
    this.#slices.add(slice);
    if (slot.slices.size === 0) this.#busy.begin(replica.id);
    slot.slices.set(token, { workload: this, estimateMs, alone: chunk.deaths > 0 });
    slot.lastRun = this.run;
    const begunAtMs = performance.now();
    let settled: Promise<void> | undefined;
    try {
      const { strays, workedMs } = await workSlice(slice, {
        run: this.run,
        spec: this.#spec,
        logFile: this.#host.logFile(this.run, replica.id),
        onProgress: () => this.#host.onProgress(),
      });
      this.#pace.measured(workedMs, chunk.count);
      this.#countUse(slot, begunAtMs);
      this.refill();
      if (strays > 0) this.#pool.recycle(slot);
      if (!this.#stop.signal.aborted)
        settled = this.#settle(lease, slice.results, [...remainder(chunk, slice.results), ...rest]);
    } catch (error) {
      if (this.#stop.signal.aborted) {
        // The map is over; the job's work is dropped with it.
      } else if (error instanceof FarcallError && error.code === "connection.lost") {
        const { results, children } = aftermath(slice, await replica.died, options.retries ?? 0);
        settled = this.#settle(lease, results, [...children, ...rest]);
      } else {
        this.#host.onFailed(asFarcallError(error));
      }
    }
    slot.slices.delete(token);
    if (slot.slices.size === 0) this.#busy.end(replica.id);
    this.#pool.finished(slot);
    // Settled outcomes count as done only when they are stored, so the slice stays listed until then.
    await settled;
    this.#slices.remove(slice);
    this.#host.onProgress();
  }

  /** A replica's time counts in full: since it last finished a slice, as slices wait in the worker or overlap there. */
  #countUse(slot: Slot, begunAtMs: number): void {
    const now = performance.now();
    this.usedMs += now - Math.max(begunAtMs, slot.finishedAtMs);
    slot.finishedAtMs = now;
  }

  async #settle(lease: Lease, results: readonly ResultRange[], children: readonly NewChunk[]): Promise<void> {
    try {
      await this.#host.queue.settle(lease, { results, children });
    } catch (error) {
      this.#queueFailed(error);
      return;
    }
    this.#known.remember(lease.chunk, results);
    if (children.length > 0) void this.#buffer.fill();
    const failed = results.find((range) => range.errors > 0);
    if (failed) this.inputFailed(failed.lo);
  }

  /** An input failed, here or on another cluster, and that has been settled. */
  inputFailed(lo: number): void {
    if (this.#failedOnce || this.#spec.options.onError === "collect") return;
    this.#failedOnce = true;
    void this.#letEarlierFinish(lo).then(() => this.#host.onFirstError());
  }

  /** Inputs before one that failed are given a moment to finish: whoever reads in input order wants them first. */
  async #letEarlierFinish(lo: number): Promise<void> {
    const deadline = AbortSignal.timeout(cancelGraceMs);
    const late = new Promise<void>((resolve) => deadline.addEventListener("abort", () => resolve(), { once: true }));
    const earlier = () => this.#slices.all.some(({ lease }) => lease.chunk.lo < lo);
    while (earlier() && !deadline.aborted) await Promise.race([this.#slices.changed(), late]);
  }

  #extendLeases(): void {
    for (const lease of [...this.#buffer.all, ...this.#slices.all.map((slice) => slice.lease)]) {
      this.#host.queue.extend(lease).catch((error: unknown) => this.#queueFailed(error));
    }
  }

  #queueFailed(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    if (error instanceof FarcallError && (error.code === "disk.full" || error.retryable)) {
      // Nothing is lost: the leases run out and the chunks come again, when there may be room.
      this.#host.onProgress();
      setTimeout(() => void this.#buffer.fill(), 1_000).unref();
      return;
    }
    this.#host.onFailed(asFarcallError(error));
  }
}
