import type { LockGraph } from "./lockGraph.ts";

/**
 * npm `overrides` that make an install pick the versions of a lockfile.
 *
 * A package of which the closure has one version is pinned by its name: `{"bar": "1.2.3"}`. One of which it
 * has several is pinned by version, highest first: `{"bar@2.0.0": "2.0.0", "bar@1.2.3": "1.2.3"}`. npm applies
 * such a rule where the range that is asked for admits the version, so nobody gets a version he does not
 * admit. Who admits several may get another one of them than the lockfile gave him.
 *
 * Rules are not nested below the package that needs them, although npm can: it gives an installed package the
 * rules of one of those who need it, and where two disagree it installs versions that neither admits (npm
 * 11.19). https://docs.npmjs.com/cli/v11/configuring-npm/package-json#overrides
 */
export interface Pins {
  /** The order of keys has meaning: npm takes the first that fits. */
  overrides: Record<string, string>;
  /** By `name@version`. */
  integrity: Record<string, string>;
}

/**
 * Pins all that `roots` (ids by import name) need. `unlocked` names packages installed beside them that the
 * lockfile knows nothing about; with any, nothing is pinned by name alone, as that would bind what they need.
 */
export function pinClosure(graph: LockGraph, roots: ReadonlyMap<string, string>, unlocked: ReadonlySet<string>): Pins {
  const integrity = new Map<string, string>();
  const specsByName = new Map<string, Set<string>>();
  const note = (name: string, id: string): void => {
    const spec = specOf(graph, name, id);
    if (spec !== undefined) specsByName.set(name, (specsByName.get(name) ?? new Set()).add(spec));
  };

  for (const [name, id] of roots) note(name, id);
  const closure = new Set(roots.values());
  // A set that grows while it is walked is walked to its end.
  for (const id of closure) {
    const found = graph.packages.get(id)!;
    for (const [name, need] of found.needs) {
      closure.add(need);
      note(name, need);
    }
    if (found.integrity !== undefined && !found.foreign && !found.bundled) {
      integrity.set(`${found.name}@${found.version}`, found.integrity);
    }
  }

  const overrides = new Map<string, string>();
  for (const [name, specs] of byKey(specsByName)) {
    // npm refuses a rule that changes what package.json itself asks for.
    if (unlocked.has(name)) continue;
    for (const spec of [...specs].toSorted((a, b) => compareVersions(versionIn(b), versionIn(a)))) {
      overrides.set(specs.size === 1 && unlocked.size === 0 ? name : `${name}@${versionIn(spec)}`, spec);
    }
  }
  return { overrides: Object.fromEntries(overrides), integrity: Object.fromEntries(byKey(integrity)) };
}

/** What npm must be asked for to get exactly this package under that import name; undefined when nothing can be pinned. */
export function specOf(graph: LockGraph, importName: string, id: string): string | undefined {
  const found = graph.packages.get(id);
  if (found === undefined || found.foreign !== undefined || found.bundled) return undefined;
  return found.name === importName ? found.version : `npm:${found.name}@${found.version}`;
}

function versionIn(spec: string): string {
  return spec.slice(spec.lastIndexOf("@") + 1);
}

/** Below zero when `a` is the lower version. Precedence as in https://semver.org/#spec-item-11. */
export function compareVersions(a: string, b: string): number {
  const [coreA, preA] = parts(a);
  const [coreB, preB] = parts(b);
  for (let i = 0; i < 3; i++) if (coreA[i] !== coreB[i]) return Number(coreA[i]) - Number(coreB[i]);
  if (preA.length === 0 || preB.length === 0) return preB.length - preA.length;
  for (let i = 0; i < Math.max(preA.length, preB.length); i++) {
    const [x, y] = [preA[i], preB[i]];
    if (x === y) continue;
    if (x === undefined || y === undefined) return x === undefined ? -1 : 1;
    const [numericX, numericY] = [/^\d+$/.test(x), /^\d+$/.test(y)];
    if (numericX && numericY) return Number(x) - Number(y);
    if (numericX !== numericY) return numericX ? -1 : 1;
    return x < y ? -1 : 1;
  }
  return 0;
}

function parts(version: string): [core: string[], prerelease: string[]] {
  const bare = version.split("+", 1)[0]!;
  const dash = bare.indexOf("-");
  return dash < 0 ? [bare.split("."), []] : [bare.slice(0, dash).split("."), bare.slice(dash + 1).split(".")];
}

function byKey<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}
