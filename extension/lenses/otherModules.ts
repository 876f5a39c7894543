import type { Found } from "./collect.ts";
import type { ScanLanguage } from "./syntax.ts";

/**
 * What modules export that others pass functions on from. A file of re-exports names many of them and is scanned at
 * each key, so what was found in a text is kept, without the parsed text, which takes some ten times the memory.
 */
const maxModules = 2_000;
const maxChars = 32 * 1024 * 1024;

interface Exports {
  found: Found[];
  errors: number;
}

export class OtherModules {
  /** By text, the last used last. Texts of one file that did not change are one string, which is compared at once. */
  readonly #modules = new Map<string, Map<string, Exports | undefined>>();
  #chars = 0;

  /** `scan` says also whether what it found depends on further modules, which may change by themselves. */
  find(
    text: string,
    language: ScanLanguage,
    fileName: string,
    scan: () => (Exports & { isWhole: boolean }) | undefined,
  ): Exports | undefined {
    const kind = `${language} ${/(?:\.d)?\.\w+$/.exec(fileName)?.[0] ?? ""}`;
    const known = this.#modules.get(text);
    if (known?.has(kind)) {
      this.#modules.delete(text);
      this.#modules.set(text, known);
      return known.get(kind);
    }
    const scanned = scan();
    if (scanned?.isWhole === false) return scanned;
    const exports = scanned && { found: scanned.found.map(described), errors: scanned.errors };
    this.#keep(text, kind, exports);
    return exports;
  }

  #keep(text: string, kind: string, exports: Exports | undefined): void {
    const byKind = this.#modules.get(text);
    if (byKind) byKind.set(kind, exports);
    else {
      this.#modules.set(text, new Map([[kind, exports]]));
      this.#chars += text.length;
    }
    for (const oldest of this.#modules.keys()) {
      if (this.#modules.size <= maxModules && this.#chars <= maxChars) return;
      this.#modules.delete(oldest);
      this.#chars -= oldest.length;
    }
  }
}

/** Without a hold on the parsed text. */
function described({ names, suffix, place, kind, describe, reExport }: Found): Found {
  const description = describe();
  return { names, suffix, place, kind, describe: () => description, ...(reExport === undefined ? {} : { reExport }) };
}
