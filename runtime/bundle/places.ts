import { createHash } from "node:crypto";
import type { Metafile } from "esbuild";

/**
 * `import.meta.url`, `__dirname` and their like must name a place of the module's own, `src/<its path>` in the
 * bundle, though many modules share one chunk.
 *
 * esbuild replaces them by free identifiers (`placeDefines`), the same for all modules. In the finished chunk
 * each is then renamed to one of the same length that is the module's own, and imported from a small `places`
 * file by an import that stands at the end, where it moves nothing and is yet evaluated first. So every kind of
 * module is treated alike, no source is touched, and all positions in the source maps stay right. Which module a
 * line belongs to is told by the comment with its path that esbuild writes above each module.
 */
export const placeDefines = {
  "import.meta.url": identifier("url", "00000000"),
  "import.meta.dirname": identifier("dirname", "00000000"),
  "import.meta.filename": identifier("filename", "00000000"),
  __dirname: identifier("dirname", "00000000"),
  __filename: identifier("filename", "00000000"),
};

type Kind = "url" | "dirname" | "filename";

const newline = 10;

function identifier(kind: Kind, id: string): string {
  return `__farcall_${kind}_${id}__`;
}

const placeholder = /^__farcall_(url|dirname|filename)_0{8}__/;

export interface PlacedChunk {
  code: Uint8Array;
  /** Metafile keys of the modules of this chunk that ask for their place. */
  modules: string[];
}

/** Gives each module of one chunk its own identifiers. `toPlaces` is the path from the chunk to the places file. */
export function placeChunk(
  code: Uint8Array,
  inputs: Metafile["outputs"][string]["inputs"],
  toPlaces: string,
): PlacedChunk {
  const bytes = Buffer.from(code);
  const modules = new Set<string>();
  const names = new Set<string>();
  for (let at = bytes.indexOf("__farcall_"); at !== -1; at = bytes.indexOf("__farcall_", at + 1)) {
    const [, kind] = placeholder.exec(bytes.toString("latin1", at, at + 40)) ?? [];
    const module = moduleAt(bytes, at, inputs);
    if (kind === undefined || module === undefined) continue;
    const name = identifier(kind as Kind, idOf(module));
    bytes.write(name, at);
    modules.add(module);
    names.add(name);
  }
  if (names.size === 0) return { code, modules: [] };
  const line = `import { ${[...names].toSorted().join(", ")} } from ${JSON.stringify(toPlaces)};\n`;
  return { code: Buffer.concat([bytes, Buffer.from(line)]), modules: [...modules] };
}

/** The module that the byte at `at` comes from: the nearest comment above that is the path of an input. */
function moduleAt(bytes: Buffer, at: number, inputs: Metafile["outputs"][string]["inputs"]): string | undefined {
  for (
    let from = bytes.lastIndexOf("// ", at);
    from !== -1;
    from = from === 0 ? -1 : bytes.lastIndexOf("// ", from - 1)
  ) {
    if (from > 0 && bytes[from - 1] !== newline) continue;
    const path = bytes.toString("utf8", from + 3, bytes.indexOf(newline, from));
    if (Object.hasOwn(inputs, path)) return path;
  }
  return undefined;
}

/** The part of a chunk that comes from one module; empty when the chunk has none of it. */
export function sectionOf(code: Uint8Array, module: string): string {
  const bytes = Buffer.from(code.buffer, code.byteOffset, code.byteLength);
  const start = bytes.indexOf(`// ${module}\n`);
  if (start === -1) return "";
  const end = bytes.indexOf("\n// ", start);
  return bytes.toString("utf8", start, end === -1 ? undefined : end);
}

function idOf(module: string): string {
  return createHash("sha256").update(module).digest("hex").slice(0, 8);
}

/** The text of a places file: for each module its place in the bundle. `toRoot` leads from it to the bundle's root. */
export function placesText(places: ReadonlyMap<string, string>, toRoot: string): string {
  const lines = [
    `import { dirname } from "node:path";`,
    `import { fileURLToPath } from "node:url";`,
    `const root = new URL(${JSON.stringify(toRoot)}, import.meta.url);`,
  ];
  for (const [module, place] of places) {
    const [url, folder, file] = (["url", "dirname", "filename"] as const).map((kind) => identifier(kind, idOf(module)));
    const path = encodeURI(place).replace(/[?#]/g, encodeURIComponent);
    lines.push(
      `export const ${url} = new URL(${JSON.stringify(path)}, root).href;`,
      `export const ${file} = fileURLToPath(${url});`,
      `export const ${folder} = dirname(${file});`,
    );
  }
  return `${lines.join("\n")}\n`;
}
