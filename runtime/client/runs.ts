import { decodeValue } from "../protocol/codec.ts";
import type { LogLine, RunRecord } from "../protocol/messages.ts";
import { type MapOutcome, type ReadOutcomesOptions, readOutcomes } from "./outcomes.ts";
import { reviveError } from "./remoteErrors.ts";
import type { Session } from "./session.ts";
import { StackMapper } from "./stacks.ts";
import type { Cursors } from "./cursors.ts";

const askTimeoutMs = 30_000;

/** The record of what ran on a cluster. */
export class Runs {
  readonly #session: Session;
  readonly #cursors: Cursors;

  constructor(session: Session, cursors: Cursors) {
    this.#session = session;
    this.#cursors = cursors;
  }

  /** Newest first. Default limit 50; `before` is the id of the last run of the page before. */
  async list(options: { limit?: number; before?: string } = {}): Promise<RunRecord[]> {
    const { limit = 50, before } = options;
    const { value } = await this.#session.request("run.list", before === undefined ? { limit } : { limit, before }, {
      timeoutMs: askTimeoutMs,
    });
    return value.runs;
  }

  /** Attaches to a run, whoever began it. Throws `run.unknown`. */
  async open<T = unknown>(id: string): Promise<Run<T>> {
    const { value } = await this.#session.request("run.get", { run: id }, { timeoutMs: askTimeoutMs });
    return new Run<T>(this.#session, this.#cursors, value.record);
  }
}

/**
 * A run, live or past. Iterating gives the outcomes of a map in input order and goes on where the last reader
 * on this machine stopped; `outcomes` gives them from the start.
 */
export class Run<T = unknown> implements AsyncIterable<MapOutcome<T>> {
  readonly id: string;
  readonly #session: Session;
  readonly #cursors: Cursors;
  readonly #mapper: StackMapper;
  #record: RunRecord;

  constructor(session: Session, cursors: Cursors, record: RunRecord) {
    this.id = record.id;
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
          // A reader resumed inside a stored range is given that range again from its start.
          if (outcome.index < from) continue;
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
        options.onEnd?.(record);
      },
    });
  }

  /** What a finished call returned. Rejects with what it threw. */
  async result(): Promise<T> {
    const { value, body } = await this.#session.request("run.result", { run: this.id }, { timeoutMs: askTimeoutMs });
    if (!value.stored) return undefined as T;
    if (!value.ok) throw await reviveError(body, { run: this.id }, this.#mapper);
    return decodeValue(body) as T;
  }

  /** Lines that the run printed, in batches. With `follow` (default) until the run has ended. */
  async *logs(options: { follow?: boolean; signal?: AbortSignal } = {}): AsyncGenerator<LogLine[], void, undefined> {
    const { follow = true, signal } = options;
    for await (const { value } of this.#session.stream("run.logs", { run: this.id, follow }, { signal }))
      yield value.lines;
  }

  /** The record whenever it changed, until the run has ended. */
  async *watch(options: { signal?: AbortSignal } = {}): AsyncGenerator<RunRecord, void, undefined> {
    const { signal } = options;
    for await (const { value } of this.#session.stream("run.watch", { run: this.id }, { signal })) {
      this.#record = value.record;
      yield value.record;
    }
  }

  async cancel(): Promise<void> {
    await this.#control("cancel");
  }

  async pause(): Promise<void> {
    await this.#control("pause");
  }

  async resume(): Promise<void> {
    await this.#control("run");
  }

  async #control(to: "run" | "pause" | "cancel"): Promise<void> {
    const { value } = await this.#session.request("map.control", { run: this.id, to }, { timeoutMs: askTimeoutMs });
    this.#record = value.record;
  }
}
