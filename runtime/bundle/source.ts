import { existsSync, readFileSync } from "node:fs";
import { access, constants, realpath, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { FarcallError, messageOf } from "../spec/errors.ts";
import { showPath } from "./compile.ts";

/** The file to bundle and the folder its paths are told from; both absolute and without symbolic links. */
export interface Source {
  file: string;
  /** The nearest folder upward that holds a package.json or .git, or else the file's own folder. */
  root: string;
}

/** Throws `bundle.file-missing` when there is no file to read. */
export async function openSource(path: string): Promise<Source> {
  const absolute = resolve(path);
  try {
    const file = await realpath(absolute);
    if (!(await stat(file)).isFile()) throw notAFile(absolute);
    await access(file, constants.R_OK);
    return { file, root: nearest(dirname(file), ["package.json", ".git"]) ?? dirname(file) };
  } catch (cause) {
    if (cause instanceof FarcallError) throw cause;
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const why = missing ? "there is no such file" : messageOf(cause);
    throw new FarcallError("bundle.file-missing", `Cannot bundle ${showPath(absolute)}: ${why}.`, {
      cause,
      hint: `Paths are taken from the current folder, ${process.cwd()}.`,
    });
  }
}

function notAFile(path: string): FarcallError {
  return new FarcallError("bundle.file-missing", `Cannot bundle ${showPath(path)}: it is a folder, not a file.`, {
    hint: "Name the file that exports the function, for example words.ts.",
  });
}

function nearest(from: string, names: string[]): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    if (names.some((name) => existsSync(join(folder, name)))) return folder;
    if (dirname(folder) === folder) return undefined;
  }
}

export function slashes(path: string): string {
  return sep === "/" ? path : path.replaceAll(sep, "/");
}

/** True for a path in `folder`, at any depth, and for `folder` itself. */
export function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === "" || (way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

/** The path split where its first `node_modules` begins; a `node_modules` that `root` itself lies in does not count. */
function splitAtModules(root: string, path: string): { before: string; after: string } | undefined {
  const known = isInside(root, path) ? root : "";
  const at = slashes(path.slice(known.length)).indexOf("/node_modules/");
  if (at === -1) return undefined;
  return { before: path.slice(0, known.length + at), after: slashes(path.slice(known.length + at + 1)) };
}

/** True for what a package manager installed; a workspace package, reached through a link, is own code. */
export function isThirdParty(root: string, path: string): boolean {
  return splitAtModules(root, path) !== undefined;
}

/** The folder that holds the `node_modules` a third-party file is installed in. */
export function installFolder(root: string, path: string): string {
  return splitAtModules(root, path)?.before || root;
}

/** The folder of the package a third-party file belongs to. */
export function packageFolder(path: string): string {
  const [package_] = /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/.exec(path) ?? [];
  return package_ ?? dirname(path);
}

/** The part of an import specifier that names the package: `@a/b` of `@a/b/c`. */
export function packageName(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

/** What is known of a package from its package.json; empty when there is none that can be read. */
export function readPackage(folder: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** The files a module may bring along, and where the bundle keeps them. */
export interface Area {
  /** Absolute. */
  folder: string;
  /** Its place in the bundle's `src/`, with slashes; empty for `src/` itself. */
  place: string;
}

/** A module's area is the source root, and for a module outside of that its package. */
export function areaOf(root: string, file: string): Area {
  const installed = splitAtModules(root, file);
  if (installed) {
    const folder = packageFolder(file);
    return { folder, place: installed.after.slice(0, folder.length - installed.before.length - 1) };
  }
  if (isInside(root, file)) return { folder: root, place: "" };
  const folder = nearest(dirname(file), ["package.json"]) ?? dirname(file);
  const { name } = readPackage(folder);
  const safe = typeof name === "string" && /^(@[\w.-]+\/)?\w[\w.-]*$/.test(name);
  return { folder, place: `node_modules/${safe ? name : "_outside"}` };
}

/** Where a file of an area lies in the bundle. */
export function placeOf(area: Area, file: string): string {
  return ["src", area.place, slashes(relative(area.folder, file))].filter(Boolean).join("/");
}

const refusedFolders = new Set([".aws", ".ssh", ".gnupg"]);
const refusedFiles = /^(\.env.*|\.npmrc|\.netrc|id_(rsa|dsa|ecdsa|ed25519).*|.*\.(pem|p12|pfx))$/i;

/** True for a file that is likely to hold a secret, which never leaves this machine in a bundle. */
export function isRefused(path: string): boolean {
  return (
    refusedFiles.test(basename(path)) ||
    slashes(path)
      .split("/")
      .some((part) => refusedFolders.has(part))
  );
}
