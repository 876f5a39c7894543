import type { MapSpec } from "../protocol/messages/maps.ts";
import { packOutcomes, unpackOutcomes, unpackValues } from "../protocol/pack.ts";
import { leaseMs } from "../queue/leaseMs.ts";
import type { Chunk, Lease, NewChunk, ResultRange, WorkSource } from "../queue/mapQueue.ts";
import { asFarcallError, FarcallError } from "../spec/errors.ts";
import type { RunId } from "../spec/names.ts";
import { aftermath } from "./aftermath.ts";
import { piece, remainder, splitFront } from "./chunks.ts";
import type { OutcomeCache } from "./outcomeCache.ts";
import type { Pool, Slot, Workload } from "./pool.ts";

/**
 * One map on this node: leases chunks from the queue, cuts them to the length that suits, hands them to
 * replicas as slices, and settles what comes back.
 *
 * Length: a slice should take about `targetMs`, long enough that handing it out costs nothing beside it, and
 * short enough that results come steadily, maps take turns, and a dying worker loses little. How long an
 * input takes is not known at first, so single inputs go ahead as probes; after that the average of what was
 * measured decides. A chunk that is too long is split in the queue, so nothing depends on this process.
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

const targetMs = 100;
const maxSliceCount = 10_000;
/** Single inputs that go ahead to find out how long one takes. */
const maxProbes = 64;
/** Splitting a chunk of long inputs takes this many slices off its front, and leaves the rest in one piece. */
const slicesPerSplit = 8;
/** Work that is kept at hand, so that no replica waits for the queue. */
const aheadMs = 1_000;
/** Slices one worker may hold, the running one included, as long as they are short together. */
const maxSlicesHeld = 6;
/** Weight of the newest measurement in the average. */
const freshness = 0.3;
const claimWaitMs = 5_000;
const betweenClaimsMs = 20;
const extendEveryMs = leaseMs / 3;
/** Over the item timeout, for the worker's own timer to act first. */
const overtimeMs = 500;
const cancelGraceMs = 2_000;
/** Between no worker of this node staying alive and trying again, when others get on with the map. */
const restMs = 10_000;

interface Slice {
  lease: Lease;
  slot: Slot;
  results: ResultRange[];
  abort: AbortController;
}

export class Feed implements Workload {
  readonly urgent = false;
  usedMs = 0;
  readonly run: RunId;
  readonly #spec: MapSpec;
  readonly #pool: Pool;
  readonly #host: FeedHost;
  readonly #buffer: Lease[] = [];
  readonly #slices = new Map<string, Slice>();
  readonly #stop = new AbortController();
  readonly #timers: NodeJS.Timeout[] = [];
  #claiming = false;
  /** Milliseconds one input takes one replica, once measured. */
  #itemMs: number | undefined;
  #splitting = 0;
  #hasProbed = false;
  #overdueCheckedAtMs = performance.now();
  #waiters: (() => void)[] = [];
  #failedOnce = false;
  /** Leaves the work to other nodes for a while. */
  #rests = false;
  /** For replicas that have slices of this map: since when, on the monotonic clock. */
  readonly #busySinceMs = new Map<number, number>();
  #busyMs = new Map<number, number>();

  constructor(run: RunId, spec: MapSpec, pool: Pool, host: FeedHost) {
    this.run = run;
    this.#spec = spec;
    this.#pool = pool;
    this.#host = host;
    this.#timers.push(setInterval(() => this.#extendLeases(), extendEveryMs));
    const { timeoutMs } = spec.options;
    if (timeoutMs !== undefined) {
      this.#timers.push(setInterval(() => this.#endOverdue(timeoutMs), Math.min(1_000, Math.max(50, timeoutMs / 4))));
    }
    for (const timer of this.#timers) timer.unref();
  }

  start(): void {
    this.#pool.add(this);
    void this.#fill();
  }

  /** Takes more work if there are replicas for it now, and gives back what there are none for any more. */
  refill(): void {
    this.#releaseSurplus();
    void this.#fill();
  }

  /** Another node has replicas for it. If giving back fails, the lease runs out, as nothing extends it. */
  #releaseSurplus(): void {
    for (const lease of this.#buffer.splice(this.#wantedLeases))
      this.#host.queue.release(lease, 0).catch(() => undefined);
  }

  /**
   * How many to have at hand. Of long inputs it is few, and none but probes before it is known how long they are: what
   * lies here, others cannot take, whose replicas may be free sooner.
   */
  get #wantedLeases(): number {
    if (this.#rests) return 0;
    const most = 2 * this.maxReplicas;
    if (this.#itemMs === undefined) return Math.min(most, this.#splitting > 0 ? 0 : this.#missingProbes);
    const ahead = (this.maxReplicas * this.#concurrency * aheadMs) / this.#itemMs;
    return Math.min(most, Math.max(1, Math.ceil(ahead)));
  }

  /** Inputs that could be begun now to find out how long one takes. */
  get #missingProbes(): number {
    return Math.max(0, Math.min(maxProbes, this.maxReplicas * this.#concurrency) - this.#slices.size);
  }

  get maxReplicas(): number {
    return this.#pool.share(this.#spec.options.replicas ?? null);
  }

  get wanted(): number {
    return this.#buffer.length + this.#slices.size;
  }

  /** Inputs in the hands of workers. */
  get activeInputs(): number {
    let active = 0;
    for (const { lease, results } of this.#slices.values()) {
      active += lease.chunk.count - results.reduce((sum, range) => sum + range.count, 0);
    }
    return active;
  }

  /** Inputs done in slices that are still being worked, so not yet settled. */
  get unsettled(): { done: number; failed: number } {
    let done = 0;
    let failed = 0;
    for (const { results } of this.#slices.values()) {
      for (const range of results) {
        done += range.count;
        failed += range.errors;
      }
    }
    return { done, failed };
  }

  /** Replicas that work on the map. One whose outcomes are being stored is free for more. */
  get replicas(): number {
    const working = new Set<Slot>();
    for (const [token, { slot }] of this.#slices) if (slot.slices.has(token)) working.add(slot);
    return working.size;
  }

  /** Milliseconds each replica was busy with this map since this was last asked. */
  takeBusyMs(): Map<number, number> {
    const now = performance.now();
    for (const id of this.#busySinceMs.keys()) {
      this.#addBusy(id, now);
      this.#busySinceMs.set(id, now);
    }
    const taken = this.#busyMs;
    this.#busyMs = new Map();
    return taken;
  }

  #addBusy(replica: number, nowMs: number): void {
    const busyMs = nowMs - (this.#busySinceMs.get(replica) ?? nowMs);
    this.#busyMs.set(replica, (this.#busyMs.get(replica) ?? 0) + busyMs);
  }

  offer(slot: Slot): "given" | "none" | "wait" {
    const lease = this.#buffer[0];
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
    const isUnknown = this.#itemMs === undefined && count > 1;
    if (isUnknown && (this.#missingProbes === 0 || this.#splitting > 0)) return "none";
    this.#buffer.shift();
    const known = this.#spec.options.cache ? this.#knownOutcomes(lease.chunk) : [];
    if (known.length > 0) void this.#settleKnown(lease, known);
    else if (isUnknown) this.#probe(lease, slot);
    else if (this.#isTooLong(lease.chunk)) void this.#shorten(lease);
    else void this.#work(lease, slot, (this.#itemMs ?? targetMs) * count);
    void this.#fill();
    return "given";
  }

  /**
   * Once, single inputs are sent ahead, for all replicas that there are. They come again behind all other children that
   * wait, and maybe elsewhere; until then the next chunks are begun where they lie, or each of them would be cut to pieces.
   */
  #probe(lease: Lease, slot: Slot): void {
    const { count } = lease.chunk;
    if (this.#hasProbed) void this.#work(lease, slot, targetMs, Math.min(count, this.#concurrency));
    else void this.#split(lease, 1, Math.min(count - 1, this.#missingProbes));
    this.#hasProbed = true;
  }

  /** What the cache has of a chunk, as ranges of one input each. */
  #knownOutcomes(chunk: Chunk): ResultRange[] {
    const values = this.#host.cache.lookUp(this.#code, unpackValues(chunk.body));
    return values.flatMap((bytes, i): ResultRange[] =>
      bytes ? [{ lo: chunk.lo + i, count: 1, errors: 0, body: packOutcomes([{ ok: true, attempts: 0, bytes }]) }] : [],
    );
  }

  async #settleKnown(lease: Lease, known: ResultRange[]): Promise<void> {
    await this.#settle(lease, known, remainder(lease.chunk, known));
    this.#pool.wake();
    void this.#fill();
  }

  /** Names the code for the cache: the bundle, what is installed beside it, and the function. */
  get #code(): string {
    const { module, export: name } = this.#spec;
    return JSON.stringify([module.bundle.hash, module.env.install, module.env.vars, name]);
  }

  #remember(chunk: Chunk, results: readonly ResultRange[]): void {
    const inputs = unpackValues(chunk.body);
    const entries = results.flatMap(({ lo, body }) =>
      unpackOutcomes(body).flatMap(({ ok, attempts, bytes }, i) =>
        ok && attempts > 0 ? [{ input: inputs[lo - chunk.lo + i]!, value: bytes }] : [],
      ),
    );
    if (entries.length > 0) this.#host.cache.store(this.#code, entries);
  }

  /** A worker needs enough inputs to fill its lanes, and a little more so that it never waits for the agent. */
  #isFull(slot: Slot, heldMs: number): boolean {
    let inputs = 0;
    for (const token of slot.slices.keys()) inputs += this.#slices.get(token)?.lease.chunk.count ?? 0;
    if (inputs < this.#concurrency) return false;
    return heldMs >= targetMs || slot.slices.size >= maxSlicesHeld;
  }

  /** Workers that die as they start are this node's trouble, as long as those of another do not. */
  fail(error: FarcallError): void {
    if (error.code !== "worker.crashed" || !this.#host.othersWork()) return this.#host.onFailed(error);
    if (this.#rests) return;
    this.#rests = true;
    this.#releaseSurplus();
    const rested = setTimeout(() => {
      this.#rests = false;
      this.#timers.splice(this.#timers.indexOf(rested), 1);
      void this.#fill();
    }, restMs).unref();
    this.#timers.push(rested);
  }

  /** Stops working on the map; what is leased is dropped with the job, or expires. */
  async cancel(): Promise<void> {
    this.#stop.abort(new FarcallError("run.cancelled", "The map was cancelled."));
    for (const timer of this.#timers) clearInterval(timer);
    this.#buffer.length = 0;
    const slices = [...this.#slices.values()];
    for (const slice of slices) slice.abort.abort(this.#stop.signal.reason);
    const grace = setTimeout(() => {
      for (const slice of this.#slices.values()) slice.slot.replica.kill("cancelled");
    }, cancelGraceMs);
    while (this.#slices.size > 0) await this.#changed();
    clearTimeout(grace);
    this.#pool.remove(this);
  }

  /** Ends a feed that has nothing left to do. */
  finish(): void {
    this.#stop.abort();
    for (const timer of this.#timers) clearInterval(timer);
    this.#pool.remove(this);
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  get #concurrency(): number {
    return this.#spec.options.concurrency ?? 1;
  }

  #suitableCount(): number {
    const perReplica = targetMs / Math.max(this.#itemMs ?? targetMs, 1e-4);
    return Math.max(1, Math.min(maxSliceCount, Math.round(perReplica)));
  }

  #isTooLong({ count }: Chunk): boolean {
    return this.#itemMs !== undefined && count > 2 * this.#suitableCount();
  }

  /** Keeps enough leases at hand that no replica waits for one. */
  async #fill(): Promise<void> {
    if (this.#claiming || this.#stop.signal.aborted) return;
    this.#claiming = true;
    try {
      while (!this.#stop.signal.aborted) {
        this.#releaseSurplus();
        const want = this.#wantedLeases - this.#buffer.length - this.#splitting * slicesPerSplit;
        if (want <= 0) return;
        const leases = await this.#host.queue.claim(this.run, {
          max: want,
          waitMs: claimWaitMs,
          signal: this.#stop.signal,
        });
        if (leases.length === 0) {
          // A queue that says so at once, as it does of a job that ended elsewhere, must not be asked in a circle.
          await new Promise((resolve) => setTimeout(resolve, betweenClaimsMs));
          continue;
        }
        if (this.#stop.signal.aborted) return;
        for (const lease of leases) {
          // Before it is its turn, unless the cache may have some of it, which is seen then.
          if (!this.#spec.options.cache && this.#isTooLong(lease.chunk)) void this.#shorten(lease);
          else this.#buffer.push(lease);
        }
        this.#buffer.sort((a, b) => a.chunk.lo - b.chunk.lo);
        this.#pool.dispatch();
      }
    } catch (error) {
      this.#queueFailed(error);
    } finally {
      this.#claiming = false;
    }
  }

  #shorten(lease: Lease): Promise<void> {
    return this.#split(lease, this.#suitableCount(), slicesPerSplit);
  }

  /** Takes up to `pieces` slices of `size` inputs off the front of a chunk, back in the queue. */
  async #split(lease: Lease, size: number, pieces: number): Promise<void> {
    this.#splitting++;
    const children = splitFront(lease.chunk, size, pieces);
    await this.#settle(lease, [], children);
    this.#splitting--;
    this.#pool.wake();
    void this.#fill();
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
    this.#slices.set(token, slice);
    if (slot.slices.size === 0) this.#busySinceMs.set(replica.id, performance.now());
    slot.slices.set(token, { workload: this, estimateMs, alone: chunk.deaths > 0 });
    slot.lastRun = this.run;
    const begunAtMs = performance.now();
    let settled: Promise<void> | undefined;
    try {
      const { value } = await replica.peer.request(
        "slice",
        {
          run: this.run,
          logFile: this.#host.logFile(this.run, replica.id),
          export: this.#spec.export,
          lo: chunk.lo,
          concurrency: this.#concurrency,
          retries: options.retries ?? 0,
          timeoutMs: options.timeoutMs ?? null,
          deaths: chunk.deaths,
          token,
        },
        { body: chunk.body, signal: slice.abort.signal, onAbort: "wait" },
        (item, body) => {
          const { lo, count, errors } = item as Omit<ResultRange, "body">;
          slice.results.push({ lo, count, errors, body });
          this.#host.onProgress();
        },
      );
      this.#measured(slot, begunAtMs, chunk.count, value.workedMs);
      this.refill();
      if (value.strays > 0) this.#pool.recycle(slot);
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
    if (slot.slices.size === 0) {
      this.#addBusy(replica.id, performance.now());
      this.#busySinceMs.delete(replica.id);
    }
    this.#pool.finished(slot);
    // Settled outcomes count as done only when they are stored, so the slice stays listed until then.
    await settled;
    this.#slices.delete(token);
    for (const wake of this.#waiters.splice(0)) wake();
    this.#host.onProgress();
  }

  /**
   * How long an input takes is what the worker says, without the way there and back: on a busy machine, or with a queue
   * that is far away, that would make short inputs look long. What a replica's time was used for is counted in full:
   * since it last finished a slice, as slices wait in the worker or overlap there.
   */
  #measured(slot: Slot, begunAtMs: number, count: number, workedMs: number): void {
    const now = performance.now();
    this.usedMs += now - Math.max(begunAtMs, slot.finishedAtMs);
    slot.finishedAtMs = now;
    const itemMs = workedMs / count;
    this.#itemMs = this.#itemMs === undefined ? itemMs : this.#itemMs * (1 - freshness) + itemMs * freshness;
  }

  async #settle(lease: Lease, results: readonly ResultRange[], children: readonly NewChunk[]): Promise<void> {
    try {
      await this.#host.queue.settle(lease, { results, children });
    } catch (error) {
      this.#queueFailed(error);
      return;
    }
    if (this.#spec.options.cache) this.#remember(lease.chunk, results);
    if (children.length > 0) void this.#fill();
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
    const earlier = () => [...this.#slices.values()].some(({ lease }) => lease.chunk.lo < lo);
    while (earlier() && !deadline.aborted) await Promise.race([this.#changed(), late]);
  }

  #extendLeases(): void {
    for (const lease of [...this.#buffer, ...[...this.#slices.values()].map((slice) => slice.lease)]) {
      this.#host.queue.extend(lease).catch((error: unknown) => this.#queueFailed(error));
    }
  }

  /** Ends workers that are over an item's time and too busy for their own timer to act. */
  #endOverdue(timeoutMs: number): void {
    // After a pause of this process or the whole machine, the workers had one as well.
    const now = performance.now();
    const pausedMs = now - this.#overdueCheckedAtMs;
    this.#overdueCheckedAtMs = now;
    if (pausedMs > overtimeMs + 1_000) return;
    for (const replica of new Set([...this.#slices.values()].map((slice) => slice.slot.replica))) {
      const { writtenAtMs, slices } = replica.readJournal();
      const working = [...slices.values()].some((active) => active.length > 0);
      if (working && Date.now() - writtenAtMs > timeoutMs + overtimeMs) replica.kill("timeout");
    }
  }

  #queueFailed(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    if (error instanceof FarcallError && (error.code === "disk.full" || error.retryable)) {
      // Nothing is lost: the leases run out and the chunks come again, when there may be room.
      this.#host.onProgress();
      setTimeout(() => void this.#fill(), 1_000).unref();
      return;
    }
    this.#host.onFailed(asFarcallError(error));
  }
}
