import { toFailure } from "../protocol/failure.ts";
import type { MapSpec } from "../protocol/messages/maps.ts";
import type { RunRecord } from "../protocol/messages/runs.ts";
import { hasEnded } from "../queue/jobState.ts";
import type { JobRecord, JobState, MapQueue } from "../queue/mapQueue.ts";
import type { ResolvedEnv } from "../spec/env.ts";
import { asFarcallError, FarcallError } from "../spec/errors.ts";
import type { RunId } from "../spec/names.ts";
import type { Changes } from "./changes.ts";
import { Feed } from "./feed.ts";
import type { SharedCode } from "./fleet/code.ts";
import type { Lender } from "./guests/lender.ts";
import type { RunLogs } from "./logs.ts";
import { errorOf, noteOf, stateOfJob, stoppedAtError } from "./mapEnd.ts";
import type { OutcomeCache } from "./outcomeCache.ts";
import type { Pools } from "./pools.ts";
import type { RunStore } from "./runs.ts";
import { mapSpecOf } from "./runWords.ts";
import type { Sample } from "./timeline.ts";
import type { Timelines } from "./timelines.ts";

/** A map that has not ended, on this node: who sends its inputs, its feed, and how it ends, here or on another node. */

/** What maps are worked on with. */
export interface MapParts {
  queue: MapQueue;
  cache: OutcomeCache;
  pools: Pools;
  runs: RunStore;
  logs: RunLogs;
  timelines: Timelines;
  changes: Changes;
  /** Of a cluster of several nodes: code on all of them. */
  code?: SharedCode;
  /** A map begins to work in an env. */
  onEnv: (env: ResolvedEnv) => void;
}

export interface ActiveMapHost extends MapParts {
  lender: Lender;
  /** What other nodes of this cluster do of a map. */
  elsewhere: (run: RunId) => { active: number; replicas: number }[];
  record: (run: RunId) => Promise<RunRecord>;
  /** It has ended, and this is the last that is heard of it. */
  onOver: (map: ActiveMap) => void;
}

const endRetryMs = 1_000;

export class ActiveMap {
  readonly run: RunId;
  readonly spec: MapSpec;
  /** As it is known to stand in the queue. */
  job: JobRecord;
  /** Connections that are sending inputs. */
  readonly feeders = new Set<object>();
  readonly #host: ActiveMapHost;
  #feed: Feed | undefined;
  #isLoading = false;
  #isEnding = false;
  /** The node has let go of it. */
  #isGone = false;
  #error: FarcallError | undefined;

  constructor(job: JobRecord, host: ActiveMapHost) {
    this.run = job.id;
    this.job = job;
    this.spec = mapSpecOf(job);
    this.#host = host;
    host.timelines.begin(job.id, () => this.#sample());
  }

  /** Undefined while it is not worked on. */
  get feed(): Feed | undefined {
    return this.#feed;
  }

  /** Its module is being readied. */
  get isLoading(): boolean {
    return this.#isLoading;
  }

  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** Why it fails. */
  get error(): FarcallError | undefined {
    return this.#error;
  }

  async #sample(): Promise<Sample> {
    const feed = this.#feed;
    const { settled, errors } = await this.#host.queue.counts(this.run);
    const { done, failed } = feed?.unsettled ?? { done: 0, failed: 0 };
    const lent = this.#host.lender.working(this.run);
    return {
      done: settled + done,
      failed: errors + failed,
      active: (feed?.activeInputs ?? 0) + lent.reduce((sum, { active }) => sum + active, 0),
      busyMs: feed?.takeBusyMs() ?? new Map(),
    };
  }

  /** Starts working: readies the module, which a restarted agent has to do again. */
  async begin(): Promise<void> {
    const { pools, queue, cache, logs, code, onEnv, changes, elsewhere } = this.#host;
    const { run, spec } = this;
    this.#isLoading = true;
    try {
      onEnv(spec.module.env);
      const isWanted = () => !this.#isEnding && !this.#isGone;
      await code?.fetch(spec.module.bundle, isWanted);
      if (!isWanted()) return;
      const { pool } = await pools.load(spec.module);
      if (this.#feed || this.#isEnding) return;
      this.#feed = new Feed(run, spec, pool, {
        queue,
        cache,
        logFile: (id, replica) => logs.file(id, replica),
        onProgress: () => changes.announce(run),
        onFirstError: () => void this.end("failed", stoppedAtError()),
        onFailed: (error) => void this.end("failed", error),
        othersWork: () => elsewhere(run).some(({ replicas }) => replicas > 0),
      });
      this.#feed.start();
    } catch (error) {
      await this.end("failed", asFarcallError(error));
    } finally {
      this.#isLoading = false;
    }
  }

  /** Takes it off its pool, which is about to end; it is readied anew when it goes on. */
  detach(): void {
    this.#feed?.finish();
    this.#feed = undefined;
  }

  /** The node lets go of it as it stands. */
  drop(): void {
    this.#feed?.finish();
    this.#isGone = true;
  }

  async refresh(): Promise<void> {
    const job = await this.#host.queue.job(this.run);
    if (job) this.job = job;
  }

  /** Ends it if nothing is left to do. */
  async checkEnd(): Promise<void> {
    if (this.#isGone || this.#isEnding || this.job.total === undefined) return;
    const { settled, errors } = await this.#host.queue.counts(this.run);
    if (settled < this.job.total) return;
    if (errors > 0 && this.spec.options.onError !== "collect") await this.end("failed", stoppedAtError());
    else await this.end("done");
  }

  /** Throws `run.state` when the queue has it in another state than this node knew. */
  async setState(to: JobState, error?: FarcallError): Promise<void> {
    const note = error && noteOf(error);
    this.job = {
      ...this.job,
      revision: await this.#host.queue.setState(this.run, to, this.job.revision, note),
      state: to,
      note,
    };
    this.#host.changes.announce(this.run);
  }

  async end(to: "done" | "failed" | "cancelled", error?: FarcallError): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#error = error;
    // Others see the state the moment it is set; what cannot be stored for want of space is tried until it can.
    while (!this.#isGone) {
      try {
        await this.setState(to, error);
        break;
      } catch (cause) {
        // Another node was first, or has paused it: what the queue has is what counts.
        if (cause instanceof FarcallError && cause.code === "run.state" && !(await this.#retakes())) break;
        await new Promise((resolve) => setTimeout(resolve, endRetryMs).unref());
      }
    }
    if (to === "done") this.#feed?.finish();
    else await this.#feed?.cancel();
    await this.#close();
  }

  /** Whether it has not ended in the queue, so that it can be tried again to end it; takes over how it stands. */
  async #retakes(): Promise<boolean> {
    const job = await this.#host.queue.job(this.run);
    if (!job) return false;
    this.job = job;
    const goesOn = !hasEnded(job);
    if (!goesOn) this.#error = errorOf(job);
    return goesOn;
  }

  /** Gives it up, as another node has ended it. */
  async leave(job: JobRecord): Promise<void> {
    this.#isEnding = true;
    this.job = job;
    this.#error = errorOf(job);
    if (job.state === "done") this.#feed?.finish();
    else await this.#feed?.cancel();
    await this.#close();
  }

  /** Writes down how it ended. */
  async #close(): Promise<void> {
    const { runs, logs, timelines, changes, lender } = this.#host;
    const { run } = this;
    const state = stateOfJob[this.job.state];
    const error = this.#error ? toFailure(this.#error) : null;
    const record = await this.#host.record(run);
    // A picture of how it went is no reason to keep anyone waiting who wants to know that it is over.
    await timelines.end(run).catch(() => undefined);
    this.#isGone = true;
    this.#host.onOver(this);
    runs.save({
      ...record,
      state,
      endedAtMs: Date.now(),
      active: 0,
      error,
      ...(record.guests ? { guests: record.guests.map((part) => ({ ...part, active: 0, replicas: 0 })) } : {}),
    });
    lender.forget(run);
    logs.grew(run);
    changes.announce(run);
  }
}
