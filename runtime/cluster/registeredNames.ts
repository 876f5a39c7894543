import { readdirSync } from "node:fs";
import { join } from "node:path";

/** Where `FARCALL_HOME` has the records of clusters. */
export function recordsFolder(home: string): string {
  return join(home, "clusters");
}

/** Names of the clusters that have a record, in alphabetical order. Apart, for those who want no more than that. */
export function registeredNames(home: string): string[] {
  return namesIn(recordsFolder(home), ".json");
}

/** Names of the clusters, there or gone, of which runs are kept. */
export function keptNames(home: string): string[] {
  return namesIn(join(home, "mirror"), "");
}

function namesIn(folder: string, ending: string): string[] {
  try {
    const names = readdirSync(folder).filter((file) => file.endsWith(ending));
    return names
      .map((file) => file.slice(0, file.length - ending.length))
      .filter((name) => /^[a-z][a-z0-9-]{0,40}$/.test(name))
      .sort();
  } catch {
    return [];
  }
}
