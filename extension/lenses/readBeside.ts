import { readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

/** Texts of modules that stand beside others, kept as long as the files do not change. */

const endings = ["", ".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs", "/index.ts", "/index.js"];
const maxBytes = 512 * 1024;
const maxKept = 1_000;

interface Kept {
  mtimeMs: number;
  sizeBytes: number;
  text: string;
}
const kept = new Map<string, Kept>();

/** The text of a module that stands beside another, for `export { a } from "./x"`; nothing of packages. */
export function readBeside(file: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  const path = join(dirname(file), specifier);
  const candidates = [
    ...(/\.[cm]?jsx?$/.test(path) ? [path.replace(/js(x?)$/, "ts$1")] : []),
    ...endings.map((ending) => path + ending),
  ];
  for (const candidate of candidates) {
    try {
      const found = statSync(candidate, { throwIfNoEntry: false });
      if (found?.isFile() && found.size <= maxBytes) return textOf(candidate, found.mtimeMs, found.size);
    } catch {
      // The next one, then.
    }
  }
  return undefined;
}

function textOf(path: string, mtimeMs: number, sizeBytes: number): string {
  let known = kept.get(path);
  if (known?.mtimeMs !== mtimeMs || known.sizeBytes !== sizeBytes) {
    known = { mtimeMs, sizeBytes, text: readFileSync(path, "utf8") };
  }
  kept.delete(path);
  kept.set(path, known);
  for (const oldest of kept.keys()) if (kept.size > maxKept) kept.delete(oldest);
  return known.text;
}
