import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";

/** Removes files that nobody has written for so many days. What cannot be removed stays. */
export async function pruneFolder(folder: string, days: number): Promise<void> {
  const beforeMs = Date.now() - days * 24 * 60 * 60_000;
  const names = await readdir(folder).catch(() => []);
  await Promise.all(
    names.map(async (name) => {
      const file = join(folder, name);
      const found = await stat(file).catch(() => undefined);
      if (found?.isFile() && found.mtimeMs < beforeMs) await rm(file, { force: true }).catch(() => undefined);
    }),
  );
}
