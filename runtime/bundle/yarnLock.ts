import {
  entriesOf,
  fieldOf,
  isPackageName,
  lockedPackage,
  splitDescriptor,
  textOf,
  type LockGraph,
  type LockedPackage,
} from "./lockGraph.ts";

/**
 * yarn.lock of yarn 1 and of yarn 2 and later.
 *
 * Both key a package by the descriptors that led to it, `name@range` with commas between, and write what a
 * package needs as names and ranges. The newer one marks ranges with a protocol (`npm:^1.0.0`) and says in
 * `resolution` where a package comes from.
 * https://classic.yarnpkg.com/lang/en/docs/yarn-lock/, https://yarnpkg.com/configuration/manifest
 */
export function yarnLockGraph(text: string, parse: (text: string) => unknown): LockGraph {
  const entries = entriesOf(parse(text)).filter(([key]) => key !== "__metadata");
  const packages: LockGraph["packages"] = new Map();
  const byDescriptor = new Map<string, string>();
  const patched = new Set<string>();

  for (const [key, entry] of entries) {
    if (!key.includes("@") || textOf(entry, "version") === undefined) {
      throw new Error(`its entry ${JSON.stringify(key.slice(0, 100))} is not one of a package`);
    }
    const descriptors = key.split(/,\s*/).map(plainDescriptor);
    for (const descriptor of descriptors) byDescriptor.set(descriptor, key);
    const found = describe(descriptors[0]!, entry);
    packages.set(key, found);
    if (found.foreign === projectPatch) patched.add(`${found.name}@${found.version}`);
  }
  for (const found of packages.values()) {
    if (patched.has(`${found.name}@${found.version}`)) found.foreign ??= projectPatch;
  }

  const asked = new Set<string>();
  for (const [, entry] of entries)
    for (const [name, range] of neededRanges(entry)) asked.add(plainDescriptor(`${name}@${range}`));
  const leftOver = new Map<string, string[]>();
  for (const [descriptor, id] of byDescriptor) {
    if (asked.has(descriptor)) continue;
    const [name] = splitDescriptor(descriptor);
    leftOver.set(name, [...(leftOver.get(name) ?? []), id]);
  }
  // A range that has no entry was replaced by `resolutions`; the entry it was replaced by is the one that
  // nobody asks for.
  const idOf = (name: string, range: string): string | undefined => {
    const id = byDescriptor.get(plainDescriptor(`${name}@${range}`));
    if (id !== undefined) return id;
    const candidates = new Set(leftOver.get(name));
    return candidates.size === 1 ? [...candidates][0] : undefined;
  };
  for (const [key, entry] of entries) {
    for (const [name, range] of neededRanges(entry)) {
      const id = isPackageName(name) ? idOf(name, range) : undefined;
      if (id !== undefined) packages.get(key)!.needs.set(name, id);
    }
  }
  return { packages, direct: (_folder, name, declared) => (declared === undefined ? undefined : idOf(name, declared)) };
}

const projectPatch = "a patch of the project";

/** `a@npm:^1.0.0` is `a@^1.0.0`; the alias `a@npm:b@^1.0.0` stays as it is. */
function plainDescriptor(descriptor: string): string {
  const [name, range] = splitDescriptor(descriptor);
  return range.startsWith("npm:") && !range.includes("@")
    ? `${name}@${range.slice("npm:".length)}`
    : `${name}@${range}`;
}

function neededRanges(entry: unknown): [name: string, range: string][] {
  return [...entriesOf(fieldOf(entry, "dependencies")), ...entriesOf(fieldOf(entry, "optionalDependencies"))].filter(
    (need): need is [string, string] => typeof need[1] === "string",
  );
}

function describe(descriptor: string, entry: unknown): LockedPackage {
  const version = textOf(entry, "version")!;
  const resolution = textOf(entry, "resolution");
  if (resolution !== undefined) {
    const [name, reference] = splitDescriptor(resolution);
    return lockedPackage(name, version, undefined, foreignReference(reference));
  }
  const [importName, range] = splitDescriptor(descriptor);
  const name = range.startsWith("npm:") ? splitDescriptor(range.slice("npm:".length))[0] : importName;
  const other = /^(?:git|github|gitlab|bitbucket|file|link|https?|ssh)[+:]|^[^@\s]+\/[^@\s]+$|\.git(?:#|$)/.test(range);
  return lockedPackage(name, version, fieldOf(entry, "integrity"), other ? "a place other than a registry" : undefined);
}

function foreignReference(reference: string): string | undefined {
  if (reference.startsWith("npm:")) return undefined;
  if (reference.startsWith("patch:")) return reference.includes("builtin<") ? undefined : projectPatch;
  return /^(?:workspace|link|portal):/.test(reference) ? "a folder of the project" : "a place other than a registry";
}
