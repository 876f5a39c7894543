import { basename, dirname, relative, resolve } from "node:path";
import type { Plugin } from "esbuild";
import { collectAssets } from "./assets.ts";
import { compile, type CompileResult } from "./compile.ts";
import { exportsOfChunk } from "./exports.ts";
import { nativePackage, type ExternalPackage } from "./externals.ts";
import { finish, type BundlePart } from "./parts.ts";
import { areaOf, installFolder, packageFolder, placeOf, slashes } from "./source.ts";
import { wasmPlugin } from "./wasm.ts";
import { placeDefines, sectionOf } from "./places.ts";
import { workerApiPlugin } from "./workerApi.ts";

/**
 * Third-party code is a build of its own whose entry points are the modules that own code imports. Were it one
 * build with own code, the chunks of third-party code would export just what own code happens to use, and an
 * edit there would change them. What it costs: a package is there whole, not only the parts that are used.
 */
export interface VendorRequest {
  /** The source root. */
  root: string;
  entries: readonly VendorEntry[];
  /** Names of the packages that stay external. */
  external: readonly string[];
}

/** A third-party module that own code asks for. */
export interface VendorEntry {
  /** Absolute. */
  path: string;
  /** `require` makes the module's chunk export a `load` function, which runs the module when it is first called. */
  how: "import" | "require";
}

export interface VendorModule {
  /** Of its chunk, in the bundle. */
  file: string;
  format: "esm" | "cjs";
  /** What the chunk exports. */
  names: string[];
  /** There may be more names, which only the running module knows. */
  open: boolean;
}

export interface Vendor {
  parts: BundlePart[];
  /** By `entryKey`. */
  modules: Map<string, VendorModule>;
  /** Packages with native code that third-party code imports. */
  native: ExternalPackage[];
}

export function entryKey(entry: VendorEntry): string {
  return `${entry.how} ${entry.path}`;
}

/** A vendor build and the files it was made from. */
export interface VendorRecord {
  vendor: Vendor;
  /** Absolute paths of every file that was read, and of every package's package.json. */
  files: string[];
}

/** Bundles third-party modules, of which there is at least one. */
export async function buildVendor(request: VendorRequest, signal: AbortSignal | undefined): Promise<VendorRecord> {
  let entries = request.entries;
  const native = new Map<string, ExternalPackage>();
  // Twice at most in practice: natives and open modules are only known once a build has found them.
  for (;;) {
    const workingFolder = installFolder(request.root, entries[0]!.path);
    const external = [...request.external, ...native.keys()];
    const result = await compile(vendorOptions(workingFolder, entries, external), signal);
    const files = Object.keys(result.metafile.inputs)
      .filter((path) => !path.startsWith("require:") && !path.startsWith("farcall:"))
      .map((path) => resolve(workingFolder, path));
    const found = nativesOf(files).filter(({ name }) => !native.has(name));
    for (const package_ of found) native.set(package_.name, package_);
    const modules = modulesOf(result, workingFolder, entries);
    const wanted = openEntries(entries, modules);
    entries = [...entries, ...wanted];
    if (found.length > 0 || wanted.length > 0) continue;
    const finished = finish(result, { kind: "vendor", workingFolder, root: workingFolder, folder: "vendor/" });
    const assets = collectAssets(workingFolder, finished.modules);
    return {
      vendor: { parts: [...finished.parts, ...assets.parts], modules, native: [...native.values()] },
      files: [
        ...new Set([...files, ...assets.files, ...files.map((file) => resolve(packageFolder(file), "package.json"))]),
      ],
    };
  }
}

function nativesOf(files: readonly string[]): ExternalPackage[] {
  const folders = new Map(files.map((file) => [`${packageFolder(file)} ${file.endsWith(".node")}`, file]));
  return [...folders.values()].map(nativePackage).filter((package_) => package_ !== undefined);
}

/** An open module is also asked for by `require`, which gives an object with the names that only it knows. */
function openEntries(entries: readonly VendorEntry[], modules: Map<string, VendorModule>): VendorEntry[] {
  return entries
    .filter((entry) => entry.how === "import" && modules.get(entryKey(entry))?.open)
    .map(({ path }): VendorEntry => ({ path, how: "require" }))
    .filter((entry) => !modules.has(entryKey(entry)));
}

function vendorOptions(workingFolder: string, entries: readonly VendorEntry[], external: string[]) {
  const names = new Set<string>();
  const entryPoints = entries.map(({ path, how }) => {
    const name = basename(packageFolder(path)).replace(/[^\w.-]/g, "_");
    let out = name;
    for (let n = 2; names.has(out); n++) out = `${name}-${n}`;
    names.add(out);
    return { in: how === "import" ? path : `farcall-require:${path}`, out };
  });
  return {
    absWorkingDir: workingFolder,
    outdir: workingFolder,
    entryPoints,
    entryNames: "[name]-[hash]",
    sourcesContent: false,
    external,
    define: placeDefines,
    // Native code is found after the build, by what was read; until then it must not fail the build.
    loader: { ".node": "empty" as const },
    plugins: [workerApiPlugin, wasmPlugin, requirePlugin(workingFolder)],
  };
}

function requirePlugin(workingFolder: string): Plugin {
  return {
    name: "farcall-require",
    setup(build) {
      build.onResolve({ filter: /^farcall-require:/ }, ({ path }) => {
        const file = path.slice("farcall-require:".length);
        return { path: placeOf(areaOf(workingFolder, file), file), namespace: "require", pluginData: file };
      });
      build.onLoad({ filter: /./, namespace: "require" }, ({ pluginData }: { pluginData: string }) => ({
        contents: `export const load = () => require(${JSON.stringify(pluginData)});`,
        loader: "js",
        resolveDir: dirname(pluginData),
      }));
    },
  };
}

function modulesOf({ metafile, outputFiles }: CompileResult, workingFolder: string, entries: readonly VendorEntry[]) {
  const codes = new Map(outputFiles.map((file) => [slashes(relative(workingFolder, file.path)), file.contents]));
  const modules = new Map<string, VendorModule>();
  for (const entry of entries) {
    const lazy = entry.how === "require";
    const place = placeOf(areaOf(workingFolder, entry.path), entry.path);
    const input = lazy ? `require:${place}` : slashes(relative(workingFolder, entry.path));
    const [output, { exports }] = Object.entries(metafile.outputs).find(([, chunk]) => chunk.entryPoint === input)!;
    const { names, open } = exportsOfChunk(codes.get(output)!, exports);
    const format = !lazy && metafile.inputs[input]?.format === "cjs" ? "cjs" : "esm";
    // The module copies names of a CommonJS module to its own exports when it runs.
    const copies = Object.entries(metafile.outputs).some(
      ([path, { inputs }]) =>
        Object.hasOwn(inputs, input) && sectionOf(codes.get(path)!, input).includes("__reExport("),
    );
    modules.set(entryKey(entry), {
      file: `vendor/${output}`,
      format,
      names,
      open: !lazy && format === "esm" && (open || copies),
    });
  }
  return modules;
}
