import { appendFileSync, mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { RunId } from "../spec/names.ts";
import { waitWithin } from "../spec/waitWithin.ts";
import { type LogBatch, RunLogReader } from "./logReader.ts";
import type { TailLimit } from "./logTail.ts";

/**
 * What runs printed. Workers write a file for each run and replica (see `worker/output`); this reads them,
 * all at once for a run that is over, or as they grow for whoever follows one.
 */
const maxLineChars = 32 * 1024;
/** Lines as a follower is sent them. `skipped`, once and first, counts those before the tail that was asked for. */
export interface LogItem extends LogBatch {
  skipped?: number;
}

export interface ReadOptions {
  /** Only the newest lines. */
  tail?: TailLimit | undefined;
  /** How far each file was read before. */
  after?: Readonly<Record<string, number>> | undefined;
}

/** Between two looks at the files of a followed run; the workers' notices usually come first. */
const pollMs = 500;

export class RunLogs {
  readonly #folder: string;
  readonly #listeners = new Map<RunId, Set<() => void>>();
  readonly #anyListeners = new Set<(run: RunId) => void>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The file that a replica writes a run's output to. Whoever writes first makes its folder: most calls print nothing. */
  file(run: RunId, replica: number, kind: "log" | "raw" = "log"): string {
    return join(this.#folder, run, `${replica}.${kind}`);
  }

  /** Says that a run's files grew. */
  grew(run: RunId): void {
    for (const listener of this.#listeners.get(run) ?? []) listener();
    for (const listener of this.#anyListeners) listener(run);
  }

  /** Adds output that came past the worker's own capture: of native code, or of processes it started. */
  appendRaw(run: RunId, replica: number, stream: "stdout" | "stderr", text: string): void {
    const lines = text.split("\n").flatMap((line) => line.match(linePiece) ?? []);
    if (lines.length === 0) return;
    const now = Date.now();
    const file = this.file(run, replica, "raw");
    try {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      appendFileSync(file, lines.map((line) => `${JSON.stringify([stream, now, -1, line])}\n`).join(""));
    } catch {
      // A full disk loses output, never a result.
    }
    this.grew(run);
  }

  onGrowth(listener: (run: RunId) => void): () => void {
    this.#anyListeners.add(listener);
    return () => this.#anyListeners.delete(listener);
  }

  /**
   * Lines in batches, from the start of the log, a position or its tail on. While `isLive` says that more may come it
   * waits for more; the log is read once more after the last time it said so.
   */
  async *read(
    run: RunId,
    isLive: () => boolean,
    signal: AbortSignal,
    { tail, after }: ReadOptions = {},
  ): AsyncGenerator<LogItem, void, undefined> {
    const reader = this.reader(run, after);
    let wake: (() => void) | undefined;
    const listener = () => wake?.();
    const listeners = this.#listeners.get(run) ?? new Set();
    this.#listeners.set(run, listeners.add(listener));
    try {
      if (tail) yield { lines: [], ...(await reader.skipTo(tail)) };
      for (;;) {
        const live = isLive();
        const grown = new Promise<void>((resolve) => {
          wake = resolve;
        });
        for await (const batch of reader.next()) {
          yield batch;
          if (signal.aborted) return;
        }
        if (!live || signal.aborted) return;
        await waitWithin(pollMs, grown, signal);
      }
    } finally {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(run);
    }
  }

  /** A reader that keeps its place, for those who ask again and again. */
  reader(run: RunId, after?: Readonly<Record<string, number>>): RunLogReader {
    return new RunLogReader(join(this.#folder, run), run, after);
  }

  async remove(run: RunId): Promise<void> {
    await rm(join(this.#folder, run), { recursive: true, force: true });
  }
}

const linePiece = new RegExp(`.{1,${maxLineChars}}`, "gs");
