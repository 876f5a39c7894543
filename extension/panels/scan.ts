import type { MapOutcome, Run } from "../../runtime/index.ts";
import { defaultView, type ResultView } from "../../webview/messages/run.ts";
import { sortKeyOf, type SortKey } from "./columns.ts";
import { previewOf } from "./preview.ts";
import { RowKeys } from "./rowKeys.ts";
import { Turns } from "./turns.ts";

/**
 * The inputs that a view shows, in its order. All outcomes are read through once, as they settled; later readings go
 * on from there. Of each that fits, its number is kept and what it is sorted by.
 */

const filteredChars = 2_000;

/** Which outcomes a view needs to be read: views that differ in direction only need the same. */
export function scanKey({ sort, filter, failuresOnly }: ResultView): string {
  return JSON.stringify([sort, filter, failuresOnly]);
}

/** Whether a view shows all inputs in their order, up or down, and needs no reading. */
export function isPlain({ sort, filter, failuresOnly }: ResultView): boolean {
  return sort === defaultView.sort && filter === "" && !failuresOnly;
}

export class Scan {
  readonly #view: ResultView;
  readonly #needle: string;
  #keys = new RowKeys();
  #read = 0;
  /** Sequence number behind which the next reading begins. */
  #from = 0;

  constructor(view: ResultView) {
    this.#view = view;
    this.#needle = view.filter.toLowerCase();
  }

  /** Reads what has settled since the last time. Given up in the middle, it goes on there the next time. */
  async read(run: Run, signal: AbortSignal, onProgress: (fraction: number) => void): Promise<void> {
    await this.#readOn(run, signal, onProgress);
    if (this.#read <= this.#expected(run)) return;
    // An agent that lost its newest outcomes with its machine gave their sequence numbers to others.
    this.#keys = new RowKeys();
    this.#read = 0;
    this.#from = 0;
    await this.#readOn(run, signal, onProgress);
  }

  order(descending: boolean, signal: AbortSignal): Promise<Uint32Array> {
    return this.#keys.order(descending, new Turns(signal));
  }

  #expected({ record }: Run): number {
    return this.#view.failuresOnly ? record.failed : record.done;
  }

  async #readOn(run: Run, signal: AbortSignal, onProgress: (fraction: number) => void): Promise<void> {
    const turns = new Turns(signal);
    let next = this.#from;
    const batches = run.batches({
      order: "settled",
      from: this.#from,
      errorsOnly: this.#view.failuresOnly,
      follow: false,
      signal,
      onBatch: (from) => (next = from),
    });
    for await (const batch of batches) {
      // A batch counts when all of it was taken.
      for (const [index, key] of await this.#fitting(batch, turns)) {
        if (key === failure) this.#keys.addFailure(index);
        else this.#keys.add(index, key);
      }
      this.#from = next;
      this.#read += batch.length;
      await this.#keys.keepSmall(turns);
      onProgress(Math.min(1, this.#read / Math.max(1, this.#expected(run))));
      await turns.rest();
    }
  }

  async #fitting(batch: readonly MapOutcome<unknown>[], turns: Turns): Promise<[number, SortKey | typeof failure][]> {
    const found: [number, SortKey | typeof failure][] = [];
    for (const outcome of batch) {
      const value = "error" in outcome ? `${outcome.error.name}: ${outcome.error.message}` : outcome.value;
      if (this.#needle === "" || previewOf(value, filteredChars).toLowerCase().includes(this.#needle))
        found.push([outcome.index, keyOf(this.#view.sort, outcome)]);
      if (turns.isOver) await turns.rest();
    }
    return found;
  }
}

const failure = Symbol("failure");

function keyOf(sort: string, outcome: MapOutcome<unknown>): SortKey | typeof failure {
  if (sort === "attempts") return outcome.attempts;
  if (sort === defaultView.sort) return outcome.index;
  if ("error" in outcome) return failure;
  return sortKeyOf(outcome.value, sort.startsWith(".") ? sort.slice(1) : undefined);
}
