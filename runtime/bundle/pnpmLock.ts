import {
  entriesOf,
  fieldOf,
  isPackageName,
  lockedPackage,
  splitDescriptor,
  textOf,
  type LockGraph,
} from "./lockGraph.ts";

/**
 * pnpm-lock.yaml of the formats 6 (pnpm 8) and 9 (pnpm 9 and later).
 *
 * A package is keyed by its dependency path: `name@version`, in format 6 with a leading `/`, followed by the
 * peers it was resolved with in brackets. A dependency is written as a version when it has the name it is
 * imported by, otherwise as a whole dependency path. Format 9 keeps what a package needs apart, under
 * `snapshots`. https://github.com/pnpm/spec/tree/master/lockfile
 */
export function pnpmLockGraph(text: string, parse: (text: string) => unknown): LockGraph {
  const lock = lastDocument(text, parse);
  const format = textOf(lock, "lockfileVersion") ?? "";
  const major = /^\d+/.exec(format)?.[0];
  if (major !== "6" && major !== "9")
    throw new Error(`its lockfileVersion is ${format || "missing"}, and only 6 and 9 are read`);

  const described = new Map(entriesOf(fieldOf(lock, "packages")));
  const entries = major === "9" ? new Map(entriesOf(fieldOf(lock, "snapshots"))) : described;
  const packages: LockGraph["packages"] = new Map();
  for (const path of entries.keys()) {
    const [bare, brackets] = cutBrackets(path);
    const [name, version] = splitDescriptor(bare.replace(/^\//, ""));
    const integrity = fieldOf(fieldOf(described.get(major === "9" ? bare : path), "resolution"), "integrity");
    const patched = brackets.includes("(patch_hash=") ? "a patch of the project" : undefined;
    packages.set(path, lockedPackage(name, version, integrity, patched));
  }
  const idOf = (name: string, reference: string): string | undefined => {
    if (!isPackageName(name)) return undefined;
    const id = major === "9" ? path9(name, reference) : path6(name, reference);
    if (packages.has(id)) return id;
    packages.set(
      id,
      lockedPackage(name, "", undefined, reference.startsWith("link:") ? "a folder of the project" : undefined),
    );
    return id;
  };
  for (const [path, entry] of entries) {
    for (const field of ["dependencies", "optionalDependencies"]) {
      for (const [name, reference] of entriesOf(fieldOf(entry, field))) {
        const id = typeof reference === "string" ? idOf(name, reference) : undefined;
        if (id !== undefined) packages.get(path)!.needs.set(name, id);
      }
    }
  }

  // A project without a workspace has no importers in format 6: its fields stand at the top.
  const importers = new Map(entriesOf(fieldOf(lock, "importers") ?? { ".": lock }));
  const direct: LockGraph["direct"] = (folder, name) => {
    for (let at = folder; ; at = at.slice(0, Math.max(0, at.lastIndexOf("/")))) {
      const importer = importers.get(at === "" ? "." : at);
      for (const field of ["dependencies", "devDependencies", "optionalDependencies"]) {
        const reference = textOf(fieldOf(fieldOf(importer, field), name), "version");
        if (reference !== undefined) return idOf(name, reference);
      }
      if (at === "") return undefined;
    }
  };
  return { packages, direct };
}

/** Newer versions of pnpm put a YAML document about pnpm itself before the one about the project. */
function lastDocument(text: string, parse: (text: string) => unknown): unknown {
  const lines = text.split("\n");
  const start = lines.findLastIndex((line) => /^---\s*$/.test(line)) + 1;
  // Blank lines in place of what is left out keep the line numbers of errors right.
  return parse("\n".repeat(start) + lines.slice(start).join("\n"));
}

function cutBrackets(path: string): [bare: string, brackets: string] {
  const at = path.indexOf("(");
  return at < 0 ? [path, ""] : [path.slice(0, at), path.slice(at)];
}

function path9(name: string, reference: string): string {
  const [bare] = cutBrackets(reference);
  const whole = reference.startsWith("@") || /^[^@:]+@/.test(bare);
  return whole ? reference : `${name}@${reference}`;
}

function path6(name: string, reference: string): string {
  const [bare] = cutBrackets(reference);
  return bare.includes("/") || bare.startsWith("file:") ? reference : `/${name}@${reference}`;
}
