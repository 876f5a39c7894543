import { readFileSync, statSync } from "node:fs";
import { relative } from "node:path";
import { originOf } from "../client/remoteErrors.ts";
import { FarcallError } from "../spec/errors.ts";
import { paint, sanitize } from "./terminal.ts";

/** Errors as a person wants to read them: what, where in their own code, why, and what to do. */

const framePattern = /\(?((?:\/|[A-Za-z]:\\)[^()]*?):(\d+):(\d+)\)?$/;
const contextLines = 2;
const maxFrameChars = 2_000;

/** The exit status that goes with an error, and its text on standard error. */
export function reportError(error: unknown): 1 | 2 {
  const own = error instanceof FarcallError ? error : undefined;
  const lines: string[] = [];
  if (own) {
    lines.push(`${paint(["red", "bold"], "error")} ${paint("dim", own.code)}: ${sanitizeLines(own.message)}`);
    if (own.hint) lines.push(`  ${sanitizeLines(own.hint)}`);
    if (own.cause instanceof Error && originOf(error) === undefined && own.code === "bundle.import-failed")
      lines.push(...describe(own.cause));
    else if (originOf(error) && own.cause instanceof Error) lines.push(...describe(own.cause));
  } else if (error instanceof Error) lines.push(...describe(error));
  else lines.push(`${paint("red", "error")}: ${sanitize(String(error))}`);
  process.stderr.write(`${lines.join("\n")}\n`);
  return own ? own.exitStatus : 1;
}

/** An error of the user's function: message, frames in their files, and the line it came from. */
export function describe(error: Error, depth = 0): string[] {
  const origin = originOf(error);
  const where = [
    origin?.index === undefined ? "" : `input ${origin.index}`,
    origin?.replica === undefined ? "" : `replica ${origin.replica}`,
    origin?.attempts !== undefined && origin.attempts > 1 ? `${origin.attempts} attempts` : "",
  ].filter((part) => part !== "");
  const head = `${paint(["red", "bold"], sanitize(error.name))}: ${sanitizeLines(error.message)}`;
  const lines = [where.length > 0 ? `${head} ${paint("dim", `(${where.join(", ")})`)}` : head];
  const frames = (error.stack ?? "").split("\n").filter((line) => /^\s*at /.test(line) && line.length <= maxFrameChars);
  lines.push(...frames.slice(0, 12).map((frame) => paint("dim", `  ${shorten(sanitize(frame.trim()))}`)));
  lines.push(...codeFrame(frames));
  if (error.cause instanceof Error && depth < 4) {
    lines.push(paint("dim", "caused by"), ...describe(error.cause, depth + 1));
  }
  return lines;
}

/** The lines around the first frame that lies in a file of this machine outside of `node_modules`. */
function codeFrame(frames: readonly string[]): string[] {
  for (const frame of frames) {
    const found = framePattern.exec(frame.trim());
    if (!found) continue;
    const [, file = "", lineText, columnText] = found;
    if (file.includes("node_modules")) continue;
    const source = readLines(file);
    const line = Number(lineText);
    if (!source || line < 1 || line > source.length) continue;
    const first = Math.max(1, line - contextLines);
    const last = Math.min(source.length, line + contextLines);
    const width = String(last).length;
    const shown: string[] = [];
    for (let number = first; number <= last; number++) {
      const mark = number === line ? paint("red", ">") : " ";
      shown.push(
        `  ${mark} ${paint("dim", `${String(number).padStart(width)} |`)} ${sanitize(source[number - 1] ?? "")}`,
      );
      if (number === line)
        shown.push(
          `    ${" ".repeat(width)} ${paint("dim", "|")} ${" ".repeat(Math.max(0, Number(columnText) - 1))}${paint("red", "^")}`,
        );
    }
    return shown;
  }
  return [];
}

const maxSourceBytes = 4 * 1024 * 1024;

/** Stacks come from afar: only plain files of a sensible size are opened, and nothing on the network. */
function readLines(file: string): string[] | undefined {
  if (/^[\\/]{2}/.test(file)) return undefined;
  try {
    const found = statSync(file);
    return found.isFile() && found.size <= maxSourceBytes ? readFileSync(file, "utf8").split("\n") : undefined;
  } catch {
    return undefined;
  }
}

function shorten(frame: string): string {
  const found = framePattern.exec(frame);
  if (!found?.[1]) return frame;
  const short = relative(process.cwd(), found[1]);
  return short.startsWith("..") ? frame : frame.replace(found[1], short);
}

function sanitizeLines(text: string): string {
  return text
    .split("\n")
    .map((line) => sanitize(line))
    .join("\n");
}
