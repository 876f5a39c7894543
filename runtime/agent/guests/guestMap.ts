import type { MapSpec } from "../../protocol/messages/maps.ts";
import type { RunRecord } from "../../protocol/messages/runs.ts";
import type { AskWork } from "../../protocol/passOn.ts";
import { toFailure } from "../../protocol/failure.ts";
import { asFarcallError, type FarcallError } from "../../spec/errors.ts";
import type { RunId } from "../../spec/names.ts";
import { Feed, type FeedHost } from "../feed.ts";
import type { Pool } from "../pool.ts";
import { label } from "../runWords.ts";
import { BorrowedWork } from "./borrowedWork.ts";

/** A map of another cluster on this node: a feed as for any map, whose work is borrowed. */
export interface GuestMapOptions extends Pick<FeedHost, "cache" | "logFile" | "onProgress"> {
  run: RunId;
  spec: MapSpec;
  /** The cluster that the map belongs to, and by which name that knows this one. */
  home: string;
  cluster: string;
  node: number;
  ask: AskWork;
  /** What was written down of it before a connection was lost. */
  before: RunRecord | undefined;
}

const sayEveryMs = 500;

export class GuestMap {
  readonly run: RunId;
  readonly spec: MapSpec;
  readonly ask: AskWork;
  readonly home: string;
  readonly #options: GuestMapOptions;
  readonly #createdAtMs: number;
  readonly #over = Promise.withResolvers<void>();
  #feed: Feed | undefined;
  #state: RunRecord["state"] = "running";
  #error: FarcallError | undefined;
  #done: number;
  #failed: number;
  #endedAtMs: number | null = null;
  #said = "";

  constructor(options: GuestMapOptions) {
    this.run = options.run;
    this.spec = options.spec;
    this.ask = options.ask;
    this.home = options.home;
    this.#options = options;
    this.#createdAtMs = options.before?.createdAtMs ?? Date.now();
    this.#done = options.before?.done ?? 0;
    this.#failed = options.before?.failed ?? 0;
    this.#over.promise.catch(() => undefined);
  }

  /** Works on the map until it has ended or `leave` is called; rejects when it cannot. */
  async work(ready: () => Promise<Pool>): Promise<void> {
    try {
      // Told to leave while its module is being readied, it is not waited for.
      const pool = await Promise.race([ready(), this.#over.promise]);
      if (!pool) return;
      const work = this.#borrow();
      const feed = (this.#feed = this.#makeFeed(pool, work));
      feed.start();
      const saying = setInterval(() => this.#say(work), sayEveryMs);
      try {
        await this.#over.promise;
      } finally {
        clearInterval(saying);
        await feed.cancel();
      }
    } catch (error) {
      this.#error = asFarcallError(error);
      throw this.#error;
    } finally {
      this.#state = this.#error === undefined ? "done" : this.#error.code === "run.cancelled" ? "cancelled" : "failed";
      this.#endedAtMs = Date.now();
    }
  }

  #borrow(): BorrowedWork {
    const { run, cluster, node, ask, onProgress } = this.#options;
    return new BorrowedWork({
      ask,
      run,
      cluster,
      node,
      onEnded: () => this.leave(),
      onStored: (results) => {
        for (const { count, errors } of results) {
          this.#done += count;
          this.#failed += errors;
        }
        onProgress();
      },
    });
  }

  #makeFeed(pool: Pool, queue: BorrowedWork): Feed {
    const { run, spec, cache, logFile, onProgress } = this.#options;
    return new Feed(run, spec, pool, {
      queue,
      cache,
      logFile,
      onProgress,
      // The map's home sees the same when the outcome is settled, and ends it.
      onFirstError: () => undefined,
      onFailed: (error) => this.leave(error),
      // Where no worker stays alive the node leaves: the map's home goes on, and says why.
      othersWork: () => false,
    });
  }

  /** Says how much is worked here, if that has changed. It is said again when it could not be. */
  #say(work: BorrowedWork): void {
    const now = { replicas: this.replicas, active: this.activeInputs };
    const said = JSON.stringify(now);
    if (said === this.#said) return;
    this.#said = said;
    work.say(now).catch(() => (this.#said = ""));
  }

  /** Ends the part of this node, with an error if that is why. What is begun is cancelled. */
  leave(error?: FarcallError): void {
    if (error) this.#over.reject(error);
    else this.#over.resolve();
  }

  refill(): void {
    this.#feed?.refill();
  }

  get replicas(): number {
    return this.#feed?.replicas ?? 0;
  }

  get activeInputs(): number {
    return this.#feed?.activeInputs ?? 0;
  }

  get record(): RunRecord {
    const { run, spec, home } = this;
    const { bundle, env, source } = spec.module;
    const unsettled = this.#feed?.unsettled ?? { done: 0, failed: 0 };
    return {
      id: run,
      kind: "map",
      label: label(spec),
      env: env.name,
      state: this.#state,
      createdAtMs: this.#createdAtMs,
      endedAtMs: this.#endedAtMs,
      total: null,
      accepted: 0,
      done: this.#done + unsettled.done,
      failed: this.#failed + unsettled.failed,
      active: this.activeInputs,
      replicas: this.replicas,
      error: this.#error ? toFailure(this.#error) : null,
      costUsd: 0,
      source,
      bundle: bundle.hash,
      home,
    };
  }
}
