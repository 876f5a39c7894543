import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fieldOf, lockfileError, type LockGraph } from "./lockGraph.ts";
import { npmLockGraph } from "./npmLock.ts";
import { pnpmLockGraph } from "./pnpmLock.ts";
import { yarnLockGraph } from "./yarnLock.ts";

export interface Lockfile {
  /** Absolute path. */
  file: string;
  /** The folder it lies in, absolute. */
  folder: string;
  graph: LockGraph;
}

/** In the order in which they count when a folder has several; npm itself prefers the shrinkwrap. */
const fileNames = ["npm-shrinkwrap.json", "package-lock.json", "pnpm-lock.yaml", "yarn.lock"] as const;

/** The lockfile of the nearest folder that has one, from `folder` upward. Throws `env.lockfile-invalid`. */
export async function nearestLockfile(folder: string): Promise<Lockfile | undefined> {
  for (let at = folder; ; at = dirname(at)) {
    const file = await lockfileIn(at);
    if (file !== undefined) return { file, folder: at, graph: await readGraph(file) };
    if (dirname(at) === at) return undefined;
  }
}

async function lockfileIn(folder: string): Promise<string | undefined> {
  const present: string[] = [];
  for (const name of fileNames) {
    const found = await stat(join(folder, name)).catch(() => undefined);
    if (found?.isFile()) present.push(name);
  }
  if (present.length > 1) {
    // `"packageManager": "pnpm@11.1.0"` says which of them is alive.
    const manager = /^(pnpm|yarn)@/.exec(String(fieldOf(await readManifest(folder), "packageManager")))?.[1];
    const named = present.find((name) => manager !== undefined && name.startsWith(manager));
    if (named !== undefined) return join(folder, named);
  }
  return present[0] === undefined ? undefined : join(folder, present[0]);
}

/** The package.json in a folder, or undefined when there is none that can be read. */
export async function readManifest(folder: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  } catch {
    return undefined;
  }
}

async function readGraph(file: string): Promise<LockGraph> {
  try {
    const text = await readFile(file, "utf8");
    if (file.endsWith(".json")) return npmLockGraph(text);
    // Only projects of pnpm and yarn pay for the parser.
    const { parseSyml } = await import("@yarnpkg/parsers");
    return file.endsWith(".yaml") ? pnpmLockGraph(text, parseSyml) : yarnLockGraph(text, parseSyml);
  } catch (thrown) {
    throw lockfileError(file, thrown);
  }
}
