import { randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { realpath, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { MapOutcome } from "../../runtime/index.ts";
import { outcomeLine } from "../../runtime/client/json.ts";

/** Outcomes as text, and text as a file. */

/** A write for each line would cost more than the line. */
const writeChars = 64 * 1024;

export async function* jsonLines(
  outcomes: AsyncIterable<MapOutcome<unknown>>,
): AsyncGenerator<string, void, undefined> {
  for await (const outcome of outcomes) yield `${outcomeLine(outcome).text}\n`;
}

/** An array of JSON; undefined when it would be longer than `maxChars`. */
export async function jsonArray(
  outcomes: AsyncIterable<MapOutcome<unknown>>,
  maxChars: number,
): Promise<string | undefined> {
  const lines: string[] = [];
  let chars = 0;
  for await (const outcome of outcomes) {
    const { text } = outcomeLine(outcome);
    chars += text.length;
    if (chars > maxChars) return undefined;
    lines.push(text);
  }
  return lines.length === 0 ? "[]\n" : `[\n  ${lines.join(",\n  ")}\n]\n`;
}

/**
 * Writes a file beside the target first: whatever happens on the way, the target is what it was or all of what it is
 * to be.
 */
export async function writeWhole(
  target: string,
  lines: AsyncIterable<string> | readonly string[],
  signal: AbortSignal,
): Promise<void> {
  // A link stays a link.
  const file = await realpath(target).catch(() => target);
  const part = join(dirname(file), `.${basename(file)}.${randomBytes(4).toString("hex")}.part`);
  try {
    await pipeline(gathered(lines), createWriteStream(part, { flags: "wx" }), { signal });
    signal.throwIfAborted();
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

async function* gathered(lines: AsyncIterable<string> | readonly string[]): AsyncGenerator<string, void, undefined> {
  let text = "";
  for await (const line of lines) {
    text += line;
    if (text.length < writeChars) continue;
    yield text;
    text = "";
  }
  if (text !== "") yield text;
}
