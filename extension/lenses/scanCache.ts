import { scanExports, type ExportedFunction, type ScanLanguage, type ScanResult } from "./scanExports.ts";
import type { ReadModule } from "./reExports.ts";

/** The exported functions of open documents: each version is scanned once, and typing does not make them vanish. */

interface ScannedDocument {
  /** Documents are told apart by it. */
  uri: string;
  /** Other after each change of the text. */
  version: number;
  text: () => string;
  language: ScanLanguage;
  fileName?: string;
  readModule?: ReadModule;
}

export interface ScanCache {
  /**
   * The functions in the order of the text. Of a text that cannot be parsed, or that has errors and fewer functions
   * than before, those of the last good one, moved with the lines they stand on.
   */
  scan(document: ScannedDocument): readonly ExportedFunction[];
  forget(uri: string): void;
}

interface Entry {
  version: number;
  functions: readonly ExportedFunction[];
  /** What was last scanned without doubt. */
  good: { text: string; functions: readonly ExportedFunction[] } | undefined;
}

/** Keeps the `limit` documents last asked for. Default: 100. */
export function createScanCache(limit = 100): ScanCache {
  const entries = new Map<string, Entry>();
  return {
    scan(document) {
      const { uri, version } = document;
      let entry = entries.get(uri);
      if (entry?.version !== version) entry = nextEntry(entry?.good, document);
      entries.delete(uri);
      entries.set(uri, entry);
      for (const oldest of entries.keys()) if (entries.size > limit) entries.delete(oldest);
      return entry.functions;
    },
    forget: (uri) => void entries.delete(uri),
  };
}

function nextEntry(
  good: Entry["good"],
  { version, text: read, language, fileName, readModule }: ScannedDocument,
): Entry {
  const text = read();
  const result = scanExports(text, language, {
    ...(fileName === undefined ? {} : { fileName }),
    ...(readModule ? { readModule } : {}),
  });
  const kept = good && isDoubtful(result) ? moved(good, text) : undefined;
  // The functions of lines that are gone are not among those kept, so deleting one makes no doubt.
  if (kept && (!result.parsed || result.functions.length < kept.length)) return { version, functions: kept, good };
  const { functions } = result;
  return { version, functions, good: result.parsed ? { text, functions } : good };
}

function isDoubtful({ parsed, errors }: ScanResult): boolean {
  return !parsed || errors > 0;
}

/** The functions of an earlier text where they stand in a later one; without those on lines that are gone. */
function moved(good: NonNullable<Entry["good"]>, text: string): ExportedFunction[] {
  const before = good.text.split(/\r\n|\r|\n/);
  const after = text.split(/\r\n|\r|\n/);
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < shorter - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  const delta = after.length - before.length;
  const linesOf = wordIndex(after.slice(head, after.length - tail));
  return good.functions.flatMap((each) => {
    const { line } = each.at;
    if (line < head) return [each];
    if (line >= before.length - tail) return [shifted(each, delta)];
    const found = nearest(linesOf.get(each.name.split(".").at(-1)!), line - head);
    if (found !== undefined) return [shifted(each, head + found - line)];
    // Its name is being typed.
    return delta === 0 ? [each] : [];
  });
}

/** On which lines each word stands. */
function wordIndex(lines: readonly string[]): Map<string, number[]> {
  const index = new Map<string, number[]>();
  for (const [at, line] of lines.entries()) {
    for (const word of new Set(line.split(/[^\p{ID_Continue}$]+/u))) {
      const known = index.get(word);
      if (known) known.push(at);
      else index.set(word, [at]);
    }
  }
  return index;
}

function nearest(lines: readonly number[] | undefined, to: number): number | undefined {
  return lines?.reduce((best, line) => (Math.abs(line - to) < Math.abs(best - to) ? line : best));
}

function shifted(each: ExportedFunction, lines: number): ExportedFunction {
  const { at, nameRange } = each;
  return {
    ...each,
    at: { ...at, line: at.line + lines },
    nameRange: { ...nameRange, startLine: nameRange.startLine + lines, endLine: nameRange.endLine + lines },
  };
}
