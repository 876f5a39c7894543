import { mkdir, open, readFile, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Where downloads that outlive a checkout are kept: `FARCALL_CACHE`, else `farcall` in `XDG_CACHE_HOME`, else
 * `~/.cache/farcall`.
 */
export function cacheFolder(...below: string[]): string {
  const { FARCALL_CACHE: own, XDG_CACHE_HOME: caches } = process.env;
  return join(own ? resolve(own) : join(caches || join(homedir(), ".cache"), "farcall"), ...below);
}

/** Holds `file` while `work` runs; whoever comes second waits. A lock whose process has died is taken over. */
export async function withLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  await mkdir(join(file, ".."), { recursive: true });
  while (!(await taken(file))) {
    const holder = Number(await readFile(file, "utf8").catch(() => "0"));
    if (holder > 0 && !lives(holder)) await rm(file, { force: true });
    await sleep(200);
  }
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

async function taken(file: string): Promise<boolean> {
  try {
    const handle = await open(file, "wx");
    await handle.writeFile(String(process.pid));
    await handle.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
