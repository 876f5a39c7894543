import { entriesOf, fieldOf, isPackageName, lockedPackage, textOf, type LockGraph } from "./lockGraph.ts";

/**
 * package-lock.json and npm-shrinkwrap.json.
 *
 * Versions 2 and 3 list every package under its path, such as `node_modules/a/node_modules/b`; what a package
 * gets for a name is what Node would find going up from that path. Version 1 nests the same tree, so it is
 * laid out as paths first. https://docs.npmjs.com/cli/v11/configuring-npm/package-lock-json
 */
export function npmLockGraph(text: string): LockGraph {
  const lock: unknown = JSON.parse(text.replace(/^\uFEFF/, ""));
  const listed = entriesOf(fieldOf(lock, "packages"));
  const entries = new Map(listed.length > 0 ? listed : pathsOfVersion1(lock));
  if (entries.size === 0 && textOf(lock, "name") === undefined && fieldOf(lock, "lockfileVersion") === undefined) {
    throw new Error("it has neither packages nor a lockfileVersion");
  }

  const packages: LockGraph["packages"] = new Map();
  for (const [path, entry] of entries) {
    const name = textOf(entry, "name") ?? path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    const found = lockedPackage(
      name,
      textOf(entry, "version") ?? "",
      fieldOf(entry, "integrity"),
      foreignSource(path, entry),
    );
    if (fieldOf(entry, "inBundle") === true || fieldOf(entry, "bundled") === true) found.bundled = true;
    packages.set(path, found);
  }
  for (const [path, entry] of entries) {
    for (const name of neededNames(entry)) {
      const id = lookUp(packages, path, name);
      if (id !== undefined) packages.get(path)!.needs.set(name, id);
    }
  }
  return { packages, direct: (folder, name) => lookUp(packages, folder, name) };
}

function lookUp(packages: LockGraph["packages"], from: string, name: string): string | undefined {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf("/")))) {
    const path = `${at === "" ? "" : `${at}/`}node_modules/${name}`;
    if (packages.has(path)) return path;
    if (at === "") return undefined;
  }
}

function foreignSource(path: string, entry: unknown): string | undefined {
  const resolved = textOf(entry, "resolved") ?? "";
  if (fieldOf(entry, "link") === true || !path.includes("node_modules/")) return "a folder of the project";
  if (/^git(?:\+|:|@)/.test(resolved)) return "git";
  if (resolved.startsWith("file:")) return "a file";
  return undefined;
}

function neededNames(entry: unknown): string[] {
  const optionalPeers = new Set(
    entriesOf(fieldOf(entry, "peerDependenciesMeta"))
      .filter(([, meta]) => fieldOf(meta, "optional") === true)
      .map(([name]) => name),
  );
  return [
    ...entriesOf(fieldOf(entry, "dependencies")),
    ...entriesOf(fieldOf(entry, "optionalDependencies")),
    ...entriesOf(fieldOf(entry, "peerDependencies")).filter(([name]) => !optionalPeers.has(name)),
  ].flatMap(([name]) => (isPackageName(name) ? [name] : []));
}

function pathsOfVersion1(lock: unknown): [string, unknown][] {
  const paths: [string, unknown][] = [];
  const walk = (at: string, nested: unknown): void => {
    for (const [name, entry] of entriesOf(nested)) {
      const written = textOf(entry, "version") ?? "";
      const path = `${at}node_modules/${name}`;
      // An alias is written `npm:name@version`; whatever else has a colon is a file, a folder, git or a URL.
      const alias = /^npm:(.+)@([^@]+)$/.exec(written);
      const local = written.startsWith("file:") && textOf(entry, "integrity") === undefined;
      paths.push([
        path,
        {
          ...(alias && { name: alias[1] }),
          version: alias ? alias[2] : written,
          resolved: written.includes(":") && !alias ? written : textOf(entry, "resolved"),
          integrity: fieldOf(entry, "integrity"),
          inBundle: fieldOf(entry, "bundled"),
          link: local,
          dependencies: fieldOf(entry, "requires"),
        },
      ]);
      walk(local ? `${written.slice("file:".length)}/` : `${path}/`, fieldOf(entry, "dependencies"));
    }
  };
  walk("", fieldOf(lock, "dependencies"));
  return paths;
}
