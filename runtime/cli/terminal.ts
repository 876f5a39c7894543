import { Console } from "node:console";
import { isatty } from "node:tty";
import { styleText } from "node:util";
import type { LogLine } from "../protocol/messages/logs.ts";
import { plainText } from "../spec/text.ts";

/** What the command line shows a person: on standard error, so that standard output holds results only. */

type Style = Parameters<typeof styleText>[0];
type Target = "stdout" | "stderr";

/** Colours only on a terminal that wants them. `target` is where the text goes. */
export function paint(style: Style, text: string, target: Target = "stderr"): string {
  return usesColour(target) ? styleText(style, text, { validateStream: false }) : text;
}

function usesColour(target: Target): boolean {
  return isatty(target === "stdout" ? 1 : 2) && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
}

// Colours (SGR) may stay in what remote code printed; every other sequence could move the cursor, set the
// title, write the clipboard or make the terminal answer, and is dropped.
// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const colourSequence = /\u001b\[[0-9;]*m/g;

/** Remote text, made safe to print. */
export function sanitize(text: string, useColour: boolean = usesColour("stderr")): string {
  let clean = "";
  let at = 0;
  for (const match of text.matchAll(colourSequence)) {
    clean += plainText(text.slice(at, match.index));
    if (useColour) clean += match[0];
    at = match.index + match[0].length;
  }
  clean += plainText(text.slice(at));
  return useColour && at > 0 ? `${clean}\u001b[0m` : clean;
}

/** What a module prints that gives inputs in this process goes to standard error too. */
export function consoleToStandardError(): void {
  globalThis.console = new Console(process.stderr, process.stderr);
}

export function logLineText({ replica, stream, index, text }: LogLine, target: Target = "stderr"): string {
  const where = `[${replica}${index === undefined ? "" : ` #${index}`}]`;
  const line = sanitize(text, usesColour(target));
  const style = replicaStyles[replica % replicaStyles.length]!;
  return `${paint(style, where, target)} ${stream === "stderr" ? paint("yellow", line, target) : line}`;
}

const replicaStyles = ["cyan", "magenta", "blue", "green"] as const satisfies Style[];

/** A line at the bottom of the terminal that is written anew in place, with other lines scrolling above it. */
export class StatusLine implements Disposable {
  readonly #stream = process.stderr;
  readonly #live = isatty(2);
  #shown = "";

  get isLive(): boolean {
    return this.#live;
  }

  /** Shows `text` in place of the last one; nothing when not on a terminal. */
  update(text: string): void {
    if (!this.#live) return;
    const width = this.#stream.columns || 80;
    this.#shown = text.slice(0, width - 1);
    this.#stream.write(`\r\u001b[2K${this.#shown}`);
  }

  /** Prints a line that stays. */
  print(line: string): void {
    this.#stream.write(this.#shown === "" ? `${line}\n` : `\r\u001b[2K${line}\n${this.#shown}`);
  }

  clear(): void {
    if (this.#shown !== "") this.#stream.write("\r\u001b[2K");
    this.#shown = "";
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}

/** `1h 02m`, `3m 04s`, `5.6 s`, `78 ms`. */
export function duration(ms: number): string {
  // Bounds lie where rounding would reach the next unit.
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  const pad = (value: number) => String(value).padStart(2, "0");
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m ${pad(seconds % 60)}s`;
  return `${Math.floor(seconds / 3_600)}h ${pad(Math.floor((seconds % 3_600) / 60))}m`;
}

export function count(value: number): string {
  return value.toLocaleString("en-US");
}

/** `1 input`, `2 inputs`. */
export function some(number: number, what: string): string {
  return `${count(number)} ${what}${number === 1 ? "" : "s"}`;
}

/** A number with as many digits as say something. */
export function rate(perSecond: number): string {
  if (perSecond >= 99.5) return count(Math.round(perSecond));
  return perSecond.toPrecision(2);
}

/** Columns of text under their headings, aligned; `right` names the columns of numbers. */
export function table(rows: Record<string, string>[], right: readonly string[] = []): string {
  const columns = Object.keys(rows[0] ?? {});
  const widths = columns.map((column) => Math.max(column.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: string[]) =>
    cells
      .map((cell, i) => (right.includes(columns[i]!) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd();
  return [line(columns), ...rows.map((row) => line(columns.map((column) => row[column] ?? "")))].join("\n");
}
