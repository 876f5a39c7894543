import { realpath } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import type { InstallRequest } from "../spec/env.ts";
import { FarcallError } from "../spec/errors.ts";
import { fieldOf, isExactVersion, isPackageName, splitDescriptor, textOf } from "./lockGraph.ts";
import { nearestLockfile, readManifest, type Lockfile } from "./lockfile.ts";
import { pinClosure, specOf } from "./overrides.ts";

/** A package to install in an env. */
export interface PackageNeed {
  /** The name it is imported by. */
  name: string;
  /** What the user wrote behind the name, as `parseRequirement` returns it. It wins over every lockfile. */
  range?: string;
  /** The version of the copy the bundler found on disk, where it found one. */
  installedVersion?: string;
}

const maxRangeLength = 256;
const wildcard = "(?:\\d+|[xX*])";
const suffix = "(?:-[0-9A-Za-z.-]+)?(?:\\+[0-9A-Za-z.-]+)?";
const comparator = new RegExp(`^(?:\\^|~>?|[<>]=?|=)?v?${wildcard}(?:\\.${wildcard}(?:\\.${wildcard}${suffix})?)?$`);
const tag = /^(?!v?\d)[A-Za-z][A-Za-z0-9._-]*$/;

/** True for a semver range or a dist-tag: what a registry can resolve by itself. */
function isRegistryRange(range: string): boolean {
  if (range.length > maxRangeLength || /[^\x20-\x7e]/.test(range)) return false;
  if (tag.test(range)) return true;
  return range.split("||").every((part) => {
    const words = part
      .trim()
      .replaceAll(/(\^|~>?|[<>]=?|=)\s+/g, "$1")
      .split(/\s+/);
    return words.every((word, i) => (word === "-" ? words.length === 3 && i === 1 : comparator.test(word)));
  });
}

/**
 * Reads `name`, `name@range` or `@scope/name@range`, where the range is a semver range or a dist-tag such as
 * `next`. Throws `spec.invalid` for anything else, URLs, git, files and folders included.
 */
export function parseRequirement(text: string): { name: string; range?: string } {
  const written = text.trim();
  const [name, range] = splitDescriptor(written);
  if (
    /^(?:[a-z+]+:|[./\\~]|[A-Za-z]:\\)|^[^@\s/]+\/|\.git$/i.test(range === "" ? written : range) &&
    !isPackageName(written)
  ) {
    throw refused(
      text,
      "does not name a package of an npm registry",
      "URLs, git repositories, files and folders cannot be installed in an env; import such code from your source, so that it is bundled.",
    );
  }
  if (!isPackageName(name)) throw nameRefused(text);
  if (range === "" && !written.includes("@", 1)) return { name };
  if (!isRegistryRange(range)) {
    throw refused(
      text,
      "has a version that npm would not understand",
      "Write a semver range or a tag after the @, such as sharp@^0.34.1 or sharp@next.",
    );
  }
  return { name, range };
}

function nameRefused(text: string): FarcallError {
  return refused(
    text,
    "does not start with a package name",
    "Write it as name, name@range or @scope/name@range, such as sharp@0.34.",
  );
}

function refused(text: string, why: string, hint: string): FarcallError {
  return new FarcallError("spec.invalid", `The requirement ${JSON.stringify(shorten(text))} ${why}.`, { hint });
}

/**
 * Settles which versions of `packages` an env gets, for code in `sourceFile`. In this order: the range the user
 * wrote; the version of the nearest lockfile; the range of the nearest package.json that declares the package;
 * the version installed on disk; the tag `latest`. What a locked package needs in turn is pinned to the
 * lockfile's versions too. Throws `env.lockfile-invalid` for a lockfile that cannot be read, and `spec.invalid`
 * for a package that does not come from a registry.
 */
export async function resolveInstall(
  sourceFile: string,
  packages: readonly PackageNeed[],
  allowScripts: boolean | string[],
): Promise<InstallRequest> {
  const dependencies = new Map<string, string>();
  const locked = new Map<string, string>();
  const folder = dirname(resolve(sourceFile));
  const lockfile = packages.some(({ range }) => range === undefined) ? await nearestLockfile(folder) : undefined;

  for (const name of [...packages.map((need) => need.name), ...(Array.isArray(allowScripts) ? allowScripts : [])]) {
    if (!isPackageName(name)) throw nameRefused(name);
  }
  for (const need of packages) {
    if (need.range !== undefined) {
      dependencies.set(need.name, need.range);
      continue;
    }
    const declared = await declaredRange(folder, need.name);
    const id = lockfile && lockedId(lockfile, folder, need, declared);
    if (lockfile && id !== undefined) {
      dependencies.set(need.name, lockedSpec(lockfile, need.name, id));
      locked.set(need.name, id);
    } else {
      dependencies.set(need.name, await unlockedSpec(folder, need, declared));
    }
  }
  const pins =
    lockfile && locked.size > 0
      ? pinClosure(lockfile.graph, locked, new Set([...dependencies.keys()].filter((name) => !locked.has(name))))
      : { overrides: {}, integrity: {} };
  return { dependencies: Object.fromEntries(dependencies), ...pins, allowScripts };
}

function lockedId(
  lockfile: Lockfile,
  folder: string,
  need: PackageNeed,
  declared: string | undefined,
): string | undefined {
  const { graph } = lockfile;
  const inside = relative(lockfile.folder, folder).split(sep).join("/");
  if (declared !== undefined) return graph.direct(inside, need.name, declared);

  // The project does not declare it, so it is a package that another package imports.
  const found = [...graph.packages].filter(([, { name }]) => name === need.name);
  const onDisk = found.find(([, { version }]) => version === need.installedVersion);
  if (onDisk) return onDisk[0];
  const versions = new Set(found.map(([, { version }]) => version));
  return versions.size === 1 ? found[0]![0] : graph.direct(inside, need.name, undefined);
}

function lockedSpec(lockfile: Lockfile, name: string, id: string): string {
  const spec = specOf(lockfile.graph, name, id);
  if (spec !== undefined) return spec;
  const why = lockfile.graph.packages.get(id)?.foreign ?? "the archive of another package";
  throw notInRegistry(name, `${lockfile.file} takes it from ${why}`);
}

async function unlockedSpec(folder: string, need: PackageNeed, declared: string | undefined): Promise<string> {
  const linked = await linkedFolder(folder, need.name);
  if (linked !== undefined) throw notInRegistry(need.name, `it is a link to the folder ${linked}`);
  if (declared !== undefined) {
    const alias = declared.startsWith("npm:") ? splitDescriptor(declared.slice("npm:".length)) : undefined;
    if (alias && isPackageName(alias[0]) && (alias[1] === "" || isRegistryRange(alias[1]))) return declared;
    if (isRegistryRange(declared)) return declared === "" ? "*" : declared;
    if (!declared.startsWith("catalog:"))
      throw notInRegistry(need.name, `package.json takes it from ${JSON.stringify(shorten(declared))}`);
  }
  return need.installedVersion !== undefined && isExactVersion(need.installedVersion)
    ? need.installedVersion
    : "latest";
}

function notInRegistry(name: string, why: string): FarcallError {
  return new FarcallError("spec.invalid", `Cannot install ${name} in an env: ${why}, not from an npm registry.`, {
    hint: `Leave ${name} out of the env's reqs, so that it is bundled with your code, or name a published version of it, such as ${name}@1.2.3.`,
  });
}

/** The range of the nearest package.json, from `folder` upward, that declares `name`. */
async function declaredRange(folder: string, name: string): Promise<string | undefined> {
  for (let at = folder; ; at = dirname(at)) {
    const manifest = await readManifest(at);
    for (const field of ["dependencies", "devDependencies", "optionalDependencies"]) {
      const range = textOf(fieldOf(manifest, field), name);
      if (range !== undefined) return range.trim();
    }
    if (dirname(at) === at) return undefined;
  }
}

/** Where the installed package really lies, when that is a folder of the project: a registry may hold a stranger of that name. */
async function linkedFolder(folder: string, name: string): Promise<string | undefined> {
  for (let at = folder; ; at = dirname(at)) {
    const real = await realpath(join(at, "node_modules", name)).catch(() => undefined);
    if (real !== undefined) return real.split(sep).includes("node_modules") ? undefined : real;
    if (dirname(at) === at) return undefined;
  }
}

function shorten(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
