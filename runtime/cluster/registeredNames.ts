import { readdirSync } from "node:fs";
import { join } from "node:path";

/** Where `FARCALL_HOME` has the records of clusters. */
export function recordsFolder(home: string): string {
  return join(home, "clusters");
}

/** Names of the clusters that have a record, in alphabetical order. Apart, for those who want no more than that. */
export function registeredNames(home: string): string[] {
  try {
    const names = readdirSync(recordsFolder(home)).flatMap(
      (file) => /^([a-z][a-z0-9-]{0,40})\.json$/.exec(file)?.[1] ?? [],
    );
    return names.sort();
  } catch {
    return [];
  }
}
