import { readFileSync, statSync } from "node:fs";
import * as vscode from "vscode";
import type { FailureGroup } from "../../webview/messages.ts";
import { cut, previewOf } from "./preview.ts";

/** Failures grouped by what they say, each with the stack of the first and the lines of source it came from. */

export interface Place {
  file: string;
  /** Both count from 1. */
  line: number;
  column: number;
}
interface Frame {
  name: string;
  place: string;
  at: Place | undefined;
}
interface Group {
  title: string;
  count: number;
  indices: number[];
  frames: Frame[];
  code: FailureGroup["code"];
  details: string[];
  message: string;
}

const maxGroups = 200;
const shownIndices = 10;
const shownFrames = 20;
const contextLines = 2;
const maxFrameChars = 2_000;
const maxTitleChars = 1_000;
const maxSourceBytes = 4 * 1024 * 1024;
const framePattern = /^\s*at (?:(.*?) \()?((?:\/|[A-Za-z]:\\)[^()]*?):(\d+):(\d+)\)?$/;

export class Failures {
  readonly #groups = new Map<string, Group>();
  /** Failures that were read. */
  read = 0;

  add(error: Error, index: number | undefined): void {
    this.read++;
    const title = cut(`${error.name}: ${error.message}`, maxTitleChars);
    const key = alike(title);
    let group = this.#groups.get(key);
    if (!group) {
      if (this.#groups.size >= maxGroups) return;
      const frames = framesOf(error);
      group = {
        title,
        count: 0,
        indices: [],
        frames,
        code: codeOf(frames),
        details: detailsOf(error),
        message: error.message,
      };
      this.#groups.set(key, group);
    }
    group.count++;
    if (index !== undefined && group.indices.length < shownIndices) group.indices.push(index);
  }

  clear(): void {
    this.#groups.clear();
    this.read = 0;
  }

  /** The commonest first. */
  get groups(): FailureGroup[] {
    return this.#sorted().map(({ title, count, indices, frames, code, details }) => ({
      title,
      count,
      indices,
      frames: frames.map(({ name, place, at }) => ({ name, place, opens: at !== undefined })),
      code,
      details,
    }));
  }

  /** Where a frame that the page names lies. */
  placeOf(failure: number, frame: number): Place | undefined {
    return this.#sorted()[failure]?.frames[frame]?.at;
  }

  /** The first place in a file of the workspace, of the commonest failure, to be marked there. */
  get firstPlace(): { at: Place; message: string } | undefined {
    for (const { frames, title } of this.#sorted()) {
      const frame = frames.find(
        ({ at }) => at && vscode.workspace.getWorkspaceFolder(vscode.Uri.file(at.file)) && !isPackage(at.file),
      );
      if (frame?.at) return { at: frame.at, message: title };
    }
    return undefined;
  }

  #sorted(): Group[] {
    return [...this.#groups.values()].sort((a, b) => b.count - a.count);
  }
}

/** Messages that differ in numbers and quoted texts only are of one group. */
function alike(title: string): string {
  return title.replace(/"[^"]*"|'[^']*'|`[^`]*`/g, "…").replace(/\d+(?:\.\d+)?/g, "0");
}

function framesOf(error: Error): Frame[] {
  const lines = (error.stack ?? "").split("\n").filter((line) => /^\s*at /.test(line) && line.length <= maxFrameChars);
  return lines.slice(0, shownFrames).map((line) => {
    const found = framePattern.exec(line);
    if (!found) return { name: "", place: line.trim().replace(/^at /, ""), at: undefined };
    const [, name = "", file = "", lineText, columnText] = found;
    const at = { file, line: Number(lineText), column: Number(columnText) };
    const place = `${vscode.workspace.asRelativePath(file)}:${at.line}:${at.column}`;
    return { name, place, at: isPlainFile(file) ? at : undefined };
  });
}

function codeOf(frames: readonly Frame[]): FailureGroup["code"] {
  const at = frames.find((frame) => frame.at && !isPackage(frame.at.file))?.at;
  if (!at) return [];
  let lines: string[];
  try {
    lines = readFileSync(at.file, "utf8").split("\n");
  } catch {
    return [];
  }
  if (at.line < 1 || at.line > lines.length) return [];
  const first = Math.max(1, at.line - contextLines);
  const last = Math.min(lines.length, at.line + contextLines);
  return lines
    .slice(first - 1, last)
    .map((text, i) => ({ line: first + i, text: cut(text, 500), marked: first + i === at.line }));
}

function detailsOf(error: Error): string[] {
  const details: string[] = [];
  const { hint } = error as { hint?: unknown };
  if (typeof hint === "string") details.push(hint);
  let cause: unknown = error.cause;
  for (let depth = 0; cause !== undefined && depth < 4; depth++) {
    details.push(
      vscode.l10n.t(
        "Caused by {0}",
        cut(cause instanceof Error ? `${cause.name}: ${cause.message}` : previewOf(cause), maxTitleChars),
      ),
    );
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return details;
}

/** Stacks come from afar: only plain files of a sensible size are read, in the workspace, and nothing on the network. */
function isPlainFile(file: string): boolean {
  if (/^[\\/]{2}/.test(file)) return false;
  if (!vscode.workspace.getWorkspaceFolder(vscode.Uri.file(file))) return false;
  try {
    const found = statSync(file);
    return found.isFile() && found.size <= maxSourceBytes;
  } catch {
    return false;
  }
}

function isPackage(file: string): boolean {
  return /[\\/]node_modules[\\/]/.test(file);
}
