import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { FailureGroup } from "../../webview/messages/run.ts";
import { withoutReordering } from "../../webview/reordering.ts";
import { framesOf, type Place } from "./frames.ts";
import { cut, previewOf } from "./preview.ts";

/** Failures grouped by what they say, each with the stack of the first and the lines of source it came from. */

/** Which files a panel opens and reads lines of: stacks come from afar, and may name any. */
export interface FailureFiles {
  /** Whether it is a file of the user's that can be opened. */
  isOwn(file: string): boolean;
  /** Its path, as short as it can be. */
  shorten(file: string): string;
}

interface Frame {
  name: string;
  place: string;
  at: Place | undefined;
}
interface Group extends Omit<FailureGroup, "frames"> {
  frames: Frame[];
}

const maxGroups = 200;
const shownIndices = 10;
const contextLines = 2;
const maxTitleChars = 1_000;
const maxCauses = 4;
const maxMembers = 10;

export class Failures {
  readonly #files: FailureFiles;
  /** By what their titles have in common. */
  readonly #groups = new Map<string, Group>();
  /** Failures that were read. */
  read = 0;
  /** Failures of further kinds, which are not shown. */
  others = 0;

  constructor(files: FailureFiles) {
    this.#files = files;
  }

  add(error: Error, index: number | undefined): void {
    this.read++;
    const title = titleOf(error);
    const key = alike(title);
    let group = this.#groups.get(key);
    if (!group) {
      if (this.#groups.size >= maxGroups) {
        this.others++;
        return;
      }
      const frames = this.#framesOf(error);
      const code = codeOf(frames);
      group = { id: idOf(key), title, count: 0, indices: [], frames, code, details: detailsOf(error) };
      this.#groups.set(key, group);
    }
    group.count++;
    if (index !== undefined && group.indices.length < shownIndices) group.indices.push(index);
  }

  clear(): void {
    this.#groups.clear();
    this.read = 0;
    this.others = 0;
  }

  /** The commonest first. */
  get groups(): FailureGroup[] {
    return this.#sorted().map((group) => ({
      ...group,
      indices: [...group.indices],
      frames: group.frames.map(({ name, place, at }) => ({ name, place, opens: at !== undefined })),
    }));
  }

  /** Where a frame that the page names lies. */
  placeOf(id: string, frame: number): Place | undefined {
    return [...this.#groups.values()].find((group) => group.id === id)?.frames[frame]?.at;
  }

  /** The first place in a file of the user's, of the commonest failure, to be marked there. */
  get firstPlace(): { at: Place; message: string } | undefined {
    for (const { frames, title } of this.#sorted()) {
      const frame = frames.find(({ at }) => at && !isPackage(at.file));
      if (frame?.at) return { at: frame.at, message: withoutReordering(title) };
    }
    return undefined;
  }

  #sorted(): Group[] {
    return [...this.#groups.values()].sort((a, b) => b.count - a.count);
  }

  #framesOf(error: Error): Frame[] {
    return framesOf(error.stack ?? "").map(({ name, text, at }) => {
      if (!at) return { name, place: text, at };
      const place = `${this.#files.shorten(at.file)}:${at.line}:${at.column}`;
      return { name, place, at: this.#files.isOwn(at.file) ? at : undefined };
    });
  }
}

function titleOf(error: Error): string {
  return cut(`${error.name}: ${error.message}`, maxTitleChars);
}

/** Messages that differ in numbers and quoted texts only are of one group. An apostrophe in a word is no quote. */
function alike(title: string): string {
  return title.replace(/"[^"]*"|(?<!\w)'[^']*'(?!\w)|`[^`]*`/g, "…").replace(/\d+(?:\.\d+)?/g, "0");
}

/** The same whenever the failures are read, so that a page and what it asks for mean the same group. */
function idOf(key: string): string {
  return createHash("sha256").update(key).digest("base64url").slice(0, 20);
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

/** What else an error says: Farcall's hint, the errors it gathers, its causes and what those gather. */
function detailsOf(error: Error): FailureGroup["details"] {
  const details: FailureGroup["details"] = [];
  const { hint } = error as { hint?: unknown };
  if (typeof hint === "string") details.push({ kind: "hint", text: cut(hint, maxTitleChars) });
  details.push(...membersOf(error));
  let cause: unknown = error.cause;
  for (let depth = 0; cause !== undefined && depth < maxCauses; depth++) {
    details.push({ kind: "cause", text: textOf(cause) }, ...membersOf(cause));
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return details;
}

function membersOf(error: unknown): FailureGroup["details"] {
  if (!(error instanceof AggregateError)) return [];
  const members: unknown[] = error.errors;
  const shown = members.slice(0, maxMembers).map((each) => ({ kind: "member" as const, text: textOf(each) }));
  const further = members.length - shown.length;
  return further > 0 ? [...shown, { kind: "further", text: String(further) }] : shown;
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? titleOf(thrown) : previewOf(thrown, maxTitleChars);
}

function isPackage(file: string): boolean {
  return /[\\/]node_modules[\\/]/.test(file);
}
