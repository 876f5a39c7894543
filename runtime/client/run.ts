import { decodeValue } from "../protocol/codec.ts";
import { fromFailure } from "../protocol/failure.ts";
import { advance, type LogPosition } from "../protocol/logPosition.ts";
import type { AgentMethods } from "../protocol/messages/agent.ts";
import type { LogLine } from "../protocol/messages/logs.ts";
import type { Params } from "../protocol/messages/catalogue.ts";
import type { RunRecord, Timeline } from "../protocol/messages/runs.ts";
import { unpackValues } from "../protocol/pack.ts";
import type { EnvSpec } from "../spec/env.ts";
import { FarcallError } from "../spec/errors.ts";
import type { MapOptions } from "../spec/map.ts";
import type { Inputs } from "../spec/inputs.ts";
import { type Fed, type FeedOptions, feedRest } from "./feedRest.ts";
import { printWarning } from "./guests/guest.ts";
import { type Neighbours, resumeGuests } from "./guests/resume.ts";
import { type MapOutcome, type ReadOutcomesOptions, readOutcomes } from "./outcomes.ts";
import { type PickedOutcome, pickOutcomes, type PickOptions } from "./pick.ts";
import { reviveError } from "./remoteErrors.ts";
import { onward } from "./onward.ts";
import { hasEnded } from "../protocol/runState.ts";
import type { Asking } from "./asking.ts";
import { StackMapper } from "./stacks.ts";
import type { Cursors } from "./cursors.ts";

const askTimeoutMs = 30_000;

/** What was asked for, so that the run can be repeated. */
export interface RunRequest {
  kind: "call" | "map";
  /** Absolute path of the source file. */
  file: string;
  export: string;
  /** As the user wrote it. */
  env: EnvSpec;
  /** Arguments of a call; absent when they were above 256 KiB together, which is not kept. */
  args?: unknown[];
  /** Of a call. */
  timeoutMs?: number;
  /** Of a map. */
  options?: MapOptions;
  /** How the inputs of a map were come by, where the client said so. */
  input?: string;
  /** Names of other clusters that a map was to run on as well. */
  guests?: string[];
}

export interface LogOptions {
  /** Until the run has ended; the default. */
  follow?: boolean;
  /** Of the lines there are no more than this many, the newest. */
  tail?: number;
  /** Of their files no more than this, for a tail. */
  tailBytes?: number;
  /** With `tail`, how many older lines there are, before any line is given. */
  onSkipped?: (lines: number) => void;
  signal?: AbortSignal;
}

/** What a run that was kept on this machine is given in place of. */
export interface RunKept {
  /** What asking the cluster came to; undefined when it is down and was not asked. */
  failure: Error | undefined;
  /** Outcomes and lines of the log that were too many to keep all of them. */
  cut: { outcomes: boolean; log: boolean };
}

/**
 * A run, live or past. Iterating gives the outcomes of a map in input order and goes on where the last reader
 * on this machine stopped; `outcomes` gives them from the start.
 */
export class Run<T = unknown> implements AsyncIterable<MapOutcome<T>> {
  readonly id: string;
  /** There when the cluster is not, and this is what was kept of the run on this machine. */
  readonly kept: RunKept | undefined;
  readonly #session: Asking;
  readonly #cursors: Cursors;
  readonly #mapper: StackMapper;
  readonly #neighbours: Neighbours;
  #record: RunRecord;

  constructor(session: Asking, cursors: Cursors, neighbours: Neighbours, record: RunRecord, kept?: RunKept) {
    this.id = record.id;
    this.#neighbours = neighbours;
    this.kept = kept;
    this.#session = session;
    this.#cursors = cursors;
    this.#record = record;
    this.#mapper = new StackMapper(session, record);
  }

  /** The record as last heard. */
  get record(): RunRecord {
    return this.#record;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<MapOutcome<T>, void, undefined> {
    const from = await this.#cursors.get(this.id);
    let next = from;
    try {
      for await (const batch of this.batches({ order: "index", from, follow: true })) {
        for (const outcome of batch) {
          next = outcome.index + 1;
          yield outcome;
        }
      }
    } finally {
      await this.#cursors.set(this.id, next);
    }
  }

  async *outcomes(options: Partial<ReadOutcomesOptions> = {}): AsyncGenerator<MapOutcome<T>, void, undefined> {
    for await (const batch of this.batches(options)) yield* batch;
  }

  batches(options: Partial<ReadOutcomesOptions> = {}): AsyncGenerator<MapOutcome<T>[], void, undefined> {
    return readOutcomes<T>(this.#session, this.id, this.#mapper, {
      order: "index",
      follow: true,
      ...options,
      onEnd: (record) => {
        this.#record = record;
        this.#noteEnd();
        options.onEnd?.(record);
      },
    });
  }

  /** The outcomes of some inputs, by rising index, without those that have none yet. */
  pick(indices: readonly number[], options: PickOptions = {}): Promise<PickedOutcome<T>[]> {
    return pickOutcomes<T>(this.#session, this.id, this.#mapper, indices, options);
  }

  /**
   * What a finished call returned, for a generator the array of what it yielded. Rejects with what it threw, with
   * `run.state` when it has not ended, and with `value.too-large` when the result was not kept.
   */
  async result(): Promise<T> {
    const { value, body } = await this.#ask("run.result", { run: this.id });
    const { ok, stored, items, itemsBytes, itemsDropped, record } = value;
    this.#record = record;
    this.#noteEnd();
    const answer = body.subarray(itemsBytes);
    if (stored && !ok) throw await reviveError(answer, { run: this.id }, this.#mapper);
    if (record.kind === "call" && (itemsDropped || !stored)) throw noResult(record);
    if (items > 0) return unpackValues(body.subarray(0, itemsBytes)).map((bytes) => decodeValue(bytes)) as T;
    return stored ? (decodeValue(answer) as T) : (undefined as T);
  }

  /** What was asked for. Throws `run.state` when that was not kept. */
  async request(): Promise<RunRequest> {
    const { value, body } = await this.#ask("run.request", { run: this.id });
    const request: RunRequest = { ...value.request };
    if (value.args) request.args = decodeValue(body) as unknown[];
    return request;
  }

  /** How a map went over time; empty for a call. */
  async timeline(): Promise<Timeline> {
    const { value } = await this.#ask("run.timeline", { run: this.id });
    return value.timeline;
  }

  /** Lines that the run printed, in batches; across lost connections none is left out and none comes twice. */
  async *logs(options: LogOptions = {}): AsyncGenerator<LogLine[], void, undefined> {
    const { follow = true, tail, tailBytes, onSkipped, signal } = options;
    const limits = { ...(tail === undefined ? {} : { tail }), ...(tailBytes === undefined ? {} : { tailBytes }) };
    let after: LogPosition = [];
    const ask = () => {
      // The tail was found once something came; from there on it is what lies behind.
      const from = after.length > 0 ? { after } : limits;
      return this.#session.stream("run.logs", { run: this.id, follow, ...from }, { signal });
    };
    for await (const { value } of onward(this.#session, ask, signal)) {
      after = advance(after, value.place);
      if (value.skipped !== undefined) onSkipped?.(value.skipped);
      if (value.lines.length > 0) yield value.lines;
    }
    if (follow) this.#session.runEnded(this.id);
  }

  /** The record whenever it changed, until the run has ended. */
  async *watch(options: { signal?: AbortSignal } = {}): AsyncGenerator<RunRecord, void, undefined> {
    const { signal } = options;
    const ask = () => this.#session.stream("run.watch", { run: this.id }, { signal });
    for await (const { value } of onward(this.#session, ask, signal)) {
      this.#record = value.record;
      this.#noteEnd();
      yield value.record;
    }
  }

  #noteEnd(): void {
    if (hasEnded(this.#record.state)) this.#session.runEnded(this.id);
  }

  /**
   * Sends the inputs of a map that were not sent, as after the end of the process that began it. `open` gives all of
   * them, from the first on.
   */
  feed(open: () => Inputs<unknown> | Promise<Inputs<unknown>>, options: FeedOptions = {}): Promise<Fed> {
    return feedRest(this.#session, this.id, open, options);
  }

  /**
   * Has other clusters that a map was begun on, by their names, work on it again, as after the end of the process that
   * began it: for as long as this process is there, until the map has ended or what is returned is disposed of. One that
   * another process brings work goes on as it does. `onWarning` is told, as one line, when one cannot, is lost, or is back.
   *
   * Their code comes from this run's cluster: name none that must not run what its machines say. `local` is left out.
   */
  async withGuests(
    names: readonly string[],
    onWarning: (line: string) => void = printWarning,
  ): Promise<AsyncDisposable> {
    const { kind, state, home } = this.#record;
    const isOver = this.kept || kind === "call" || hasEnded(state) || home !== undefined;
    if (isOver || names.length === 0) return new AsyncDisposableStack();
    const guests = await resumeGuests(this.#session, this.id, names, this.#neighbours, onWarning);
    return { [Symbol.asyncDispose]: () => guests.end(hasEnded(this.#record.state)) };
  }

  /** Ends the run. A map keeps the outcomes it has. */
  async cancel(): Promise<void> {
    await this.#control("cancel");
  }

  async pause(): Promise<void> {
    await this.#control("pause");
  }

  async resume(): Promise<void> {
    await this.#control("run");
  }

  #ask<K extends keyof AgentMethods>(method: K, params: Params<AgentMethods[K]>) {
    return this.#session.insist(() => this.#session.request(method, params, { timeoutMs: askTimeoutMs }));
  }

  async #control(to: "run" | "pause" | "cancel"): Promise<void> {
    const { value } = await this.#ask("run.control", { run: this.id, to });
    this.#record = value.record;
  }
}

function noResult({ id, state, error }: RunRecord): FarcallError {
  if (state === "running") {
    return new FarcallError("run.state", `The call ${id} has not ended.`, { hint: "`watch` waits for its end." });
  }
  if (state === "cancelled") return new FarcallError("run.cancelled", `The call ${id} was cancelled.`);
  if (error) return fromFailure(error);
  return new FarcallError("value.too-large", `The result of the call ${id} was too large to be kept.`, {
    hint: "Have the function write large results to a file and return its path.",
  });
}
