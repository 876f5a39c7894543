import type {
  AgentMethods,
  Failure,
  Item,
  MapSpec,
  NodeStatus,
  Params,
  Result,
  RunRecord,
  RunState,
} from "../protocol/messages.ts";
import { hasEnded } from "../protocol/runState.ts";
import { packCount } from "../protocol/pack.ts";
import { type Incoming } from "../protocol/served.ts";
import { fromFailure, toFailure } from "../protocol/failure.ts";
import { hasEnded as isOver } from "../queue/jobState.ts";
import type { JobRecord, JobState, MapQueue, NewChunk } from "../queue/mapQueue.ts";
import type { ResolvedEnv } from "../spec/env.ts";
import { asFarcallError, FarcallError } from "../spec/errors.ts";
import type { RunId } from "../spec/names.ts";
import type { Changes } from "./changes.ts";
import type { SharedCode } from "./fleet/code.ts";
import type { Fleet } from "./fleet/fleet.ts";
import { Feed } from "./feed.ts";
import { GuestMaps } from "./guests/guestMaps.ts";
import { Lender } from "./guests/lender.ts";
import type { RunLogs } from "./logs.ts";
import type { OutcomeCache } from "./outcomeCache.ts";
import type { Pools } from "./pools.ts";
import type { RunStore } from "./runs.ts";
import { label } from "./runWords.ts";
import type { Sample } from "./timeline.ts";
import type { Timelines } from "./timelines.ts";

/** The maps of the node: takes inputs in, keeps a feed for each that runs, gives outcomes out, says when one is over. */

export interface MapsOptions {
  queue: MapQueue;
  cache: OutcomeCache;
  pools: Pools;
  runs: RunStore;
  logs: RunLogs;
  timelines: Timelines;
  changes: Changes;
  /** A map begins to work in an env. */
  onEnv: (env: ResolvedEnv) => void;
  /** Number of this node. */
  node: number;
  /** Of a cluster of several nodes: the others, and code on all of them. */
  fleet?: Fleet;
  code?: SharedCode;
}

interface ActiveMap {
  job: JobRecord;
  spec: MapSpec;
  feed: Feed | undefined;
  /** Connections that are sending inputs. */
  feeders: Set<object>;
  /** Its module is being readied. */
  loading: boolean;
  ending: boolean;
  error: FarcallError | undefined;
}

const endRetryMs = 1_000;
const maxSeen = 10_000;
/** More chunks than clients have on the way at a time. */
const maxStoredApart = 10_000;
/** Of the message of an error that ended a map. */
const maxNoteChars = 16 * 1024;
const pageRanges = 64;
const pageBytes = 1024 * 1024;
const stateOfJob: Record<JobState, RunState> = {
  run: "running",
  pause: "paused",
  done: "done",
  failed: "failed",
  cancelled: "cancelled",
};

export class Maps {
  readonly #options: MapsOptions;
  readonly #active = new Map<RunId, ActiveMap>();
  /** Maps that are known to have ended, so that what still comes of them is not looked at. */
  readonly #seen = new Set<RunId>();
  readonly #changes: Changes;
  /** Lends work of the maps of this cluster to others. */
  readonly lender: Lender;
  /** The maps of other clusters that are worked on here. */
  readonly guests: GuestMaps;

  constructor(options: MapsOptions) {
    this.#options = options;
    this.#changes = options.changes;
    this.guests = new GuestMaps(options);
    this.lender = new Lender(options.queue, {
      onInputFailed: (run, lo) => this.#active.get(run)?.feed?.inputFailed(lo),
      onSaid: (run) => this.#changes.announce(run),
    });
    options.queue.onChange((run) => {
      this.#changes.announce(run);
      void this.#look(run);
    });
  }

  /** What this node works on. */
  working(): NodeStatus["maps"] {
    const own = [...this.#active].flatMap(([run, { feed }]) => {
      const { replicas = 0, activeInputs: active = 0 } = feed ?? {};
      const guests = this.lender.working(run);
      return replicas + guests.length > 0 ? [{ run, active, replicas, ...(guests.length > 0 ? { guests } : {}) }] : [];
    });
    return [...own, ...this.guests.working()];
  }

  /** Takes up the maps that were running when the last agent ended. */
  async restore(): Promise<void> {
    const { queue } = this.#options;
    for (const head of await queue.jobs()) {
      const job = isOver(head) ? undefined : await queue.job(head.id);
      if (!job) {
        await this.#noteEnded(head.id);
        continue;
      }
      const map = this.#track(job);
      void this.#begin(map).then(() => this.#checkEnd(job.id));
    }
  }

  /** There may be more or fewer replicas to work with. */
  refill(): void {
    for (const { feed } of this.#active.values()) feed?.refill();
    this.guests.refill();
  }

  /**
   * Follows what became of a map, here or on another node: one that was begun there, went on, paused or ended. It is
   * told of every change, so while nothing of the kind has happened it looks at what is in memory alone.
   */
  async #look(run: RunId): Promise<void> {
    const { queue } = this.#options;
    if (!this.#active.has(run) && this.#seen.has(run)) return;
    try {
      const head = await queue.head(run);
      if (!head) return;
      const known = this.#active.get(run)?.job;
      const isKnown = known && head.revision <= known.revision && head.total === known.total;
      const job = isKnown ? known : await queue.job(run);
      if (!job) return;
      if (isOver(job)) {
        this.#see(run);
        const map = this.#active.get(run);
        if (!map) await this.#noteEnded(run);
        else if (!map.ending) await this.#leave(map, job);
        return;
      }
      const map = this.#active.get(run) ?? this.#track(job);
      if (!isKnown) map.job = job;
      if (map.job.state === "run" && !map.feed && !map.loading && !map.ending) await this.#begin(map);
      await this.#checkEnd(run);
    } catch {
      // The queue cannot say now; it tells of the next change.
    }
  }

  /** What is forgotten here is looked at once more when something still comes of it. */
  #see(run: RunId): void {
    if (this.#seen.size >= maxSeen) this.#seen.clear();
    this.#seen.add(run);
  }

  /** Records a map that ended while this node was away, so that it is listed here as on the others. */
  async #noteEnded(run: RunId): Promise<void> {
    const { runs } = this.#options;
    const stored = runs.get(run);
    if (stored && hasEnded(stored.state)) return;
    runs.save({ ...(await this.record(run)), endedAtMs: Date.now() });
  }

  /** Gives up a map that another node has ended. */
  async #leave(map: ActiveMap, job: JobRecord): Promise<void> {
    map.ending = true;
    map.job = job;
    map.error = errorOf(job);
    if (job.state === "done") map.feed?.finish();
    else await map.feed?.cancel();
    await this.#close(map, stateOfJob[job.state]);
  }

  /** Maps that have work to do or somebody who brings some. */
  async activeCount(): Promise<number> {
    let count = this.guests.count;
    for (const [run, map] of this.#active) {
      const { pending, leased } = await this.#options.queue.counts(run);
      if (map.job.state === "run" && (map.feeders.size > 0 || pending + leased > 0)) count++;
    }
    return count;
  }

  async create({ run, spec }: Params<AgentMethods["map.create"]>, feeder: object): Promise<RunRecord> {
    const existing = await this.#options.queue.job(run);
    if (existing) {
      const before = JSON.parse(existing.spec) as MapSpec;
      if (before.module.bundle.hash !== spec.module.bundle.hash || before.export !== spec.export) {
        throw new FarcallError("run.mismatch", `The run ${run} maps other code: ${label(before)} as it was then.`, {
          hint: "Map the changed code in a new run.",
        });
      }
    }
    if (!existing) {
      await this.#options.pools.findRoom(spec.module.env);
      await this.#options.code?.spread(spec.module.bundle);
    }
    const job =
      existing ??
      (await this.#options.queue.createJob({ id: run, spec: JSON.stringify(spec), createdAtMs: Date.now() }));
    this.#options.runs.saveBundle(spec.module.bundle);
    const map = this.#active.get(run) ?? (isOver(job) ? undefined : this.#track(job));
    if (map) {
      map.feeders.add(feeder);
      if (!map.feed) await this.#begin(map);
    }
    const record = await this.record(run);
    this.#options.runs.save(record);
    this.#changes.announce(run);
    return record;
  }

  /** Has a connection send the rest of a map's inputs, unless another one does: two would cut them differently. */
  async take(run: RunId, feeder: object): Promise<Result<AgentMethods["map.take"]>> {
    const map = this.#active.get(run);
    const taken = map !== undefined && [...map.feeders].every((each) => each === feeder);
    if (taken) {
      map.feeders.add(feeder);
      if (!map.feed) await this.#begin(map);
      this.#changes.announce(run);
    }
    const record = await this.record(run);
    const stored = taken ? await this.#options.queue.storedFrom(run, record.accepted, maxStoredApart) : [];
    return { taken, stored, record };
  }

  leave(run: RunId, feeder: object): void {
    if (this.#active.get(run)?.feeders.delete(feeder)) this.#changes.announce(run);
  }

  get queue(): MapQueue {
    return this.#options.queue;
  }

  /** What a map was asked to be; undefined for an id that is no map's. */
  async spec(run: RunId): Promise<MapSpec | undefined> {
    const job = await this.#options.queue.job(run);
    return job && (JSON.parse(job.spec) as MapSpec);
  }

  /** Maps that work in an env now, among those that `uses` says yes to. */
  busyRuns(uses: (env: ResolvedEnv) => boolean): RunId[] {
    const own = [...this.#active].flatMap(([run, { job, spec, feed, feeders, loading }]) => {
      const rests = job.state === "pause" || (feeders.size === 0 && (feed?.wanted ?? 0) === 0);
      const idle = rests && !loading && (feed?.activeInputs ?? 0) === 0;
      return uses(spec.module.env) && !idle ? [run] : [];
    });
    return [...own, ...this.guests.busyRuns(uses)];
  }

  /** Takes maps that do not work now off their pools, which are about to end; they are readied anew when they go on. */
  detach(uses: (env: ResolvedEnv) => boolean): void {
    for (const map of this.#active.values()) {
      if (!uses(map.spec.module.env)) continue;
      map.feed?.finish();
      map.feed = undefined;
    }
  }

  async add({ run, chunks }: Params<AgentMethods["map.add"]>, body: Uint8Array, feeder: object): Promise<void> {
    this.#active.get(run)?.feeders.add(feeder);
    const news: NewChunk[] = [];
    let at = 0;
    for (const { lo, count, bytes } of chunks) {
      const pack = body.subarray(at, at + bytes);
      at += bytes;
      if (packCount(pack) !== count)
        throw new FarcallError("protocol.invalid", "A chunk does not hold as many inputs as it says.");
      news.push({ lo, count, body: pack });
    }
    await this.#options.queue.addChunks(run, news);
  }

  async closeInput({ run, total }: Params<AgentMethods["map.close"]>): Promise<void> {
    await this.#options.queue.closeInput(run, total);
    await this.#refresh(run);
    await this.#checkEnd(run);
  }

  /** A connection that may have been sending inputs is gone. */
  feederGone(feeder: object): void {
    for (const [run, map] of this.#active) if (map.feeders.delete(feeder)) this.#changes.announce(run);
  }

  async control({ run, to }: Params<AgentMethods["run.control"]>): Promise<RunRecord> {
    const map = this.#active.get(run);
    if (!map && to === "cancel") await this.guests.cancel(run);
    else if (map && to === "cancel") await this.#end(map, "cancelled");
    else if (map) {
      const wanted = to === "pause" ? "pause" : "run";
      if (map.job.state !== wanted) await this.#setState(map, wanted);
      if (wanted === "run" && !map.feed) void this.#begin(map);
    }
    return this.record(run);
  }

  async record(run: RunId): Promise<RunRecord> {
    const { queue, runs } = this.#options;
    const map = this.#active.get(run);
    const stored = this.guests.record(run) ?? runs.get(run);
    if (stored?.kind === "call") return stored;
    const job = await queue.job(run);
    if (!job) {
      if (stored) return stored;
      throw runUnknown(run);
    }
    const spec = map?.spec ?? (JSON.parse(job.spec) as MapSpec);
    const counts = await queue.counts(run);
    const unsettled = map?.feed?.unsettled ?? { done: 0, failed: 0 };
    const nodes = map ? this.#elsewhere(run) : [];
    const lent = nodes.flatMap(({ guests = [] }) => guests);
    const guests = await this.lender.parts(run, lent);
    const elsewhere = [...nodes, ...guests];
    let state = stateOfJob[job.state];
    const starved = job.total === undefined && counts.pending + counts.leased === 0;
    if (state === "running" && starved && (map?.feeders.size ?? 0) === 0) state = "interrupted";
    return {
      id: run,
      kind: "map",
      label: label(spec),
      env: spec.module.env.name,
      state,
      createdAtMs: job.createdAtMs,
      endedAtMs: stored?.endedAtMs ?? null,
      total: job.total ?? null,
      accepted: job.accepted,
      done: counts.settled + unsettled.done,
      failed: counts.errors + unsettled.failed,
      active: (map?.feed?.activeInputs ?? 0) + sum(elsewhere, ({ active }) => active),
      replicas: (map?.feed?.replicas ?? 0) + sum(elsewhere, ({ replicas }) => replicas),
      error: failureOf(map?.error ?? errorOf(job)) ?? stored?.error ?? null,
      costUsd: 0,
      source: spec.module.source,
      bundle: spec.module.bundle.hash,
      ...(guests.length > 0 ? { guests } : {}),
    };
  }

  /** What other nodes of this cluster do of a map. */
  #elsewhere(run: RunId): NodeStatus["maps"] {
    const others = this.#options.fleet?.elsewhere() ?? [];
    return others.flatMap(({ maps }) => maps.filter((each) => each.run === run));
  }

  /** Of a map of another cluster that was worked on here there are no outcomes: they are where it belongs. */
  #isElsewhere(run: RunId): boolean {
    return this.guests.has(run) || this.#options.runs.get(run)?.home !== undefined;
  }

  /** Sends outcomes until the run has ended and all were sent, or with `follow` false until there are no more. */
  async outcomes(
    query: Params<AgentMethods["map.outcomes"]>,
    incoming: Incoming<Item<AgentMethods["map.outcomes"]>>,
  ): Promise<Result<AgentMethods["map.outcomes"]>> {
    const { queue } = this.#options;
    const { run, order, errorsOnly = false, follow } = query;
    const { signal } = incoming;
    let from = query.from;
    while (!signal.aborted) {
      const version = this.#changes.version(run);
      const job = await queue.head(run);
      if (!job && this.#isElsewhere(run)) {
        if (!follow || !this.guests.has(run)) break;
        await this.#changes.wait(run, version, signal);
        continue;
      }
      if (!job) throw runUnknown(run);
      const mayGrow = follow && !isOver(job);
      const page = await queue.outcomes(run, { order, from, limit: pageRanges, limitBytes: pageBytes, errorsOnly });
      let sent = 0;
      for (const { lo, count, sequence, body } of page.ranges) {
        // In input order a gap means that an earlier input is still being worked, unless none will be any more.
        if (order === "index" && !errorsOnly && mayGrow && lo > from) break;
        await incoming.send({ lo, count, sequence }, body);
        if (signal.aborted) break;
        from = order === "index" ? lo + count : sequence;
        sent++;
      }
      if (sent > 0) continue;
      if (!mayGrow) break;
      await this.#changes.wait(run, version, signal);
    }
    return { record: await this.record(run) };
  }

  /** Sends the record whenever it changed, no more often than `everyMs`, until the run has ended. */
  async watch(run: RunId, everyMs: number, incoming: Incoming<{ record: RunRecord }>): Promise<void> {
    const { signal } = incoming;
    while (!signal.aborted) {
      const version = this.#changes.version(run);
      const record = await this.record(run);
      await incoming.send({ record });
      if (hasEnded(record.state)) return;
      await this.#changes.wait(run, version, signal);
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  /** Paused maps stay as they are, for the next agent. */
  async cancelRunning(): Promise<void> {
    const running = [...this.#active.values()].filter((map) => map.job.state === "run");
    await Promise.all([...running.map((map) => this.#end(map, "cancelled")), this.guests.cancelAll()]);
  }

  async close(): Promise<void> {
    for (const map of this.#active.values()) map.feed?.finish();
    this.guests.close();
    await this.#options.timelines.close();
    this.#active.clear();
  }

  isLive(run: RunId): boolean {
    return this.#active.has(run) || this.guests.has(run);
  }

  #track(job: JobRecord): ActiveMap {
    const map: ActiveMap = {
      job,
      spec: JSON.parse(job.spec) as MapSpec,
      feed: undefined,
      feeders: new Set(),
      loading: false,
      ending: false,
      error: undefined,
    };
    this.#active.set(job.id, map);
    this.#options.timelines.begin(job.id, () => this.#sample(map));
    return map;
  }

  async #sample({ job, feed }: ActiveMap): Promise<Sample> {
    const { settled, errors } = await this.#options.queue.counts(job.id);
    const { done, failed } = feed?.unsettled ?? { done: 0, failed: 0 };
    return {
      done: settled + done,
      failed: errors + failed,
      active: (feed?.activeInputs ?? 0) + sum(this.lender.working(job.id), ({ active }) => active),
      busyMs: feed?.takeBusyMs() ?? new Map(),
    };
  }

  /** Starts working: readies the module, which a restarted agent has to do again. */
  async #begin(map: ActiveMap): Promise<void> {
    const { pools, queue, cache, logs, code, onEnv } = this.#options;
    const { id: run } = map.job;
    map.loading = true;
    try {
      onEnv(map.spec.module.env);
      const isWanted = () => !map.ending && this.#active.get(run) === map;
      await code?.fetch(map.spec.module.bundle, isWanted);
      if (!isWanted()) return;
      const { pool } = await pools.load(map.spec.module);
      if (map.feed || map.ending) return;
      map.feed = new Feed(run, map.spec, pool, {
        queue,
        cache,
        logFile: (id, replica) => logs.file(id, replica),
        onProgress: () => this.#changes.announce(run),
        onFirstError: () => void this.#end(map, "failed", stoppedAtError()),
        onFailed: (error) => void this.#end(map, "failed", error),
        othersWork: () => this.#elsewhere(run).some(({ replicas }) => replicas > 0),
      });
      map.feed.start();
    } catch (error) {
      await this.#end(map, "failed", asFarcallError(error));
    } finally {
      map.loading = false;
    }
  }

  async #refresh(run: RunId): Promise<void> {
    const map = this.#active.get(run);
    const job = await this.#options.queue.job(run);
    if (map && job) map.job = job;
  }

  async #checkEnd(run: RunId): Promise<void> {
    const map = this.#active.get(run);
    if (!map || map.ending || map.job.total === undefined) return;
    const { settled, errors } = await this.#options.queue.counts(run);
    if (settled < map.job.total) return;
    if (errors > 0 && map.spec.options.onError !== "collect") await this.#end(map, "failed", stoppedAtError());
    else await this.#end(map, "done");
  }

  async #setState(map: ActiveMap, to: JobState, error?: FarcallError): Promise<void> {
    const { id: run, revision } = map.job;
    const note = error && noteOf(error);
    map.job = {
      ...map.job,
      revision: await this.#options.queue.setState(run, to, revision, note),
      state: to,
      note,
    };
    this.#changes.announce(run);
  }

  async #end(map: ActiveMap, to: "done" | "failed" | "cancelled", error?: FarcallError): Promise<void> {
    if (map.ending) return;
    map.ending = true;
    map.error = error;
    const run = map.job.id;
    // Others see the state the moment it is set; what cannot be stored for want of space is tried until it can.
    while (this.#active.get(run) === map) {
      try {
        await this.#setState(map, to, error);
        break;
      } catch (cause) {
        // Another node was first, or has paused it: what the queue has is what counts.
        if (cause instanceof FarcallError && cause.code === "run.state" && !(await this.#retakes(map))) break;
        await new Promise((resolve) => setTimeout(resolve, endRetryMs).unref());
      }
    }
    if (to === "done") map.feed?.finish();
    else await map.feed?.cancel();
    await this.#close(map, stateOfJob[map.job.state]);
  }

  /** Whether the map has not ended in the queue, so that it can be tried again to end it; takes over how it stands. */
  async #retakes(map: ActiveMap): Promise<boolean> {
    const job = await this.#options.queue.job(map.job.id);
    if (!job) return false;
    map.job = job;
    const goesOn = !isOver(job);
    if (!goesOn) map.error = errorOf(job);
    return goesOn;
  }

  /** Writes down how a map ended. */
  async #close(map: ActiveMap, to: RunState): Promise<void> {
    const run = map.job.id;
    const { error } = map;
    const record = await this.record(run);
    // A picture of how it went is no reason to keep anyone waiting who wants to know that it is over.
    await this.#options.timelines.end(run).catch(() => undefined);
    this.#active.delete(run);
    this.#options.runs.save({
      ...record,
      state: to,
      endedAtMs: Date.now(),
      active: 0,
      error: failureOf(error) ?? null,
      ...(record.guests ? { guests: record.guests.map((part) => ({ ...part, active: 0, replicas: 0 })) } : {}),
    });
    this.lender.forget(run);
    this.#options.logs.grew(run);
    this.#changes.announce(run);
  }
}

export function runUnknown(run: RunId): FarcallError {
  return new FarcallError("run.unknown", `There is no run ${run}.`, { hint: "`farcall runs` lists them." });
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

/** Why a map ended, for the queue to tell all nodes. */
function noteOf(error: FarcallError): string {
  const failure = toFailure(error);
  return JSON.stringify({ ...failure, message: failure.message.slice(0, maxNoteChars) });
}

/** What the queue has on why a map ended, whichever node ended it. */
function errorOf({ note }: JobRecord): FarcallError | undefined {
  return note === undefined ? undefined : fromFailure(JSON.parse(note) as Failure);
}

function failureOf(error: FarcallError | undefined): Failure | undefined {
  return error && toFailure(error);
}

function stoppedAtError(): FarcallError {
  return new FarcallError("item.failed", "An input failed, and the map was to stop at that.");
}
