import type { Run } from "../../runtime/index.ts";
import type { ResultRow, ResultView } from "../../webview/messages/run.ts";
import { cellsOf, columnsOf } from "./columns.ts";
import { previewOf } from "./preview.ts";
import { isPlain, Scan, scanKey } from "./scan.ts";

/**
 * The results of a map as a table. In input order rows are read as they are looked at, so their number does not
 * matter. For any other order, or a filter, all results are read through.
 */
export interface Page {
  of: number;
  columns: string[];
  rows: ResultRow[];
}

const sampledRows = 50;
/** A view of a run that goes on is made anew no more often than this, and only if that took no longer. */
const rescanMs = 3_000;

/** A view as it was read and ordered last. */
interface Made {
  scan: Scan;
  scanKey: string;
  descending: boolean;
  order: Uint32Array;
  done: number;
  atMs: number;
  tookMs: number;
}

interface Making {
  view: string;
  promise: Promise<Made>;
  stop: AbortController;
}

export class Results {
  readonly #run: () => Promise<Run>;
  readonly #onScan: (fraction: number | null) => void;
  #columns: string[] | undefined;
  #made: Made | undefined;
  #making: Making | undefined;

  constructor(run: () => Promise<Run>, onScan: (fraction: number | null) => void) {
    this.#run = run;
    this.#onScan = onScan;
  }

  async page(view: ResultView, first: number, count: number, signal: AbortSignal): Promise<Page> {
    const run = await this.#run();
    const columns = await this.#columnsOf(run, signal);
    if (isPlain(view)) {
      this.#giveUp();
      const all = run.record.total ?? run.record.accepted;
      const last = Math.min(all, first + count);
      const indices: number[] = [];
      for (let i = first; i < last; i++) indices.push(view.descending ? all - 1 - i : i);
      return { of: all, columns, rows: await this.#rows(run, indices, columns, signal) };
    }
    const { order } = await this.#ordered(run, view, signal);
    const indices = [...order.subarray(first, first + count)];
    return { of: order.length, columns, rows: await this.#rows(run, indices, columns, signal) };
  }

  /**
   * The inputs of a view in its order, for somebody who goes through all of them; undefined for all of a run that has
   * ended. It disturbs no page and is disturbed by none.
   */
  async order(view: ResultView, signal: AbortSignal): Promise<Uint32Array | undefined> {
    const run = await this.#run();
    const hasEnded = run.record.endedAtMs !== null;
    if (isPlain(view) && !view.descending && hasEnded) return undefined;
    if (this.#made && hasEnded && isOf(this.#made, view, run)) return this.#made.order;
    const scan = new Scan(view);
    await scan.read(run, signal, () => undefined);
    return scan.order(view.descending, signal);
  }

  dispose(): void {
    this.#giveUp();
  }

  #giveUp(): void {
    this.#making?.stop.abort();
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

  async #ordered(run: Run, view: ResultView, signal: AbortSignal): Promise<Made> {
    if (this.#made && isOf(this.#made, view, run)) return this.#made;
    const key = `${scanKey(view)} ${view.descending}`;
    const before = this.#making;
    if (before?.view === key && !before.stop.signal.aborted) return before.promise;
    before?.stop.abort();
    const stop = new AbortController();
    const making: Making = {
      view: key,
      promise: this.#make(run, view, before, AbortSignal.any([stop.signal, signal])),
      stop,
    };
    this.#making = making;
    try {
      return await making.promise;
    } finally {
      if (this.#making === making) {
        this.#making = undefined;
        this.#onScan(null);
      }
    }
  }

  async #make(run: Run, view: ResultView, before: Making | undefined, signal: AbortSignal): Promise<Made> {
    // Two must not read into one scan.
    await before?.promise.catch(() => undefined);
    const beganAtMs = Date.now();
    const { done } = run.record;
    const made = this.#made?.scanKey === scanKey(view) ? this.#made : undefined;
    const scan = made?.scan ?? new Scan(view);
    // A table that is there already is brought up to date quietly.
    await scan.read(run, signal, made ? () => undefined : (fraction) => this.#onScan(fraction));
    const order = await scan.order(view.descending, signal);
    const atMs = Date.now();
    const { descending } = view;
    this.#made = { scan, scanKey: scanKey(view), descending, order, done, atMs, tookMs: atMs - beganAtMs };
    return this.#made;
  }
}

/** Whether it is the view, and new enough. */
function isOf(made: Made, view: ResultView, run: Run): boolean {
  if (made.scanKey !== scanKey(view) || made.descending !== view.descending) return false;
  return made.done === run.record.done || Date.now() - made.atMs <= Math.max(rescanMs, made.tookMs * 4);
}

function sizeText(bytes: number): string {
  return bytes >= 1024 * 1024 ? `${(bytes / 1024 / 1024).toFixed(1)} MiB` : `${Math.ceil(bytes / 1024)} KiB`;
}
