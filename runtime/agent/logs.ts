import { appendFileSync, mkdirSync } from "node:fs";
import { open, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { LogLine } from "../protocol/messages.ts";
import type { RunId } from "../spec/names.ts";
import { findTail, type TailLimit } from "./logTail.ts";

/**
 * What runs printed. Workers write a file for each run and replica (see `worker/output`); this reads them,
 * all at once for a run that is over, or as they grow for whoever follows one.
 */
const batchLines = 500;
/** A batch travels in the header of a frame, which is capped at 1 MiB; JSON can make six of one character. */
const batchChars = 128 * 1024;
const maxLineChars = 32 * 1024;
const readBytes = 256 * 1024;
/** Lines as a follower is sent them. `skipped`, once and first, counts those before the tail that was asked for. */
export interface LogItem {
  lines: LogLine[];
  skipped?: number;
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
   * Lines in batches, from the start of the log or from its tail on. While `isLive` says that more may come it waits for more;
   * the log is read once more after the last time it said so.
   */
  async *read(
    run: RunId,
    isLive: () => boolean,
    signal: AbortSignal,
    tail?: TailLimit,
  ): AsyncGenerator<LogItem, void, undefined> {
    const reader = new RunLogReader(join(this.#folder, run), run);
    let wake: (() => void) | undefined;
    const listener = () => wake?.();
    const listeners = this.#listeners.get(run) ?? new Set();
    this.#listeners.set(run, listeners.add(listener));
    try {
      if (tail) yield { lines: [], skipped: await reader.skipTo(tail) };
      for (;;) {
        const live = isLive();
        const grown = new Promise<void>((resolve) => {
          wake = resolve;
        });
        for await (const lines of reader.next()) {
          yield { lines };
          if (signal.aborted) return;
        }
        if (!live || signal.aborted) return;
        await waitFor(grown, pollMs, signal);
      }
    } finally {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(run);
    }
  }

  /** A reader that keeps its place, for those who ask again and again. */
  reader(run: RunId): RunLogReader {
    return new RunLogReader(join(this.#folder, run), run);
  }

  async remove(run: RunId): Promise<void> {
    await rm(join(this.#folder, run), { recursive: true, force: true });
  }
}

/** Reads what was added to the files of one run since it last read. */
export class RunLogReader {
  readonly #folder: string;
  readonly #run: RunId;
  readonly #offsets = new Map<string, number>();

  constructor(folder: string, run: RunId) {
    this.#folder = folder;
    this.#run = run;
  }

  /** Goes to where the newest lines begin, and returns how many lie before them. */
  async skipTo(tail: TailLimit): Promise<number> {
    const { offsets, skipped } = await findTail(this.#folder, await this.#names(), tail);
    for (const [name, offset] of offsets) this.#offsets.set(name, offset);
    return skipped;
  }

  #names(): Promise<string[]> {
    return readdir(this.#folder).catch(() => [] as string[]);
  }

  /** New lines in batches. Within a batch they are in the order of their times. */
  async *next(): AsyncGenerator<LogLine[]> {
    const names = await this.#names();
    for (let more = true; more;) {
      more = false;
      const lines: LogLine[] = [];
      for (const name of names) {
        const read = await this.#read(name);
        lines.push(...read.lines);
        more ||= read.more;
      }
      lines.sort((a, b) => a.timeMs - b.timeMs);
      yield* inBatches(lines);
    }
  }

  async #read(name: string): Promise<{ lines: LogLine[]; more: boolean }> {
    const replica = Number.parseInt(name, 10);
    const from = this.#offsets.get(name) ?? 0;
    const file = await open(join(this.#folder, name), "r").catch(() => undefined);
    if (!file) return { lines: [], more: false };
    try {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(readBytes), 0, readBytes, from);
      // A line being written right now is left for the next time.
      const end = buffer.subarray(0, bytesRead).lastIndexOf(10) + 1;
      // A piece without an end that fills the buffer is nothing a worker writes; it is passed over.
      const taken = end === 0 && bytesRead === readBytes ? bytesRead : end;
      this.#offsets.set(name, from + taken);
      const lines = buffer
        .toString("utf8", 0, end)
        .split("\n")
        .flatMap((line) => parseLine(line, this.#run, replica));
      return { lines, more: bytesRead === readBytes };
    } finally {
      await file.close();
    }
  }
}

const linePiece = new RegExp(`.{1,${maxLineChars}}`, "gs");

function* inBatches(lines: LogLine[]): Generator<LogLine[]> {
  let from = 0;
  let chars = 0;
  for (let at = 0; at < lines.length; at++) {
    chars += lines[at]!.text.length;
    const next = lines[at + 1]?.text.length ?? 0;
    if (at + 1 < lines.length && at + 1 - from < batchLines && chars + next <= batchChars) continue;
    yield lines.slice(from, at + 1);
    from = at + 1;
    chars = 0;
  }
}

function parseLine(line: string, run: RunId, replica: number): LogLine[] {
  if (line === "") return [];
  try {
    const [stream, timeMs, index, text] = JSON.parse(line) as [LogLine["stream"], number, number, string];
    const parsed: LogLine = { run, replica, stream, timeMs, text };
    if (index >= 0) parsed.index = index;
    return [parsed];
  } catch {
    return [];
  }
}

async function waitFor(event: Promise<void>, atMostMs: number, signal: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let stop: (() => void) | undefined;
  await Promise.race([
    event,
    new Promise<void>((resolve) => {
      timer = setTimeout(resolve, atMostMs);
      stop = () => resolve();
      signal.addEventListener("abort", stop, { once: true });
    }),
  ]);
  clearTimeout(timer);
  if (stop) signal.removeEventListener("abort", stop);
}
