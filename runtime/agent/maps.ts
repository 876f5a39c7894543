import type { AgentMethods } from "../protocol/messages/agent.ts";
import type { Params, Result } from "../protocol/messages/catalogue.ts";
import type { MapSpec } from "../protocol/messages/maps.ts";
import type { NodeMap } from "../protocol/messages/nodes.ts";
import type { RunRecord } from "../protocol/messages/runs.ts";
import { packCount } from "../protocol/pack.ts";
import { hasEnded } from "../protocol/runState.ts";
import { hasEnded as isOver } from "../queue/jobState.ts";
import type { JobRecord, MapQueue, NewChunk } from "../queue/mapQueue.ts";
import type { ResolvedEnv } from "../spec/env.ts";
import { FarcallError } from "../spec/errors.ts";
import type { RunId } from "../spec/names.ts";
import { ActiveMap, type ActiveMapHost, type MapParts } from "./activeMap.ts";
import type { Changes } from "./changes.ts";
import type { Fleet } from "./fleet/fleet.ts";
import { GuestMaps } from "./guests/guestMaps.ts";
import { Lender } from "./guests/lender.ts";
import { mapRecord } from "./mapRecord.ts";
import { label, mapSpecOf, runUnknown } from "./runWords.ts";

/** The maps of the node: takes inputs in, keeps a feed for each that runs, gives outcomes out, says when one is over. */

export interface MapsOptions extends MapParts {
  /** Number of this node. */
  node: number;
  /** The other nodes of a cluster of several. */
  fleet?: Fleet;
}

const maxSeen = 10_000;
/** More chunks than clients have on the way at a time. */
const maxStoredApart = 10_000;

export class Maps {
  readonly #options: MapsOptions;
  readonly #host: ActiveMapHost;
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
    this.#host = {
      ...options,
      lender: this.lender,
      elsewhere: (run) => this.#elsewhere(run),
      record: (run) => this.record(run),
      onOver: ({ run }) => this.#active.delete(run),
    };
    options.queue.onChange((run) => {
      this.#changes.announce(run);
      void this.#look(run);
    });
  }

  /** What this node works on. */
  working(): NodeMap[] {
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
      const map = this.#active.get(job.id) ?? this.#track(job);
      void map.begin().then(() => map.checkEnd());
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
        else if (!map.isEnding) await map.leave(job);
        return;
      }
      const map = this.#active.get(run) ?? this.#track(job);
      if (!isKnown) map.job = job;
      if (map.job.state === "run" && !map.feed && !map.isLoading && !map.isEnding) await map.begin();
      await map.checkEnd();
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
      const before = mapSpecOf(existing);
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
      if (!map.feed) await map.begin();
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
      if (!map.feed) await map.begin();
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
    return job && mapSpecOf(job);
  }

  /** Maps that work in an env now, among those that `uses` says yes to. */
  busyRuns(uses: (env: ResolvedEnv) => boolean): RunId[] {
    const own = [...this.#active].flatMap(([run, { job, spec, feed, feeders, isLoading }]) => {
      const rests = job.state === "pause" || (feeders.size === 0 && (feed?.wanted ?? 0) === 0);
      const idle = rests && !isLoading && (feed?.activeInputs ?? 0) === 0;
      return uses(spec.module.env) && !idle ? [run] : [];
    });
    return [...own, ...this.guests.busyRuns(uses)];
  }

  /** Takes maps that do not work now off their pools, which are about to end; they are readied anew when they go on. */
  detach(uses: (env: ResolvedEnv) => boolean): void {
    for (const map of this.#active.values()) if (uses(map.spec.module.env)) map.detach();
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
    const map = this.#active.get(run);
    await map?.refresh();
    await map?.checkEnd();
  }

  /** A connection that may have been sending inputs is gone. */
  feederGone(feeder: object): void {
    for (const [run, map] of this.#active) if (map.feeders.delete(feeder)) this.#changes.announce(run);
  }

  async control({ run, to }: Params<AgentMethods["run.control"]>): Promise<RunRecord> {
    const map = this.#active.get(run);
    if (!map && to === "cancel") await this.guests.cancel(run);
    else if (map && to === "cancel") await map.end("cancelled");
    else if (map) {
      const wanted = to === "pause" ? "pause" : "run";
      if (map.job.state !== wanted) await map.setState(wanted);
      if (wanted === "run" && !map.feed) void map.begin();
    }
    return this.record(run);
  }

  async record(run: RunId): Promise<RunRecord> {
    const { queue, runs } = this.#options;
    const active = this.#active.get(run);
    const stored = this.guests.record(run) ?? runs.get(run);
    if (stored?.kind === "call") return stored;
    const job = await queue.job(run);
    if (!job) {
      if (stored) return stored;
      throw runUnknown(run);
    }
    const elsewhere = active ? this.#elsewhere(run) : [];
    const lent = elsewhere.flatMap(({ guests = [] }) => guests);
    return mapRecord({
      job,
      spec: active?.spec ?? mapSpecOf(job),
      counts: await queue.counts(run),
      active,
      stored,
      elsewhere,
      guests: await this.lender.parts(run, lent),
    });
  }

  /** What other nodes of this cluster do of a map. */
  #elsewhere(run: RunId): NodeMap[] {
    const others = this.#options.fleet?.elsewhere() ?? [];
    return others.flatMap(({ maps }) => maps.filter((each) => each.run === run));
  }

  /** Of a map of another cluster that was worked on here there are no outcomes: they are where it belongs. */
  isElsewhere(run: RunId): boolean {
    return this.guests.has(run) || this.#options.runs.get(run)?.home !== undefined;
  }

  /** Paused maps stay as they are, for the next agent. */
  async cancelRunning(): Promise<void> {
    const running = [...this.#active.values()].filter((map) => map.job.state === "run");
    await Promise.all([...running.map((map) => map.end("cancelled")), this.guests.cancelAll()]);
  }

  async close(): Promise<void> {
    for (const map of this.#active.values()) map.drop();
    this.guests.close();
    await this.#options.timelines.close();
    this.#active.clear();
  }

  isLive(run: RunId): boolean {
    return this.#active.has(run) || this.guests.has(run);
  }

  #track(job: JobRecord): ActiveMap {
    const map = new ActiveMap(job, this.#host);
    this.#active.set(map.run, map);
    return map;
  }
}
