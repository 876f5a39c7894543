import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { LogLine } from "../protocol/messages/logs.ts";
import type { RunId } from "../spec/names.ts";
import { findTail, type TailLimit } from "./logTail.ts";

const batchLines = 500;
/** A batch travels in the header of a frame, which is capped at 1 MiB; JSON can make six of one character. */
const batchChars = 128 * 1024;
const readBytes = 256 * 1024;

export interface LogBatch {
  lines: LogLine[];
  /** Of the files that they are from, how far each is read with them: whoever has these lines goes on from there. */
  files: Record<string, number>;
}

interface PlacedLine {
  line: LogLine;
  name: string;
  /** Where the next line of its file begins. */
  end: number;
  /** Its time, but never before that of an earlier line of its file. */
  orderMs: number;
}

/** Reads what was added to the files of one run since it last read. */
export class RunLogReader {
  readonly #folder: string;
  readonly #run: RunId;
  readonly #offsets: Map<string, number>;
  readonly #newestMs = new Map<string, number>();

  /** With `after`, how far each file was read before. */
  constructor(folder: string, run: RunId, after: Readonly<Record<string, number>> = {}) {
    this.#folder = folder;
    this.#run = run;
    this.#offsets = new Map(Object.entries(after));
  }

  /** Goes to where the newest lines begin, and returns how many lie before them. */
  async skipTo(tail: TailLimit): Promise<{ skipped: number; files: Record<string, number> }> {
    const { offsets, skipped } = await findTail(this.#folder, await this.#names(), tail);
    for (const [name, offset] of offsets) this.#offsets.set(name, offset);
    return { skipped, files: Object.fromEntries(offsets) };
  }

  #names(): Promise<string[]> {
    return readdir(this.#folder).catch(() => [] as string[]);
  }

  /** New lines in batches. Within a batch they are in the order of their times, and within a file as they were written. */
  async *next(): AsyncGenerator<LogBatch> {
    const names = await this.#names();
    for (let more = true; more;) {
      more = false;
      const lines: PlacedLine[] = [];
      for (const name of names) {
        const read = await this.#read(name);
        for (const line of read.lines) lines.push(line);
        more ||= read.more;
      }
      lines.sort((a, b) => a.orderMs - b.orderMs);
      yield* inBatches(lines);
    }
  }

  async #read(name: string): Promise<{ lines: PlacedLine[]; more: boolean }> {
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
      return { lines: this.#parse(buffer.subarray(0, end), name, from), more: bytesRead === readBytes };
    } finally {
      await file.close();
    }
  }

  #parse(bytes: Buffer, name: string, from: number): PlacedLine[] {
    const replica = Number.parseInt(name, 10);
    const lines: PlacedLine[] = [];
    // A clock that was set back must not make a reader that goes on behind one line miss an earlier one.
    let orderMs = this.#newestMs.get(name) ?? 0;
    for (let at = 0, to = bytes.indexOf(10); to !== -1; at = to + 1, to = bytes.indexOf(10, at)) {
      const line = parseLine(bytes.toString("utf8", at, to), this.#run, replica);
      if (!line) continue;
      orderMs = Math.max(orderMs, line.timeMs);
      lines.push({ line, name, end: from + to + 1, orderMs });
    }
    this.#newestMs.set(name, orderMs);
    return lines;
  }
}

function* inBatches(lines: PlacedLine[]): Generator<LogBatch> {
  let batch: LogBatch = { lines: [], files: {} };
  let chars = 0;
  for (const [at, { line, name, end }] of lines.entries()) {
    batch.lines.push(line);
    batch.files[name] = end;
    chars += line.text.length;
    const next = lines[at + 1]?.line.text.length ?? 0;
    if (at + 1 < lines.length && batch.lines.length < batchLines && chars + next <= batchChars) continue;
    yield batch;
    batch = { lines: [], files: {} };
    chars = 0;
  }
}

function parseLine(text: string, run: RunId, replica: number): LogLine | undefined {
  if (text === "") return undefined;
  try {
    const [stream, timeMs, index, said] = JSON.parse(text) as [LogLine["stream"], number, number, string];
    const line: LogLine = { run, replica, stream, timeMs, text: said };
    if (index >= 0) line.index = index;
    return line;
  } catch {
    return undefined;
  }
}
