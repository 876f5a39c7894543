import type { GuestPart, RunRecord } from "../protocol/messages/runs.ts";
import type { MapSpec } from "../protocol/messages/maps.ts";
import { FarcallError } from "../spec/errors.ts";
import { newRunId } from "../spec/names.ts";
import type { Inputs } from "../spec/inputs.ts";
import { type GuestOptions, Guests } from "./guests/guest.ts";
import type { GuestPlace } from "./guests/workPlace.ts";
import { Feeder, isEnded, leaveFeed, NotSent, type Rest, takeFeedAgain } from "./feeder.ts";
import { chunkInputs } from "./inputs.ts";
import { onward } from "./onward.ts";
import { type MapOutcome, readOutcomes } from "./outcomes.ts";
import type { Session } from "./session.ts";
import type { StackMapper } from "./stacks.ts";

/** How far a map is. */
export interface Progress {
  state: RunRecord["state"];
  /** Inputs in all; undefined while the input has not ended. */
  total: number | undefined;
  /** Inputs stored by the cluster, so that this process could go. */
  accepted: number;
  /** Inputs with an outcome, those that failed included. */
  done: number;
  failed: number;
  /** Inputs being worked on now. */
  active: number;
  /** Replicas at work now. */
  replicas: number;
  costUsd: number;
  /** What nodes of other clusters than the map's own have done of it. */
  guests: GuestPart[];
}

export interface MapGuests extends Pick<GuestOptions, "homeName" | "onWarning"> {
  places: readonly GuestPlace[];
}

/**
 * One map. It begins when it is made and goes on when nobody reads, and without this process once all its
 * inputs are stored. Iterating gives the outcomes in input order, as they come and no faster than they are
 * read. With `onError: "stop"`, the default, iterating throws the error of the first input that failed; with
 * `"collect"` such an input gives `{ index, error }`.
 */
export class MapRun<T> implements AsyncIterable<MapOutcome<T>>, AsyncDisposable {
  readonly id: string;
  readonly #isNew: boolean;
  readonly #session: Session;
  readonly #mapper: StackMapper;
  readonly #spec: MapSpec;
  readonly #feeding: Promise<void>;
  readonly #stop = new AbortController();
  /** Set when the run is known to have ended: nothing more is asked, which would start a cluster that is taken down. */
  readonly #over = new AbortController();
  /** Set when this side ends the run: the input threw, or could not be sent. */
  #feedError: unknown;
  #record: RunRecord | undefined;
  #watching: Promise<void> | undefined;
  readonly #guestsWanted: MapGuests;
  #guests: Guests | undefined;

  /** For `RemoteFunction.map`. With `ready` the module is on the cluster; inputs follow when it is. */
  constructor(options: {
    /** Of a run that may be there already; by default it is a new one. */
    run: string | undefined;
    session: Session;
    spec: MapSpec;
    mapper: StackMapper;
    inputs: Inputs<unknown>;
    /** Makes sure that the agent has the code; again after it was replaced. */
    ready: () => Promise<unknown>;
    /** Other clusters that work on it. */
    guests: MapGuests;
  }) {
    this.id = options.run ?? newRunId();
    this.#isNew = options.run === undefined;
    this.#session = options.session;
    this.#spec = options.spec;
    this.#mapper = options.mapper;
    this.#guestsWanted = options.guests;
    this.#feeding = this.#feed(options.inputs, options.ready);
    // Whoever iterates or awaits the run is told; somebody who never does must not be ended by it.
    this.#feeding.catch(() => undefined);
  }

  /** Resolves when every input is stored by the cluster: from then on this process may go. */
  get accepted(): Promise<void> {
    return this.#feeding;
  }

  /** How far the run is, as last heard. Being asked starts the listening. */
  get progress(): Progress {
    void this.#watched();
    const record = this.#record;
    return {
      state: record?.state ?? "running",
      total: record?.total ?? undefined,
      accepted: record?.accepted ?? 0,
      done: record?.done ?? 0,
      failed: record?.failed ?? 0,
      active: record?.active ?? 0,
      replicas: record?.replicas ?? 0,
      costUsd: record?.costUsd ?? 0,
      guests: record?.guests ?? [],
    };
  }

  /** US dollars so far. The local cluster is free. */
  get cost(): number {
    return this.#record?.costUsd ?? 0;
  }

  /** Outcomes in input order. */
  async *[Symbol.asyncIterator](): AsyncGenerator<MapOutcome<T>, void, undefined> {
    for await (const batch of this.batches("index")) yield* batch;
  }

  /** Outcomes as they come. */
  async *unordered(): AsyncGenerator<MapOutcome<T>, void, undefined> {
    for await (const batch of this.batches("settled")) yield* batch;
  }

  /** Outcomes in batches, for those who read millions: a loop over an array costs less than one over a stream. */
  async *batches(order: "index" | "settled" = "index"): AsyncGenerator<MapOutcome<T>[], void, undefined> {
    await this.#begun;
    const collect = this.#spec.options.onError === "collect";
    let record: RunRecord | undefined;
    const reading = readOutcomes<T>(this.#session, this.id, this.#mapper, {
      order,
      follow: true,
      signal: this.#stop.signal,
      onEnd: (ended) => (record = ended),
    });
    try {
      for await (const batch of reading) {
        const failed = collect ? -1 : batch.findIndex((outcome) => "error" in outcome);
        if (failed === -1) {
          yield batch;
          continue;
        }
        if (failed > 0) yield batch.slice(0, failed);
        throw (batch[failed] as { error: Error }).error;
      }
    } catch (error) {
      if (this.#feedError !== undefined) throw this.#feedError;
      throw error;
    }
    if (this.#feedError !== undefined) throw this.#feedError;
    if (record) this.#record = record;
    this.#over.abort();
    await this.#guests?.end(true);
    this.#session.runEnded(this.id);
    this.#throwIfUnfinished(record);
  }

  /** All values in input order. With `onError: "collect"`, an input that failed makes this reject at the end. */
  async toArray(): Promise<T[]> {
    const values: T[] = [];
    const errors: Error[] = [];
    for await (const batch of this.batches("index")) {
      for (const outcome of batch) {
        if ("error" in outcome) errors.push(outcome.error);
        else values.push(outcome.value);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, `${errors.length} inputs failed.`);
    return values;
  }

  /** Waits until the run has ended, without reading its outcomes. */
  async finished(): Promise<Progress> {
    await this.#feeding;
    await this.#watch(false);
    this.#over.abort();
    await this.#guests?.end(true);
    this.#session.runEnded(this.id);
    return this.progress;
  }

  /** Ends the run. Outcomes that there are can still be read. */
  async cancel(): Promise<void> {
    await this.#control("cancel");
  }

  async pause(): Promise<void> {
    await this.#control("pause");
  }

  async resume(): Promise<void> {
    await this.#control("run");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { state } = this.progress;
    if (state === "running" || state === "paused") await this.cancel();
  }

  readonly #beginning = Promise.withResolvers<void>();

  /** Resolves when the agent knows the run; rejects when it never will. */
  get #begun(): Promise<void> {
    return this.#beginning.promise;
  }

  async #control(to: "run" | "pause" | "cancel"): Promise<void> {
    await this.#begun;
    await this.#session.withRetry(async () => {
      const { value } = await this.#session.request("run.control", { run: this.id, to });
      this.#record = value.record;
    });
  }

  async #feed(inputs: Inputs<unknown>, ready: () => Promise<unknown>): Promise<void> {
    this.#beginning.promise.catch(() => undefined);
    this.#session.followed.begin(this.id);
    try {
      await ready();
      const { accepted } = await this.#session.withRetry(() => this.#create(), this.#stop.signal);
      this.#beginning.resolve();
      this.#beginGuests();
      const { signal } = this.#stop;
      const again = () => takeFeedAgain(this.#session, this.id, signal);
      // Of a run that was there before, somebody else may be about to send the first inputs.
      const rest = this.#isNew && accepted === 0 ? { accepted, stored: [] } : await this.#takeRest(again);
      await new Feeder(this.#session, this.id, again, signal).send(chunkInputs(inputs, rest.accepted, rest.stored));
    } catch (error) {
      this.#beginning.reject(error);
      if (isEnded(error)) return;
      const kept = error instanceof NotSent;
      this.#feedError = kept ? error.cause : error;
      // What the cluster has may be gone on with; an input that cannot be had makes the whole run pointless.
      if (kept) {
        this.#stop.abort(error.cause);
        await leaveFeed(this.#session, this.id);
      } else await this.#control("cancel").catch(() => undefined);
      throw this.#feedError;
    }
  }

  /** Has the other clusters work for as long as the run is known to go on. */
  #beginGuests(): void {
    const { places, ...options } = this.#guestsWanted;
    if (places.length === 0) return;
    const { id: run } = this;
    const guests = (this.#guests = new Guests(
      places.map((place) => ({ ...options, place, home: this.#session, run, spec: this.#spec })),
    ));
    this.#watched().then(
      () => guests.end(true),
      () => guests.end(false),
    );
  }

  /** Whoever else sends them goes on with that; the run is not ended for it. */
  #takeRest(take: () => Promise<Rest>): Promise<Rest> {
    return take().catch((cause: unknown) => {
      throw new NotSent("", { cause });
    });
  }

  async #create(): Promise<RunRecord> {
    const { value } = await this.#session.request("map.create", { run: this.id, spec: this.#spec });
    this.#record = value.record;
    return value.record;
  }

  #watched(): Promise<void> {
    if (!this.#watching) {
      this.#watching = this.#watch(true);
      // Somebody who only looks at `progress` must not be ended by a connection that is gone.
      this.#watching.catch(() => undefined);
    }
    return this.#watching;
  }

  /** In the background, it does not keep this process from ending. */
  async #watch(background: boolean): Promise<void> {
    await this.#begun;
    const stop = this.#stop.signal;
    const signal = background ? AbortSignal.any([stop, this.#over.signal]) : stop;
    if (background && this.#over.signal.aborted) return;
    const ask = () => this.#session.stream("run.watch", { run: this.id }, { signal, background });
    for await (const { value } of onward(this.#session, ask, signal)) this.#record = value.record;
  }

  #throwIfUnfinished(record: RunRecord | undefined): void {
    if (record?.state === "cancelled") throw new FarcallError("run.cancelled", `The run ${this.id} was cancelled.`);
    if (record?.state === "failed") {
      const { code, message, hint } = record.error ?? { code: "internal", message: "The run failed." };
      throw new FarcallError(code as never, message, hint === undefined ? {} : { hint });
    }
  }
}
