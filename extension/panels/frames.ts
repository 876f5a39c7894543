import { dirname, isAbsolute, relative } from "node:path";

/** The frames of a stack, as text and as places in files. */

export interface Place {
  file: string;
  /** Both count from 1. */
  line: number;
  column: number;
}

export interface StackFrame {
  /** Of the function, or empty. */
  name: string;
  /** Where it is, as it stands in the stack. */
  text: string;
  at: Place | undefined;
}

const maxFrames = 20;
/** Longer lines are no frames, and not worth a pattern's time. */
const maxFrameChars = 2_000;
/** Paths may have parentheses and spaces of their own; names do not have one before a slash or a drive. */
const named = /^\s*at (.*?) \(((?:\/|[A-Za-z]:[\\/]).*):(\d+):(\d+)\)$/;
const unnamed = /^\s*at (?:async )?((?:\/|[A-Za-z]:[\\/]).*):(\d+):(\d+)$/;

export function framesOf(stack: string): StackFrame[] {
  const lines = stack.split("\n").filter((line) => line.length <= maxFrameChars && /^\s*at /.test(line));
  return lines.slice(0, maxFrames).map((line) => {
    // A place in evaluated text is followed by that of whoever evaluated it.
    const isText = line.includes("(eval at ");
    const found = isText ? undefined : (named.exec(line) ?? unnamed.exec(line)?.toSpliced(1, 0, ""));
    if (!found) return { name: "", text: line.trim().replace(/^at /, ""), at: undefined };
    const [, name = "", file = "", lineText, columnText] = found;
    const at = { file, line: Number(lineText), column: Number(columnText) };
    return { name, text: `${file}:${at.line}:${at.column}`, at };
  });
}

/** Everything is below the root of a disk, so that says nothing. */
export function isBelow(folder: string, file: string): boolean {
  if (dirname(folder) === folder) return false;
  const way = relative(folder, file);
  return way !== "" && !/^\.\.(?:[\\/]|$)/.test(way) && !isAbsolute(way);
}
