import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { FarcallError } from "../spec/errors.ts";
import { stopEsbuild } from "./compile.ts";
import { nearestName } from "./exports.ts";
import { requestedName, requestedPackage, type ExternalPackage } from "./externals.ts";
import { buildOwn, type OwnBuild } from "./ownBuild.ts";
import type { BundleFile, BundlePart } from "./parts.ts";
import { openSource } from "./source.ts";
import { entryKey, type Vendor, type VendorEntry } from "./vendorBuild.ts";
import { forgetVendors, vendorBundle } from "./vendorCache.ts";

export type { BundleFile } from "./parts.ts";
export type { ExternalPackage } from "./externals.ts";

export interface BundleManifest {
  /** Path of the chunk that has the exports of the source file. */
  entry: string;
  /** The exports are properties of the entry's default export. */
  commonJs: boolean;
  /** In the order of their paths. */
  files: BundleFile[];
}

/** One source file and all it imports, named by its content. */
export interface Bundle {
  /** SHA-256 of the manifest as JSON, hex. */
  hash: string;
  manifest: BundleManifest;
  /** Each file's content by its hash. */
  contents: Map<string, Uint8Array>;
  /** Names of the exports; undefined when only running the code tells. */
  exports: string[] | undefined;
  /** Absolute, without symbolic links. */
  sourceFile: string;
  /**
   * The nearest folder upward with a package.json or .git, or else the file's folder; absolute. Sources in the
   * maps of own code are relative to it, and a file in it has the place `src/<relative path>` in the bundle.
   */
  sourceRoot: string;
  /** What must be installed where the bundle runs. */
  external: ExternalPackage[];
}

export interface BundleOptions {
  /** Packages to leave out, such as `sharp` or `sharp@0.34`. */
  reqs?: readonly string[];
  /**
   * A folder that only the user can write to, where bundled third-party code is kept for the next process: it takes
   * most of the time of a first bundle. Default: none is kept.
   */
  cacheFolder?: string;
  /** Ends the bundling; the promise then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** What a source file imported of third parties when it was last bundled: most likely still the same. */
const lastEntries = new Map<string, VendorEntry[]>();
const maxRemembered = 100;

/**
 * Bundles a TypeScript or JavaScript file. Own code and third-party code go to separate files of the bundle, so
 * that an edit changes only the former.
 *
 * Throws `bundle.file-missing` when there is no file to read, and `bundle.compile` when it does not compile, an
 * import is not found, or it asks for files that may not be sent.
 */
export async function bundle(file: string, options: BundleOptions = {}): Promise<Bundle> {
  const { signal, cacheFolder } = options;
  signal?.throwIfAborted();
  const source = await openSource(file);
  const requested = new Set((options.reqs ?? []).map(requestedName));
  const key = JSON.stringify([source.file, [...requested].toSorted()]);

  const vendorOf = (entries: readonly VendorEntry[]): Promise<Vendor> =>
    vendorBundle({ root: source.root, entries, external: [...requested] }, { signal, cacheFolder });
  let entries = lastEntries.get(key);
  let vendor = entries && (await vendorOf(entries));
  let own = await buildOwn(source, requested, vendor, signal);
  // Own code is built again when its third-party imports are new or changed, or turned out to be native.
  while (!vendor || !sameEntries(own.entries, entries ?? [])) {
    entries = own.entries;
    vendor = await vendorOf(entries);
    if (entries.length > 0) own = await buildOwn(source, requested, vendor, signal);
  }
  lastEntries.delete(key);
  lastEntries.set(key, own.entries);
  for (const oldest of lastEntries.keys()) if (lastEntries.size > maxRemembered) lastEntries.delete(oldest);
  signal?.throwIfAborted();

  const native = [...vendor.native, ...own.native].filter(({ name }) => !requested.has(name));
  const external = [...[...requested].map((name) => requestedPackage(name, dirname(source.file))), ...native];
  return {
    ...assemble(own, vendor),
    exports: own.exports,
    sourceFile: source.file,
    sourceRoot: source.root,
    external: [...new Map(external.map((package_) => [package_.name, package_])).values()],
  };
}

function sameEntries(a: readonly VendorEntry[], b: readonly VendorEntry[]): boolean {
  const keys = new Set(b.map(entryKey));
  return a.length === b.length && a.every((entry) => keys.has(entryKey(entry)));
}

function assemble(own: OwnBuild, vendor: Vendor): Pick<Bundle, "hash" | "manifest" | "contents"> {
  const parts = new Map<string, BundlePart>();
  for (const part of [...vendor.parts, ...own.parts]) {
    const other = parts.get(part.path);
    if (other && other.hash !== part.hash) {
      throw new FarcallError("bundle.compile", `Two different files want the place ${part.path} of the bundle.`, {
        hint: "Two installed copies of a package bring files along; make it one copy, or name the package in the env's reqs.",
      });
    }
    parts.set(part.path, part);
  }
  const sorted = [...parts.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const files = sorted.map(({ path, hash, size, kind }): BundleFile => ({ path, hash, size, kind }));
  const manifest: BundleManifest = { entry: own.entry, commonJs: own.commonJs, files };
  return {
    manifest,
    hash: createHash("sha256").update(JSON.stringify(manifest)).digest("hex"),
    contents: new Map(sorted.map(({ hash, bytes }) => [hash, bytes])),
  };
}

/**
 * Throws `bundle.export-unknown` when the bundle is known not to export `name`. Of `Class.method` only the
 * class is looked at.
 */
export function checkExport({ exports, sourceFile }: Bundle, name: string): void {
  const wanted = name.split(".", 1)[0] ?? name;
  if (!exports || exports.includes(wanted)) return;
  const meant = nearestName(wanted, exports);
  throw new FarcallError("bundle.export-unknown", `${sourceFile} has no export ${JSON.stringify(wanted)}.`, {
    hint:
      (meant === undefined ? "" : `Did you mean ${meant}? `) +
      (exports.length === 0 ? "It exports nothing." : `It exports ${exports.toSorted().join(", ")}.`),
  });
}

/** Ends esbuild's child process and forgets what was kept for the next bundle; `bundle` starts both anew. */
export async function disposeBundler(): Promise<void> {
  lastEntries.clear();
  forgetVendors();
  await stopEsbuild();
}
