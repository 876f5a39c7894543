import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { formatWithOptions } from "node:util";
import { type CallContext, currentContext } from "./context.ts";

/**
 * What user code prints, line by line into one file for each run and replica.
 *
 * Files rather than pipes: an unread pipe buffers in this process without bound, while a write to a file is
 * done when it returns, so lines survive any death of the process. Each line is one JSON array
 * `[stream, timeMs, index, text]`. A file stops growing at its cap, and what was left out is counted.
 */
export type OutputStream = "stdout" | "stderr" | "log";

const maxFileBytes = 64 * 1024 * 1024;
/** In characters; JSON can make six of one, and a reader takes 256 KiB at a time. */
const maxLineLength = 32 * 1024;
/** Between two notices to the agent that a file grew. */
const noticeEveryMs = 30;

interface RunLog {
  file: string;
  users: number;
  descriptor: number | undefined;
  bytes: number;
  droppedLines: number;
  noticed: boolean;
  noticedAtMs: number;
  /** Unfinished lines by stream and index. */
  partial: Map<string, string>;
}

export class Output {
  readonly #logs = new Map<string, RunLog>();
  /** Bytes already written to each file in earlier calls of this process. */
  readonly #written = new Map<string, number>();
  readonly #callbacks = new Map<() => void, number>();
  readonly #notice: (run: string) => void;

  constructor(notice: (run: string) => void) {
    this.#notice = notice;
  }

  /** Makes `process.stdout` and `process.stderr` write here whenever a call of a run is on the stack. */
  install(): void {
    for (const name of ["stdout", "stderr"] as const) {
      const stream = process[name];
      const raw = stream.write.bind(stream);
      stream.write = (chunk: unknown, encoding?: unknown, callback?: unknown) => {
        const run = this.#attribute();
        if (!run) return raw(chunk as string, encoding as BufferEncoding, callback as () => void);
        const text =
          typeof chunk === "string"
            ? chunk
            : Buffer.from(chunk as Uint8Array).toString(
                typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8",
              );
        this.#write(run.log, name, run.index, text);
        const done = typeof encoding === "function" ? encoding : callback;
        if (typeof done === "function") this.#later(done as () => void);
        return true;
      };
    }
  }

  /**
   * Calls back after the current work. A loop that prints a million lines brings the same callback a million
   * times, and none is called before it ends: they are counted, not queued.
   */
  #later(callback: () => void): void {
    if (this.#callbacks.size === 0) {
      process.nextTick(() => {
        const callbacks = [...this.#callbacks];
        this.#callbacks.clear();
        for (const [each, times] of callbacks) for (let i = 0; i < times; i++) each();
      });
    }
    this.#callbacks.set(callback, (this.#callbacks.get(callback) ?? 0) + 1);
  }

  begin(run: string, file: string): void {
    const log = this.#logs.get(run);
    if (log) log.users++;
    else {
      this.#logs.set(run, {
        file,
        users: 1,
        descriptor: undefined,
        bytes: this.#written.get(file) ?? 0,
        droppedLines: 0,
        noticed: false,
        noticedAtMs: 0,
        partial: new Map(),
      });
    }
  }

  /** Ends unfinished lines of one input, so that they are in the file before its outcome is sent. */
  endOf(run: string, index: number): void {
    const log = this.#logs.get(run);
    if (!log || log.partial.size === 0) return;
    for (const stream of ["stdout", "stderr", "log"] as const) {
      const key = `${stream} ${index}`;
      const rest = log.partial.get(key);
      if (rest === undefined) continue;
      log.partial.delete(key);
      this.#line(log, stream, index, rest);
    }
  }

  end(run: string): void {
    const log = this.#logs.get(run);
    if (!log || --log.users > 0) return;
    this.#logs.delete(run);
    if (log.descriptor === undefined) return;
    if (log.droppedLines > 0) {
      this.#append(
        log,
        "log",
        -1,
        `${log.droppedLines} lines were left out: the log of this replica reached its limit`,
      );
    }
    closeSync(log.descriptor);
    this.#written.set(log.file, log.bytes);
    this.#notice(run);
  }

  readonly log = (context: CallContext, args: unknown[]): void => {
    const log = this.#logs.get(context.run);
    if (log) this.#write(log, "log", context.index, `${formatWithOptions({ colors: false }, ...args)}\n`);
  };

  #attribute(): { log: RunLog; index: number } | undefined {
    const context = currentContext();
    if (context) {
      const log = this.#logs.get(context.run);
      if (log) return { log, index: context.index };
    }
    // Output that lost its context belongs to the only run there is, if there is only one.
    if (this.#logs.size !== 1) return undefined;
    const [only] = this.#logs.values();
    return only && { log: only, index: -1 };
  }

  #write(log: RunLog, stream: OutputStream, index: number, text: string): void {
    const key = `${stream} ${index}`;
    const before = log.partial.get(key);
    const lines = (before === undefined ? text : before + text).split("\n");
    const rest = lines.pop() ?? "";
    for (const line of lines) this.#line(log, stream, index, line);
    if (rest.length > maxLineLength) this.#line(log, stream, index, rest);
    else if (rest !== "") {
      log.partial.set(key, rest);
      return;
    }
    if (before !== undefined) log.partial.delete(key);
  }

  #line(log: RunLog, stream: OutputStream, index: number, line: string): void {
    if (log.bytes >= maxFileBytes) {
      log.droppedLines++;
      return;
    }
    for (let at = 0; at === 0 || at < line.length; at += maxLineLength) {
      this.#append(log, stream, index, line.slice(at, at + maxLineLength));
    }
    const now = Date.now();
    if (!log.noticed || now - log.noticedAtMs > noticeEveryMs) {
      log.noticed = true;
      log.noticedAtMs = now;
      const [run] = [...this.#logs].find(([, each]) => each === log) ?? [];
      if (run) this.#notice(run);
    }
  }

  #append(log: RunLog, stream: OutputStream, index: number, line: string): void {
    try {
      log.descriptor ??= openLog(log.file);
      log.bytes += writeSync(log.descriptor, `${JSON.stringify([stream, Date.now(), index, line])}\n`);
    } catch {
      // A full disk must not fail the user's function because it printed something.
      log.droppedLines++;
    }
  }
}

function openLog(file: string): number {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  return openSync(file, "a", 0o600);
}
