import { isAbsolute, join } from "node:path";
import type { TraceMap } from "@jridgewell/trace-mapping";
import type { BundleRef } from "../protocol/messages/code.ts";
import type { RunRecord } from "../protocol/messages/runs.ts";
import type { Asking } from "./asking.ts";

/**
 * Turns the stacks of errors from workers, which name places in bundles, into stacks that name the lines of
 * the user's own files. Only text is read from the node: paths come from the bundle's own source maps.
 */
export interface SourcePlace {
  source: RunRecord["source"];
  /** Hash of the bundle. */
  bundle: string;
}

/**
 * `at name (file:///…/bundles/<hash>/<path>:line:column)` and its forms without a name or parentheses, which the
 * path may have of its own.
 */
const framePattern =
  /^(\s*at (?:.*? )?\(?)(?:file:\/\/)?\S*?\/bundles\/(shared\/)?([0-9a-f]{64})\/([^\s:]+):(\d+):(\d+)(\)?)$/;
const ownFramePattern = /^\s*at .*(?:node:internal|\/worker\.js:\d+:\d+\)?$|node:async_hooks)/;
/** Longer lines are no frames, and not worth a pattern's time. */
const maxFrameChars = 2_000;
const mapTimeoutMs = 30_000;

export class StackMapper {
  readonly #session: Asking;
  readonly #place: SourcePlace;
  readonly #maps = new Map<string, Promise<TraceMap | undefined>>();
  readonly #contents: ReadonlyMap<string, Uint8Array>;
  #files: Promise<BundleRef["files"]> | undefined;

  /** With `local`, the bundle and its files by hash, nothing needs to be fetched from the agent. */
  constructor(
    session: Asking,
    place: SourcePlace,
    local?: { ref: BundleRef; contents: ReadonlyMap<string, Uint8Array> },
  ) {
    this.#session = session;
    this.#place = place;
    this.#contents = local?.contents ?? new Map();
    if (local) this.#files = Promise.resolve(local.ref.files);
  }

  /** Maps the stack of an error, of its causes and of the errors it gathers, in place. Never throws. */
  async map(error: unknown, depth = 0): Promise<void> {
    if (!(error instanceof Error) || depth > 8) return;
    if (typeof error.stack === "string") {
      const stack = await this.mapText(error.stack);
      Object.defineProperty(error, "stack", { value: stack, configurable: true, writable: true, enumerable: false });
    }
    await this.map(error.cause, depth + 1);
    if (error instanceof AggregateError) for (const each of error.errors) await this.map(each, depth + 1);
  }

  async mapText(stack: string): Promise<string> {
    const before = stack.split("\n");
    const lines = await Promise.all(before.map((line) => this.#mapLine(line)));
    // What called the user's code is the worker, which tells nobody anything.
    const last = lines.findLastIndex((line, i) => line !== undefined && line !== before[i]);
    const kept = last === -1 ? lines : lines.filter((line, i) => i <= last || !/^\s*at /.test(line ?? ""));
    return kept.filter((line) => line !== undefined).join("\n");
  }

  async #mapLine(line: string): Promise<string | undefined> {
    if (line.length > maxFrameChars) return line;
    if (ownFramePattern.test(line)) return undefined;
    const found = framePattern.exec(line);
    if (!found) return line;
    const [, before = "", shared, hash, path = "", lineText, columnText, after = ""] = found;
    if (shared === undefined && hash !== this.#place.bundle) return line;
    const map = await this.#mapOf(path).catch(() => undefined);
    if (!map) return line;
    const { originalPositionFor } = await import("@jridgewell/trace-mapping");
    const original = originalPositionFor(map, { line: Number(lineText), column: Number(columnText) - 1 });
    if (original.source === null || original.line === null) return line;
    const { root } = this.#place.source;
    const file = isAbsolute(original.source) ? original.source : join(root, original.source);
    return `${before}${file}:${original.line}:${original.column + 1}${after}`;
  }

  #mapOf(path: string): Promise<TraceMap | undefined> {
    let map = this.#maps.get(path);
    if (!map) this.#maps.set(path, (map = this.#load(`${path}.map`)));
    return map;
  }

  async #load(path: string): Promise<TraceMap | undefined> {
    this.#files ??= this.#session
      .request("bundle.get", { hash: this.#place.bundle }, { timeoutMs: mapTimeoutMs })
      .then(({ value }) => value.bundle.files);
    const file = (await this.#files).find((each) => each.path === path);
    if (!file) return undefined;
    const content =
      this.#contents.get(file.hash) ??
      (await this.#session.request("file.get", { hash: file.hash }, { timeoutMs: mapTimeoutMs })).body;
    const { TraceMap: Map } = await import("@jridgewell/trace-mapping");
    return new Map(Buffer.from(content).toString("utf8"));
  }
}
