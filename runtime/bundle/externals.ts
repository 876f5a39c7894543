import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { packageFolder, readPackage } from "./source.ts";

/** A package that is not bundled but must be installed where the bundle runs. */
export interface ExternalPackage {
  name: string;
  /** As installed next to the source, if it is. */
  version: string | undefined;
  /** `requested` in the env's reqs, or `native`: it holds compiled code, which no bundle can. */
  why: "requested" | "native";
}

/** The package's name without the version range of `name@range`. */
export function requestedName(requirement: string): string {
  const at = requirement.indexOf("@", 1);
  return at === -1 ? requirement : requirement.slice(0, at);
}

/** A requested package at the version that code in `folder` would import. */
export function requestedPackage(name: string, folder: string): ExternalPackage {
  for (let at = folder; ; at = dirname(at)) {
    const installed = join(at, "node_modules", name);
    if (existsSync(installed)) return { name, version: versionIn(installed), why: "requested" };
    if (dirname(at) === at) return { name, version: undefined, why: "requested" };
  }
}

// The suffix that packages with one prebuilt binary for each platform use: @esbuild/linux-x64, sharp-darwin-arm64.
const platformSuffix = /(linux|darwin|win32)(musl)?-(x64|arm64)/;

/** Folders of packages whose native code showed only in what they import. */
const seenNative = new Set<string>();

export function markNative(folders: readonly string[]): void {
  for (const folder of folders) seenNative.add(folder);
}

/** The package a third-party file belongs to, if that package holds native code. */
export function nativePackage(file: string): ExternalPackage | undefined {
  const folder = packageFolder(file);
  if (file.endsWith(".node")) markNative([folder]);
  if (!seenNative.has(folder) && !isNative(folder)) return undefined;
  const [name = folder] = /(@[^\\/]+[\\/])?[^\\/]+$/.exec(folder) ?? [];
  return { name: name.replaceAll("\\", "/"), version: versionIn(folder), why: "native" };
}

function isNative(folder: string): boolean {
  const entries = list(folder);
  if (entries.some((name) => name === "binding.gyp" || name === "prebuilds" || name.endsWith(".node"))) return true;
  if (entries.includes("build") && list(join(folder, "build", "Release")).some((name) => name.endsWith(".node"))) {
    return true;
  }
  const { gypfile, optionalDependencies } = readPackage(folder);
  if (gypfile === true) return true;
  return (
    typeof optionalDependencies === "object" &&
    optionalDependencies !== null &&
    Object.keys(optionalDependencies).some((name) => platformSuffix.test(name))
  );
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function versionIn(folder: string): string | undefined {
  const { version } = readPackage(folder);
  return typeof version === "string" ? version : undefined;
}
