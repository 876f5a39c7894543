import type { Found } from "./collect.ts";
import type { Imported } from "./locals.ts";
import type { ScanOptions } from "./scanExports.ts";
import type { ScanLanguage } from "./syntax.ts";

/** Functions that a module passes on from another one. */

/** The text of the module a specifier stands for, as the scanned file would write it; undefined when there is none. */
export type ReadModule = (specifier: string) => string | undefined;

export interface FindResult {
  found: Found[];
  /** Errors after which the parser could go on. */
  errors: number;
}

/** Undefined when the text cannot be parsed. */
type Find = (text: string, language: ScanLanguage, options: ScanOptions, depth: number) => FindResult | undefined;

/** Modules are followed this far, which also ends cycles. */
const maxDepth = 2;

export class ReExports {
  readonly #readModule: ReadModule | undefined;
  readonly #language: ScanLanguage;
  readonly #depth: number;
  readonly #find: Find;
  readonly #modules = new Map<string, Found[]>();
  #wereAsked = false;

  constructor(readModule: ReadModule | undefined, language: ScanLanguage, depth: number, find: Find) {
    this.#readModule = readModule;
    this.#language = language;
    this.#depth = depth;
    this.#find = find;
  }

  /** Whether something is passed on from another module. */
  get wereAsked(): boolean {
    return this.#wereAsked;
  }

  /** The function of that name in the other module, or the static methods of the class of that name. */
  of({ specifier, name }: Imported): Found[] {
    this.#wereAsked = true;
    let all = this.#modules.get(specifier);
    if (!all) this.#modules.set(specifier, (all = this.#exportsOf(specifier)));
    return all.filter(({ names }) => names.includes(name));
  }

  #exportsOf(specifier: string): Found[] {
    const readModule = this.#readModule;
    const text = this.#depth < maxDepth ? readModule?.(specifier) : undefined;
    if (!readModule || text === undefined) return [];
    const options = { fileName: specifier, readModule: (inner: string) => readModule(joined(specifier, inner)) };
    // A file may be written in another language than the one that imports it.
    for (const language of new Set<ScanLanguage>([this.#language, "typescript", "typescriptreact"])) {
      const result = this.#find(text, language, options, this.#depth + 1);
      if (result) return result.found;
    }
    return [];
  }
}

/** `inner`, written in the module `outer`, as the module that wrote `outer` would write it. */
export function joined(outer: string, inner: string): string {
  if (!/^\.\.?\//.test(inner) || !/^\.\.?\//.test(outer)) return inner;
  const parts: string[] = [];
  for (const part of [...outer.split("/").slice(0, -1), ...inner.split("/")]) {
    if (part === "..") {
      if (parts.length > 0 && parts.at(-1) !== "..") parts.pop();
      else parts.push(part);
    } else if (part !== ".") parts.push(part);
  }
  return (parts[0] === ".." ? "" : "./") + parts.join("/");
}
