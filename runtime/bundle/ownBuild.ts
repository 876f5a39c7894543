import { extname, isAbsolute, relative, resolve } from "node:path";
import { isBuiltin } from "node:module";
import type { OnResolveArgs, OnResolveResult, Plugin, PluginBuild } from "esbuild";
import { FarcallError } from "../spec/errors.ts";
import { collectAssets } from "./assets.ts";
import { compile, showPath } from "./compile.ts";
import { exportsOfChunk, exportsOfCommonJs } from "./exports.ts";
import { nativePackage, type ExternalPackage } from "./externals.ts";
import { finish, type BundlePart } from "./parts.ts";
import { placeDefines } from "./places.ts";
import { areaOf, isRefused, isThirdParty, packageName, placeOf, slashes, type Source } from "./source.ts";
import { entryKey, type Vendor, type VendorEntry, type VendorModule } from "./vendorBuild.ts";
import { wasmPlugin } from "./wasm.ts";
import { workerApiPlugin } from "./workerApi.ts";

export interface OwnBuild {
  parts: BundlePart[];
  entry: string;
  commonJs: boolean;
  exports: string[] | undefined;
  /** The third-party modules that own code imports. */
  entries: VendorEntry[];
  /** Packages with native code that own code imports. */
  native: ExternalPackage[];
}

/**
 * Builds own code against the chunks of a vendor build. Third-party modules that `vendor` does not have are left
 * external, so that the first build tells which ones there are.
 */
export async function buildOwn(
  source: Source,
  requested: ReadonlySet<string>,
  vendor: Vendor | undefined,
  signal: AbortSignal | undefined,
): Promise<OwnBuild> {
  const { file, root } = source;
  const entries = new Map<string, VendorEntry>();
  const native = new Map<string, ExternalPackage>();
  const result = await compile(
    {
      absWorkingDir: root,
      outdir: root,
      entryPoints: [{ in: file, out: "entry" }],
      entryNames: "entry",
      define: placeDefines,
      plugins: [
        workerApiPlugin,
        wasmPlugin,
        vendorStubPlugin(vendor),
        ownResolvePlugin({ root, requested, vendor, entries, native }),
      ],
    },
    signal,
  );
  const inputs = Object.keys(result.metafile.inputs).filter((path) => !/^(farcall|vendor|vendor-chunk):/.test(path));
  const secret = inputs.find(isRefused);
  if (secret !== undefined) throw secretImported(resolve(root, secret));

  const finished = finish(result, { kind: "own", workingFolder: root, root, folder: "" });
  const key = slashes(relative(root, file));
  const commonJs = result.metafile.inputs[key]?.format === "cjs";
  const code = result.outputFiles.find(({ path }) => relative(root, path) === "entry.js")!.contents;
  const { names, open } = exportsOfChunk(code, result.metafile.outputs["entry.js"]?.exports ?? []);
  return {
    parts: [...finished.parts, ...collectAssets(root, finished.modules).parts],
    entry: "entry.js",
    commonJs,
    exports: commonJs ? await exportsOfCommonJs(file) : open ? undefined : names,
    entries: [...entries.values()],
    native: [...native.values()],
  };
}

function secretImported(path: string): FarcallError {
  return new FarcallError(
    "bundle.compile",
    `${showPath(path)} is imported but looks like a file with secrets, which are never put in a bundle.`,
    { hint: "Pass secrets to the env as variables." },
  );
}

interface Resolving {
  root: string;
  requested: ReadonlySet<string>;
  vendor: Vendor | undefined;
  entries: Map<string, VendorEntry>;
  native: Map<string, ExternalPackage>;
}

const codeExtensions = new Set([".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"]);
const alreadyAsked = Symbol("asked by the plugin itself");

/** Sends each import that is no relative path where it belongs: external, to the vendor build, or into own code. */
function ownResolvePlugin(resolving: Resolving): Plugin {
  return {
    name: "farcall-own",
    setup(build) {
      build.onResolve({ filter: /^\..*\.node$/ }, ({ path }) => ({
        errors: [
          {
            text:
              `${path} is a native addon, which fits one machine only and cannot be bundled. ` +
              "Put it in an npm package and name that in the env's reqs.",
          },
        ],
      }));
      build.onResolve({ filter: /^[^.]/, namespace: "file" }, (args) => resolveOwn(build, args, resolving));
    },
  };
}

async function resolveOwn(build: PluginBuild, args: OnResolveArgs, resolving: Resolving) {
  const { path, kind, importer, resolveDir } = args;
  if (args.pluginData === alreadyAsked || kind === "entry-point" || isAbsolute(path)) return undefined;
  if (/^(data|https?):/.test(path)) return undefined;
  if (isBuiltin(path) || resolving.requested.has(packageName(path))) return { path, external: true };

  const found = await build.resolve(path, { importer, resolveDir, kind, with: args.with, pluginData: alreadyAsked });
  if (found.errors.length > 0) return undefined;
  const { sideEffects, suffix, namespace } = found;
  const result: OnResolveResult = { path: found.path, sideEffects, suffix, namespace, external: found.external };
  if (found.external || namespace !== "file" || !isThirdParty(resolving.root, found.path)) return result;

  const native = nativePackage(found.path);
  if (native) {
    resolving.native.set(native.name, native);
    return { path, external: true };
  }
  if (!codeExtensions.has(extname(found.path))) return result;
  if (kind === "require-resolve") return { path, external: true };

  const entry: VendorEntry = { path: found.path, how: kind === "require-call" ? "require" : "import" };
  resolving.entries.set(entryKey(entry), entry);
  if (!resolving.vendor?.modules.has(entryKey(entry))) return { path, external: true };
  const place = placeOf(areaOf(resolving.root, found.path), found.path);
  const name = entry.how === "import" ? place : `${place}?require`;
  return { path: name, namespace: "vendor", sideEffects, pluginData: entry };
}

/**
 * Stands in own code for each third-party module, and passes on what the vendor build's chunk exports. A CommonJS
 * module stays one in esbuild's eyes, so that it treats its default and named imports as ever.
 */
function vendorStubPlugin(vendor: Vendor | undefined): Plugin {
  return {
    name: "farcall-vendor",
    setup(build) {
      build.onResolve({ filter: /^\.\/vendor\//, namespace: "vendor" }, ({ path }) => ({ path, external: true }));
      build.onResolve({ filter: /^\.\/vendor\//, namespace: "vendor-chunk" }, ({ path }) => ({ path, external: true }));
      build.onResolve({ filter: /^(load|default) /, namespace: "vendor" }, ({ path, pluginData }) => {
        return { path, namespace: "vendor-chunk", pluginData };
      });
      build.onResolve({ filter: /^open /, namespace: "vendor" }, ({ path, pluginData }) => {
        const entry: VendorEntry = { ...(pluginData as VendorEntry), how: "require" };
        return { path: `${path.slice("open ".length)}?require`, namespace: "vendor", pluginData: entry };
      });
      build.onLoad({ filter: /./, namespace: "vendor-chunk" }, ({ path, pluginData }) => {
        const module = vendor!.modules.get(entryKey(pluginData as VendorEntry))!;
        return { contents: reexport(module, path.startsWith("load ") ? ["load"] : ["default"]), loader: "js" };
      });
      build.onLoad({ filter: /./, namespace: "vendor" }, ({ path, pluginData }) => {
        const entry = pluginData as VendorEntry;
        return { contents: stubText(vendor!, entry, path), loader: "js", pluginData: entry };
      });
    },
  };
}

function stubText(vendor: Vendor, entry: VendorEntry, path: string): string {
  const module = vendor.modules.get(entryKey(entry))!;
  if (entry.how === "require") return `module.exports = require(${JSON.stringify(`load ${path}`)}).load();`;
  if (module.format === "cjs") return `module.exports = require(${JSON.stringify(`default ${path}`)}).default;`;
  const open = module.open ? `\nexport * from ${JSON.stringify(`open ${path}`)};` : "";
  return reexport(module, module.names) + open;
}

function reexport({ file }: VendorModule, names: readonly string[]): string {
  const list = names.map((name) => (/^[\w$]+$/.test(name) ? name : JSON.stringify(name))).join(", ");
  return `export { ${list} } from ${JSON.stringify(`./${file}`)};`;
}
