import { createHash } from "node:crypto";
import { basename, relative, resolve } from "node:path";
import type { CompileResult } from "./compile.ts";
import { placeChunk, placesText } from "./places.ts";
import { areaOf, placeOf, slashes } from "./source.ts";

export interface BundleFile {
  /** Relative to the bundle's root, with slashes. */
  path: string;
  /** SHA-256 of the content, hex. */
  hash: string;
  /** Bytes. */
  size: number;
  kind: "own" | "vendor" | "map" | "asset";
}

/** A file of a bundle with its content. */
export interface BundlePart extends BundleFile {
  bytes: Uint8Array;
}

export function partOf(path: string, kind: BundleFile["kind"], bytes: Uint8Array): BundlePart {
  return { path, kind, bytes, size: bytes.byteLength, hash: createHash("sha256").update(bytes).digest("hex") };
}

export interface FinishOptions {
  kind: "own" | "vendor";
  /** The folder metafile keys are relative to; absolute. */
  workingFolder: string;
  /** The source root, from which modules get their places. */
  root: string;
  /** Folder of the bundle the files go to: `""`, or a name that ends with a slash. */
  folder: string;
}

/** Turns what esbuild made into parts of the bundle, and names the modules that ask for their place in it. */
export function finish(result: CompileResult, options: FinishOptions): { parts: BundlePart[]; modules: string[] } {
  const { kind, workingFolder, root, folder } = options;
  const modules = new Set<string>();
  const parts = result.outputFiles.map(({ path, contents }) => {
    const key = slashes(relative(workingFolder, path));
    if (key.endsWith(".map")) return partOf(folder + key, "map", contents);
    const placed = placeChunk(contents, result.metafile.outputs[key]?.inputs ?? {}, "./places.js");
    for (const module of placed.modules) modules.add(module);
    return partOf(
      folder + key,
      kind,
      Buffer.concat([placed.code, Buffer.from(`//# sourceMappingURL=${basename(key)}.map\n`)]),
    );
  });
  const paths = [...modules].toSorted().map((key) => ({ key, path: resolve(workingFolder, key) }));
  if (paths.length > 0) {
    const places = new Map(paths.map(({ key, path }) => [key, placeOf(areaOf(root, path), path)]));
    parts.push(partOf(`${folder}places.js`, kind, Buffer.from(placesText(places, folder && "../"))));
  }
  return { parts, modules: paths.map(({ path }) => path) };
}
