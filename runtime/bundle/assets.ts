import { readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { FarcallError, messageOf } from "../spec/errors.ts";
import { showPath } from "./compile.ts";
import { partOf, type BundlePart } from "./parts.ts";
import { findReferences, type FileReference } from "./references.ts";
import { areaOf, isInside, isRefused, isThirdParty, placeOf, type Area } from "./source.ts";

const maxFiles = 2_000;
const maxBytes = 200 * 1024 * 1024;

export interface Assets {
  parts: BundlePart[];
  /** Absolute paths of what was read. */
  files: string[];
}

/**
 * The files that `modules` name statically, and the WebAssembly files among them, as parts of the bundle.
 *
 * A file that does not exist is left out: it may be one the function writes. Throws `bundle.compile` when own
 * code names a file that likely holds a secret or lies outside its area, and when the files are too many or too
 * large; what third-party code names of the first two kinds is left out.
 */
export function collectAssets(root: string, modules: readonly string[]): Assets {
  const collection: Collection = { root, paths: new Map(), sizeBytes: 0 };
  for (const module of modules) {
    if (module.endsWith(".wasm")) {
      collection.paths.set(placeOf(areaOf(root, module), module), module);
    } else {
      for (const reference of findReferences(read(module).toString())) collect(collection, module, reference);
    }
  }
  return {
    parts: [...collection.paths].map(([place, path]) => partOf(place, "asset", read(path))),
    files: [...collection.paths.values()],
  };
}

interface Collection {
  root: string;
  /** Absolute paths by their place in the bundle. */
  paths: Map<string, string>;
  sizeBytes: number;
}

function collect(collection: Collection, module: string, reference: FileReference): void {
  const folder = dirname(module);
  const named = reference.how === "join" ? join(folder, ...reference.parts) : resolve(folder, ...reference.parts);
  const area = areaOf(collection.root, module);
  const where = `${showPath(module)}:${reference.line}:${reference.column}`;
  const own = !isThirdParty(collection.root, module);
  const refuse = (why: string, hint: string): void => {
    if (own) throw new FarcallError("bundle.compile", `${where}: ${why}`, { hint });
  };

  const visit = (path: string, above: ReadonlySet<string>): void => {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (!stats || !(stats.isFile() || stats.isDirectory())) return;
    const real = realpathSync(path);
    if (!isInside(area.folder, path) || !isInside(realpathSync(area.folder), real)) {
      refuse(
        `${showPath(path)} is outside of ${showPath(area.folder)}, and only files inside are sent.`,
        "Move it into the folder of the project, or pass its content to the function as an argument.",
      );
    } else if (isRefused(inArea(area, path)) || isRefused(inArea(area, real))) {
      refuse(
        `${showPath(path)} looks like a file with secrets, which are never put in a bundle.`,
        "Pass secrets to the env as variables.",
      );
    } else if (stats.isFile()) {
      const place = placeOf(area, path);
      if (collection.paths.has(place)) return;
      collection.paths.set(place, path);
      collection.sizeBytes += stats.size;
      if (collection.paths.size > maxFiles || collection.sizeBytes > maxBytes) throw tooMuch(where, named);
    } else if (!above.has(real)) {
      const inner = new Set(above).add(real);
      for (const name of readdirSync(path).toSorted()) {
        if (name !== ".git" && name !== ".DS_Store") visit(join(path, name), inner);
      }
    }
  };
  // A folder that holds the module itself is where paths start from, not something to send.
  const path = named.replace(/[\\/]+$/, "");
  if (!isInside(path, module)) visit(path, new Set());
}

function inArea(area: Area, path: string): string {
  return isInside(area.folder, path) ? path.slice(area.folder.length) : path;
}

function tooMuch(where: string, named: string): FarcallError {
  return new FarcallError(
    "bundle.compile",
    `${where}: with ${showPath(named)} the files to send are more than ${maxFiles} or larger than ` +
      `${maxBytes / 1024 / 1024} MiB.`,
    {
      hint:
        "Name single files instead of a folder, read the data from a store the nodes reach, " +
        "or add the package to the env's reqs if it is one.",
    },
  );
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new FarcallError("bundle.compile", `Cannot read ${showPath(path)}: ${messageOf(cause)}.`, { cause });
  }
}
