import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pruneFolder } from "../prune.ts";

/** Inputs that were pasted: a JSON array, a line of JSON for each input, or lines of text where nothing is JSON. */

export type Pasted =
  | { ok: true; values: unknown[]; fileText: string; ending: "json" | "jsonl" }
  /** `sort` says what the text was taken for; `reason` is the parser's word. */
  | { ok: false; sort: "value" | "lines"; line: number; reason: string };

/** Files of pasted inputs are kept this long after they were last used, so that their runs can be repeated. */
const keptDays = 90;

/**
 * Lines count as texts only when none of them is JSON: with one slip among many lines of JSON, a person means JSON, and
 * texts would be mapped in its place.
 */
export function readPasted(text: string): Pasted {
  const trimmed = text.trim();
  const opensValue = /^[[{]/.test(trimmed);
  if (opensValue) {
    const whole = parse(trimmed);
    if (whole.ok) {
      if (Array.isArray(whole.value)) return { ok: true, values: whole.value, fileText: trimmed, ending: "json" };
      return lines([JSON.stringify(whole.value)], [whole.value]);
    }
  }
  const numbered = text
    .split(/\r?\n/)
    .map((line, at) => ({ line, number: at + 1, parsed: parse(line) }))
    .filter(({ line }) => line.trim() !== "");
  const values = numbered.flatMap(({ parsed }) => (parsed.ok ? [parsed.value] : []));
  const texts = numbered.map(({ line }) => line);
  if (values.length === numbered.length) return lines(texts, values);
  if (values.length === 0 && !opensValue)
    return lines(
      texts.map((line) => JSON.stringify(line)),
      texts,
    );
  // An array over several lines has hardly a line that is JSON by itself at its start.
  const [first] = numbered;
  if (opensValue && first && !first.parsed.ok) {
    const { line, reason } = faultIn(trimmed);
    return { ok: false, sort: "value", line: line + first.number - 1, reason };
  }
  for (const { number, parsed } of numbered) {
    if (!parsed.ok) return { ok: false, sort: "lines", line: number, reason: parsed.reason };
  }
  return lines([], []);
}

/** Writes pasted inputs to a file of `folder` and returns its path, whose ending tells the kind. */
export async function storePasted({ fileText, ending }: Pasted & { ok: true }, folder: string): Promise<string> {
  const name = createHash("sha256").update(fileText).digest("hex").slice(0, 16);
  const file = join(folder, `${name}.${ending}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await pruneFolder(folder, keptDays);
  await writeFile(file, fileText, { mode: 0o600 });
  return file;
}

function lines(json: readonly string[], values: unknown[]): Pasted {
  return { ok: true, values, fileText: json.map((line) => `${line}\n`).join(""), ending: "jsonl" };
}

function parse(text: string): { ok: true; value: unknown } | { ok: false; reason: string } {
  try {
    return { ok: true, value: JSON.parse(text) as unknown };
  } catch (error) {
    return { ok: false, reason: (error as Error).message };
  }
}

/** Where a text of several lines stops being JSON. V8 names the place in some of its messages only. */
function faultIn(text: string): { line: number; reason: string } {
  const reasonFor = (part: string): string => {
    const parsed = parse(part);
    return parsed.ok ? "" : parsed.reason;
  };
  const reason = reasonFor(text);
  const named = /\(line (\d+) column \d+\)/.exec(reason);
  if (named) return { line: Number(named[1]), reason };
  const all = text.split("\n");
  if (!reason.startsWith("Unexpected token")) return { line: all.length, reason };
  // A token that is wrong is wrong in every longer part too, and what is only cut off is never called that.
  let [least, most] = [1, all.length];
  while (least < most) {
    const middle = (least + most) >> 1;
    if (reasonFor(all.slice(0, middle).join("\n")).startsWith("Unexpected token")) most = middle;
    else least = middle + 1;
  }
  return { line: least, reason };
}
