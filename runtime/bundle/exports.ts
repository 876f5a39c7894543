import { readFileSync } from "node:fs";
import { extname } from "node:path";
import { esbuild } from "./compile.ts";

/**
 * The names a chunk really exports. The metafile may list more: a type that is re-exported without the word
 * `type` is in it, since esbuild cannot know what it is, but is not in the code.
 *
 * `open` says that there may be more names, which only the module behind an `export *` knows.
 */
export function exportsOfChunk(code: Uint8Array, listed: readonly string[]): { names: string[]; open: boolean } {
  const text = Buffer.from(code.buffer, code.byteOffset, code.byteLength).toString();
  const clause = [...text.matchAll(/^export \{([^}]*)\};?$/gm)].at(-1)?.[1];
  const open = /^export \* from /m.test(text);
  if (clause === undefined) return { names: listed.filter((name) => name === "default"), open };
  const written = new Set(clause.split(/,\s/).map((entry) => entry.trim().split(/ as /).at(-1) ?? ""));
  return { names: listed.filter((name) => written.has(name) || written.has(JSON.stringify(name))), open };
}

/** The names a CommonJS file sets on its `exports`, with `default`; undefined when the text does not tell. */
export async function exportsOfCommonJs(file: string): Promise<string[] | undefined> {
  const [{ transform }, lexer] = await Promise.all([esbuild(), import("cjs-module-lexer")]);
  const loader = ({ ".ts": "ts", ".cts": "ts", ".tsx": "tsx", ".jsx": "jsx" } as const)[extname(file)] ?? "js";
  const text = readFileSync(file, "utf8");
  try {
    const { code } = loader === "js" ? { code: text } : await transform(text, { loader });
    await lexer.init();
    const { exports, reexports } = lexer.parse(code);
    const names = exports.filter((name) => name !== "__esModule");
    // The lexer reads an object literal up to the first property that is no plain name.
    const literal = /\bmodule\.exports\s*=\s*\{([^}]*)/.exec(code)?.[1] ?? "";
    const isCutShort = literal.split(",").some((part) => !/^\s*[\w$]*\s*$/.test(part));
    if (reexports.length > 0 || names.length === 0 || isCutShort) return undefined;
    return [...new Set([...names, "default"])];
  } catch {
    return undefined;
  }
}

/** The name of `known` that is most like `name`, if one is like it. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.floor(name.length / 3));
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }))
    .toSorted((a, b) => a.distance - b.distance);
  const [best] = ranked;
  return best && best.distance <= limit ? best.candidate : undefined;
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
