import { glob, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { FarcallError, messageOf } from "../spec/errors.ts";

/**
 * The files a pattern such as `docs/*.md` matches, as absolute paths in the order of their characters. Folders are
 * left out, links are followed. Throws `input.invalid` when there are none.
 */
export async function matchingFiles(pattern: string, cwd: string, signal: AbortSignal): Promise<string[]> {
  const found = new Set<string>();
  try {
    for await (const path of glob(pattern, { cwd })) {
      signal.throwIfAborted();
      const file = resolve(cwd, path);
      if (await isFile(file)) found.add(file);
    }
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw new FarcallError("input.invalid", `Cannot look for ${pattern} in ${cwd}: ${messageOf(cause)}.`, { cause });
  }
  if (found.size > 0) return [...found].sort();
  throw new FarcallError("input.invalid", `No file in ${cwd} matches ${JSON.stringify(pattern)}.`, {
    hint: "`*` stands for any part of a name, `**` for folders at any depth: glob:docs/**/*.md.",
  });
}

export async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
