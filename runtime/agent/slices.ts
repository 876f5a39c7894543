import type { Result } from "../protocol/messages/catalogue.ts";
import type { MapSpec } from "../protocol/messages/maps.ts";
import type { WorkerMethods } from "../protocol/messages/worker.ts";
import type { Lease, ResultRange } from "../queue/mapQueue.ts";
import type { RunId } from "../spec/names.ts";
import type { Slot } from "./pool.ts";

/** A chunk, or its front, in the hands of a worker, and what came of it so far. */
export interface Slice {
  lease: Lease;
  slot: Slot;
  results: ResultRange[];
  abort: AbortController;
}

/** The slices of one map that are being worked, or whose outcomes are being stored. */
export class Slices {
  readonly #byToken = new Map<string, Slice>();
  #waiters: (() => void)[] = [];

  add(slice: Slice): void {
    this.#byToken.set(slice.lease.token, slice);
  }

  remove({ lease }: Slice): void {
    this.#byToken.delete(lease.token);
    for (const wake of this.#waiters.splice(0)) wake();
  }

  /** Resolves when the next one is removed. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  get count(): number {
    return this.#byToken.size;
  }

  get all(): Slice[] {
    return [...this.#byToken.values()];
  }

  /** Inputs in the hands of workers. */
  get activeInputs(): number {
    let active = 0;
    for (const { lease, results } of this.#byToken.values()) {
      active += lease.chunk.count - results.reduce((sum, range) => sum + range.count, 0);
    }
    return active;
  }

  /** Inputs done in slices that are still being worked, so not yet settled. */
  get unsettled(): { done: number; failed: number } {
    let done = 0;
    let failed = 0;
    for (const { results } of this.#byToken.values()) {
      for (const range of results) {
        done += range.count;
        failed += range.errors;
      }
    }
    return { done, failed };
  }

  /** Replicas that work on them. One whose outcomes are being stored is free for more. */
  get replicas(): number {
    const working = new Set<Slot>();
    for (const [token, { slot }] of this.#byToken) if (slot.slices.has(token)) working.add(slot);
    return working.size;
  }

  /** Inputs that a replica was given. */
  inputsOf(slot: Slot): number {
    let inputs = 0;
    for (const token of slot.slices.keys()) inputs += this.#byToken.get(token)?.lease.chunk.count ?? 0;
    return inputs;
  }
}

/** Has the worker of a slice do it; what comes of it is added to its results as it comes. */
export async function workSlice(
  { lease: { chunk, token }, slot: { replica }, results, abort }: Slice,
  map: { run: RunId; spec: MapSpec; logFile: string; onProgress: () => void },
): Promise<Result<WorkerMethods["slice"]>> {
  const { run, spec, logFile, onProgress } = map;
  const { concurrency = 1, retries = 0, timeoutMs = null } = spec.options;
  const { lo, deaths, body } = chunk;
  const { value } = await replica.peer.request(
    "slice",
    { run, logFile, export: spec.export, lo, concurrency, retries, timeoutMs, deaths, token },
    { body, signal: abort.signal, onAbort: "wait" },
    (item, body) => {
      results.push({ ...(item as Omit<ResultRange, "body">), body });
      onProgress();
    },
  );
  return value;
}
