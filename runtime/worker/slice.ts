import { packOutcomes, unpackValues, type Outcome } from "../protocol/pack.ts";
import { CallContext } from "./context.ts";
import { attempt, type UserFunction } from "./invoke.ts";
import type { Journal, SliceJournal } from "./journal.ts";
import type { Output } from "./output.ts";

/** Works one slice of a map: every input of a pack, some at a time, and sends outcomes as they gather. */

export interface SliceRequest {
  run: string;
  lo: number;
  concurrency: number;
  retries: number;
  timeoutMs: number | null;
  deaths: number;
  token: string;
}

interface OutcomeRun {
  lo: number;
  count: number;
  errors: number;
}

export interface SliceTools {
  journal: Journal;
  output: Output;
  lanes: Lanes;
  signal: AbortSignal;
  send(run: OutcomeRun, body: Uint8Array): Promise<void>;
}

/** Inputs that all slices of one map may work on at a time in this worker. */
export class Lanes {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async take(): Promise<Disposable> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return {
      [Symbol.dispose]: () => {
        const next = this.#waiting.shift();
        if (next) next();
        else this.#free++;
      },
    };
  }
}

const flushEveryMs = 20;
const flushBytes = 256 * 1024;
/** How long synchronous work may keep the event loop from hearing a cancel. */
const yieldEveryMs = 15;

/** Returns how many milliseconds it took from the first input's start on, without the wait for a lane before that. */
export async function workSlice(
  fn: UserFunction,
  request: SliceRequest,
  pack: Uint8Array,
  tools: SliceTools,
): Promise<number> {
  const slice = new Slice(fn, request, unpackValues(pack), tools);
  return slice.work();
}

class Slice {
  readonly #fn: UserFunction;
  readonly #request: SliceRequest;
  readonly #inputs: Uint8Array[];
  readonly #tools: SliceTools;
  readonly #active = new Map<number, CallContext>();
  readonly #done = new Map<number, Outcome>();
  #doneBytes = 0;
  #next = 0;
  #begunAtMs: number | undefined;
  #flushedAtMs = performance.now();
  #yieldedAtMs = performance.now();
  #cancelled = false;
  #journal: SliceJournal | undefined;

  constructor(fn: UserFunction, request: SliceRequest, inputs: Uint8Array[], tools: SliceTools) {
    this.#fn = fn;
    this.#request = request;
    this.#inputs = inputs;
    this.#tools = tools;
  }

  async work(): Promise<number> {
    const { signal } = this.#tools;
    const onAbort = () => {
      this.#cancelled = true;
      for (const context of this.#active.values()) context.abort(signal.reason);
    };
    if (signal.aborted) return 0;
    signal.addEventListener("abort", onAbort, { once: true });
    // Outcomes of slow inputs must not wait for the next input to finish.
    const flusher = setInterval(() => void this.#flush(), flushEveryMs);
    const flushAtExit = () => void this.#flush();
    process.on("exit", flushAtExit);
    try {
      const lanes = Math.min(this.#request.concurrency, this.#inputs.length);
      await Promise.all(Array.from({ length: lanes }, () => this.#lane()));
      const workedMs = performance.now() - (this.#begunAtMs ?? performance.now());
      await this.#flush();
      return workedMs;
    } finally {
      clearInterval(flusher);
      process.off("exit", flushAtExit);
      signal.removeEventListener("abort", onAbort);
      this.#journal?.end();
    }
  }

  async #lane(): Promise<void> {
    using _lane = await this.#tools.lanes.take();
    const { token, deaths, timeoutMs } = this.#request;
    this.#begunAtMs ??= performance.now();
    this.#journal ??= this.#tools.journal.begin(token, deaths > 0 || timeoutMs !== null);
    while (!this.#cancelled && this.#next < this.#inputs.length) {
      const position = this.#next++;
      const outcome = this.#one(position);
      const settled = outcome instanceof Promise ? await outcome : outcome;
      this.#done.set(position, settled);
      this.#doneBytes += settled.bytes.byteLength;
      const now = performance.now();
      if (this.#doneBytes > flushBytes || now - this.#flushedAtMs > flushEveryMs) await this.#flush();
      if (now - this.#yieldedAtMs > yieldEveryMs) {
        await new Promise<void>((resolve) => setImmediate(resolve));
        this.#yieldedAtMs = performance.now();
      }
    }
  }

  /** One input with all its attempts. */
  #one(position: number): Outcome | Promise<Outcome> {
    const index = this.#request.lo + position;
    const outcome = this.#attempt(position, index, 1 + this.#request.deaths);
    if (outcome instanceof Promise) return outcome.then((settled) => this.#finish(position, index, settled));
    return this.#finish(position, index, outcome);
  }

  #attempt(position: number, index: number, number: number): Outcome | Promise<Outcome> {
    this.#journal?.start(index);
    const context = new CallContext(this.#request.run, index, number, this.#tools.output.log);
    this.#active.set(position, context);
    return attempt(this.#fn, this.#inputs[position]!, context, this.#request.timeoutMs);
  }

  #finish(position: number, index: number, outcome: Outcome): Outcome | Promise<Outcome> {
    if (!outcome.ok && outcome.attempts <= this.#request.retries && !this.#cancelled) {
      const again = this.#attempt(position, index, outcome.attempts + 1);
      if (again instanceof Promise) return again.then((settled) => this.#finish(position, index, settled));
      return this.#finish(position, index, again);
    }
    this.#active.delete(position);
    this.#journal?.finish(index);
    this.#tools.output.endOf(this.#request.run, index);
    return outcome;
  }

  /** Sends what is done, as runs of neighbouring inputs. */
  async #flush(): Promise<void> {
    this.#flushedAtMs = performance.now();
    if (this.#done.size === 0) return;
    const positions = [...this.#done.keys()];
    if (this.#request.concurrency > 1) positions.sort((a, b) => a - b);
    const sent: Promise<void>[] = [];
    for (let from = 0; from < positions.length;) {
      let to = from + 1;
      while (to < positions.length && positions[to] === positions[to - 1]! + 1) to++;
      const outcomes = positions.slice(from, to).map((position) => this.#done.get(position)!);
      const errors = outcomes.reduce((sum, outcome) => sum + (outcome.ok ? 0 : 1), 0);
      sent.push(
        this.#tools.send(
          { lo: this.#request.lo + positions[from]!, count: outcomes.length, errors },
          packOutcomes(outcomes),
        ),
      );
      from = to;
    }
    this.#done.clear();
    this.#doneBytes = 0;
    await Promise.all(sent);
  }
}
