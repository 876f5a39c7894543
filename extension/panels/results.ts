import type { Run } from "../../runtime/index.ts";
import { type ResultRow, type ResultView } from "../../webview/messages.ts";
import { cellsOf, columnsOf, sortKeyOf } from "./columns.ts";
import { previewOf } from "./preview.ts";

/**
 * The results of a map as a table. In input order rows are read as they are looked at, so their number does not
 * matter. For any other order, or a filter, all results are read through once; what is kept of each is its number.
 */
export interface Page {
  of: number;
  columns: string[];
  rows: ResultRow[];
}

const sampledRows = 50;
const filteredChars = 2_000;
/** A view of a run that goes on is made anew no more often than this, and only if that took no longer. */
const rescanMs = 3_000;

interface Scan {
  key: string;
  order: Uint32Array;
  done: number;
  madeAtMs: number;
  tookMs: number;
}

interface Found {
  index: number;
  key: number | string;
  isLast: boolean;
}

export class Results {
  readonly #run: () => Promise<Run>;
  readonly #onScan: (fraction: number | null) => void;
  #columns: string[] | undefined;
  #scan: Scan | undefined;
  #scanning: { key: string; promise: Promise<Scan>; stop: AbortController } | undefined;

  constructor(run: () => Promise<Run>, onScan: (fraction: number | null) => void) {
    this.#run = run;
    this.#onScan = onScan;
  }

  async page(view: ResultView, first: number, count: number, signal: AbortSignal): Promise<Page> {
    const run = await this.#run();
    const columns = await this.#columnsOf(run, signal);
    const { total, accepted } = run.record;
    const all = total ?? accepted;
    if (view.sort === "#" && view.filter === "" && !view.failuresOnly) {
      const last = Math.min(all, first + count);
      const indices: number[] = [];
      for (let i = first; i < last; i++) indices.push(view.descending ? all - 1 - i : i);
      return { of: all, columns, rows: await this.#rows(run, indices, columns, signal) };
    }
    const { order } = await this.#scanned(run, view, columns, signal);
    const indices = [...order.subarray(first, first + count)];
    return { of: order.length, columns, rows: await this.#rows(run, indices, columns, signal) };
  }

  /** The inputs of a view in its order; undefined for all in input order. */
  async order(view: ResultView, signal: AbortSignal): Promise<Uint32Array | undefined> {
    const run = await this.#run();
    if (view.sort === "#" && !view.descending && view.filter === "" && !view.failuresOnly) return undefined;
    return (await this.#scanned(run, view, await this.#columnsOf(run, signal), signal)).order;
  }

  get columns(): readonly string[] {
    return this.#columns ?? [];
  }

  dispose(): void {
    this.#scanning?.stop.abort();
  }

  async #rows(run: Run, indices: number[], columns: readonly string[], signal: AbortSignal): Promise<ResultRow[]> {
    const picked = new Map((await run.pick(indices, { signal })).map((each) => [each.index, each]));
    return indices.map((index): ResultRow => {
      const found = picked.get(index);
      if (!found) return { index, state: "pending", attempts: 0, sizeBytes: 0, cells: [] };
      const { attempts, sizeBytes } = found;
      if ("error" in found) {
        const { name, message } = found.error;
        return { index, state: "error", attempts, sizeBytes, cells: [previewOf(`${name}: ${message}`)] };
      }
      if ("withheld" in found) {
        const state = found.withheld === "error" ? "error" : "ok";
        return { index, state, attempts, sizeBytes, cells: [`… ${sizeText(sizeBytes)}`] };
      }
      return { index, state: "ok", attempts, sizeBytes, cells: cellsOf(found.value, columns) };
    });
  }

  /** Settled by the first results, so that columns do not change while one looks. */
  async #columnsOf(run: Run, signal: AbortSignal): Promise<string[]> {
    if (this.#columns) return this.#columns;
    const values: unknown[] = [];
    const picked = await run.pick(
      Array.from({ length: sampledRows }, (_, i) => i),
      { signal },
    );
    for (const each of picked) if ("value" in each) values.push(each.value);
    const columns = values.length === 0 ? [] : columnsOf(values);
    const isSettled = values.length >= sampledRows / 2 || run.record.endedAtMs !== null;
    if (isSettled) this.#columns = columns;
    return columns;
  }

  async #scanned(run: Run, view: ResultView, columns: readonly string[], signal: AbortSignal): Promise<Scan> {
    const key = JSON.stringify(view);
    const { done } = run.record;
    const before = this.#scan;
    if (before?.key === key) {
      const isStale = before.done !== done && Date.now() - before.madeAtMs > Math.max(rescanMs, before.tookMs * 4);
      if (!isStale) return before;
    }
    if (this.#scanning?.key === key) return this.#scanning.promise;
    this.#scanning?.stop.abort();
    const stop = new AbortController();
    const promise = this.#read(run, view, columns, AbortSignal.any([stop.signal, signal]), before?.key === key);
    const scanning = { key, promise, stop };
    this.#scanning = scanning;
    try {
      this.#scan = await promise;
      return this.#scan;
    } finally {
      if (this.#scanning === scanning) this.#scanning = undefined;
    }
  }

  async #read(
    run: Run,
    view: ResultView,
    columns: readonly string[],
    signal: AbortSignal,
    quietly: boolean,
  ): Promise<Scan> {
    const beganAtMs = Date.now();
    const { done } = run.record;
    const needle = view.filter.toLowerCase();
    const found: Found[] = [];
    let read = 0;
    const batches = run.batches({ order: "index", follow: false, errorsOnly: view.failuresOnly, signal });
    for await (const batch of batches) {
      for (const outcome of batch) {
        const value = "error" in outcome ? `${outcome.error.name}: ${outcome.error.message}` : outcome.value;
        if (needle !== "" && !previewOf(value, filteredChars).toLowerCase().includes(needle)) continue;
        found.push({
          index: outcome.index,
          key: keyOf(view.sort, outcome, value, columns),
          // Failures have no value to be sorted by.
          isLast: "error" in outcome && view.sort !== "#" && view.sort !== "attempts",
        });
      }
      read += batch.length;
      if (!quietly) this.#onScan(done === 0 ? 0 : Math.min(1, read / done));
      // Other extensions share this process.
      await new Promise((resolve) => setImmediate(resolve));
    }
    const sign = view.descending ? -1 : 1;
    found.sort((a, b) => Number(a.isLast) - Number(b.isLast) || sign * compare(a.key, b.key) || a.index - b.index);
    if (!quietly) this.#onScan(null);
    return {
      key: JSON.stringify(view),
      order: Uint32Array.from(found, ({ index }) => index),
      done,
      madeAtMs: Date.now(),
      tookMs: Date.now() - beganAtMs,
    };
  }
}

function keyOf(
  sort: string,
  { index, attempts }: { index: number; attempts: number },
  value: unknown,
  columns: readonly string[],
): number | string {
  if (sort === "#") return index;
  if (sort === "attempts" && !columns.includes("attempts")) return attempts;
  return sortKeyOf(value, sort, columns);
}

const inOrder = new Intl.Collator(undefined, { numeric: true });

/** Numbers before texts. */
function compare(a: number | string, b: number | string): number {
  if (typeof a === "number") return typeof b === "number" ? (a < b ? -1 : a > b ? 1 : 0) : -1;
  return typeof b === "number" ? 1 : inOrder.compare(a, b);
}

function sizeText(bytes: number): string {
  return bytes >= 1024 * 1024 ? `${(bytes / 1024 / 1024).toFixed(1)} MiB` : `${Math.ceil(bytes / 1024)} KiB`;
}
