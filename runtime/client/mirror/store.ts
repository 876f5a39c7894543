import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { RunRecord } from "../../protocol/messages/runs.ts";
import { ensurePrivateFolder } from "../../spec/home.ts";
import { isRunId } from "../../spec/names.ts";

/** What is kept on this machine of a run that has ended. */
export interface KeptRun {
  record: RunRecord;
  /** Outcomes and lines that were too many to be kept. */
  cut: { outcomes: boolean; log: boolean };
}

export interface MirrorLimits {
  /** Of each run. */
  outcomesBytes: number;
  logBytes: number;
  /** Of all clusters together. */
  totalBytes: number;
}

const defaultLimits: MirrorLimits = { outcomesBytes: 64 * 2 ** 20, logBytes: 16 * 2 ** 20, totalBytes: 2 ** 30 };
/** What a process that died left half done. */
const staleAfterMs = 3_600_000;

/**
 * Runs of a cluster that have ended, as they were: a folder each in `FARCALL_HOME/mirror/CLUSTER`, so that they outlive
 * the machines. A folder is made aside and put in place whole; the oldest go when there is too much.
 */
export class MirrorStore {
  readonly limits: MirrorLimits;
  readonly #root: string;
  readonly #folder: string;

  /** `home` is `FARCALL_HOME`. */
  constructor(home: string, cluster: string, limits: Partial<MirrorLimits> = {}) {
    this.limits = { ...defaultLimits, ...limits };
    this.#root = join(home, "mirror");
    this.#folder = join(this.#root, cluster);
  }

  /** Whether anything of the cluster was kept. */
  get exists(): boolean {
    return existsSync(this.#folder);
  }

  has(run: string): boolean {
    return existsSync(join(this.#folder, run, "run.json"));
  }

  /** A file of a run. */
  file(run: string, name: string): string {
    return join(this.#folder, run, name);
  }

  async get(run: string): Promise<KeptRun | undefined> {
    if (!isRunId(run)) return undefined;
    try {
      return JSON.parse(await readFile(this.file(run, "run.json"), "utf8")) as KeptRun;
    } catch {
      return undefined;
    }
  }

  /** Newest first. */
  async list(): Promise<RunRecord[]> {
    const names = await readdir(this.#folder).catch(() => [] as string[]);
    const kept = await Promise.all(names.filter(isRunId).map((run) => this.get(run)));
    const records = kept.flatMap((each) => (each ? [each.record] : []));
    return records.sort((a, b) => b.createdAtMs - a.createdAtMs || (a.id < b.id ? 1 : -1));
  }

  /** Has a run written into a folder, which then is the run's, unless there is one by now. */
  async put(run: string, write: (folder: string) => Promise<void>): Promise<void> {
    ensurePrivateFolder(join(this.#root, ".."));
    ensurePrivateFolder(this.#root);
    ensurePrivateFolder(this.#folder);
    const aside = join(this.#folder, `.${run}.${process.pid}.${randomBytes(4).toString("hex")}`);
    try {
      await mkdir(aside, { mode: 0o700 });
      await write(aside);
      await rename(aside, join(this.#folder, run)).catch((error: unknown) => {
        if (!this.has(run)) throw error;
      });
    } finally {
      await rm(aside, { recursive: true, force: true });
    }
    await this.#makeRoom(run);
  }

  async #makeRoom(newest: string): Promise<void> {
    const runs: { folder: string; bytes: number; keptAtMs: number }[] = [];
    for (const cluster of await readdir(this.#root)) {
      for (const name of await readdir(join(this.#root, cluster)).catch(() => [])) {
        const folder = join(this.#root, cluster, name);
        const found = await stat(folder).catch(() => undefined);
        if (!found) continue;
        if (!name.startsWith(".")) runs.push({ folder, bytes: await sizeOf(folder), keptAtMs: found.mtimeMs });
        else if (Date.now() - found.mtimeMs > staleAfterMs) await rm(folder, { recursive: true, force: true });
      }
    }
    let total = runs.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { folder, bytes } of runs.sort((a, b) => a.keptAtMs - b.keptAtMs)) {
      if (total <= this.limits.totalBytes || folder === join(this.#folder, newest)) return;
      await rm(folder, { recursive: true, force: true });
      total -= bytes;
    }
  }
}

async function sizeOf(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => [] as string[]);
  const sizes = await Promise.all(
    names.map(async (name) => (await stat(join(folder, name)).catch(() => undefined))?.size ?? 0),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
