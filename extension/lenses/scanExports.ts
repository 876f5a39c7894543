import { collectExports, type Found } from "./collect.ts";
import { LineIndex, type TextPosition } from "./positions.ts";
import { OtherModules } from "./otherModules.ts";
import { ReExports, type FindResult, type ReadModule } from "./reExports.ts";
import type { Param } from "./signature.ts";
import { parseBeforeError, parseModule, type ScanLanguage } from "./syntax.ts";
import type { FunctionKind } from "./targets.ts";

/** The functions a module exports, as its text says: where a lens goes, and what a form has to ask. */

export type { ScanLanguage };

/**
 * Why a function cannot be called from outside: a dot in its name, which would be read as `Class.method`; a static
 * method with a name every class has (`name`, `length`); a parameter that must be a function, which cannot be sent.
 */
type NotCallable = "dotted-name" | "reserved-name" | "takes-function";

export interface ExportedFunction {
  /** How it is reached from outside: `wordCounts`, `default`, `Class.method`. */
  exportPath: string;
  /** For people: the name in the text, or "default". */
  name: string;
  /** `unknown` when only running the code tells, as with `export const f = memo(g)`, whose parameters are taken for those
   * of `g`, or for a rest parameter `args` when not even that is known. */
  kind: FunctionKind;
  params: Param[];
  /** Source text. */
  returnType?: string;
  /** What its JSDoc says before the tags. */
  doc?: string;
  /** Where the statement begins, after JSDoc and decorators. */
  at: TextPosition;
  nameRange: { startLine: number; startCharacter: number; endLine: number; endCharacter: number };
  callable: true | NotCallable;
  /** The module it comes from, in `export { a } from "./x"`. */
  reExport?: string;
}

export interface ScanResult {
  /** In the order of the text. */
  functions: ExportedFunction[];
  /** False when there is a syntax error nothing can be made of, or the text is too long or minified. */
  parsed: boolean;
  /** Errors in the text. With some of them in a parsed text, functions may be missing. */
  errors: number;
}

export interface ScanOptions {
  /** Name or path: `.d.ts` has no functions, `.mjs` and `.cjs` say what kind of module it is. */
  fileName?: string;
  /** The text of another module of this project, to know what is exported from there. Default: none is known. */
  readModule?: ReadModule;
}

const maxLength = 2 * 1024 * 1024;
const maxLineLength = 20_000;
const reservedStatics = new Set(["length", "name", "prototype"]);

const others = new OtherModules();

/** Never throws. */
export function scanExports(text: string, language: ScanLanguage, options: ScanOptions = {}): ScanResult {
  const result = find(text, language, options, 0);
  if (!result) return { functions: [], parsed: false, errors: isScanned(text) ? 1 : 0 };
  const lines = new LineIndex(text);
  const functions = result.found
    .toSorted((a, b) => a.place.start - b.place.start || a.place.nameStart - b.place.nameStart)
    .map((found) => toFunction(found, lines));
  return { functions, parsed: true, errors: result.errors };
}

function find(text: string, language: ScanLanguage, options: ScanOptions, depth: number): FindResult | undefined {
  const scan = () => scanModule(text, language, options, depth);
  return depth === 0 ? scan() : others.find(text, language, options.fileName ?? "", scan);
}

function scanModule(
  text: string,
  language: ScanLanguage,
  { fileName = "", readModule }: ScanOptions,
  depth: number,
): (FindResult & { isWhole: boolean }) | undefined {
  if (!isScanned(text)) return undefined;
  // Nothing can be exported without the word, in any kind of module.
  if (/\.d(\.\w+)?\.[cm]?ts$/.test(fileName) || !text.includes("export")) {
    return { found: [], errors: 0, isWhole: true };
  }
  const parsed = parseModule(text, language, fileName) ?? parseBeforeError(text, language, fileName);
  if (!parsed) return undefined;
  const reExports = new ReExports(readModule, language, depth, find);
  const found = collectExports(text, parsed, reExports);
  return { found, errors: parsed.errors, isWhole: !reExports.wereAsked };
}

function isScanned(text: string): boolean {
  return text.length <= maxLength && !hasLongLine(text);
}

function toFunction({ names, suffix, place, kind, describe, reExport }: Found, lines: LineIndex): ExportedFunction {
  const base = names.find((name) => name + suffix === place.name) ?? names[0]!;
  const { params, returnType, doc, takesFunction } = describe();
  const start = lines.at(place.nameStart);
  const end = lines.at(place.nameEnd);
  return {
    exportPath: base + suffix,
    name: place.name,
    kind,
    params,
    ...(returnType === undefined ? {} : { returnType }),
    ...(doc === undefined ? {} : { doc }),
    at: lines.at(place.start),
    nameRange: {
      startLine: start.line,
      startCharacter: start.character,
      endLine: end.line,
      endCharacter: end.character,
    },
    callable: reasonAgainst(base, suffix.slice(1), takesFunction) ?? true,
    ...(reExport === undefined ? {} : { reExport }),
  };
}

function reasonAgainst(base: string, method: string, takesFunction: boolean): NotCallable | undefined {
  if (base.includes(".") || method.includes(".")) return "dotted-name";
  if (reservedStatics.has(method)) return "reserved-name";
  return takesFunction ? "takes-function" : undefined;
}

function hasLongLine(text: string): boolean {
  for (let at = 0; at < text.length;) {
    const end = text.indexOf("\n", at);
    if ((end < 0 ? text.length : end) - at > maxLineLength) return true;
    if (end < 0) return false;
    at = end + 1;
  }
  return false;
}
