import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** A map whose inputs are still being sent, or that clusters work on which need a window. What it is, the agent knows. */
export interface UnfinishedRun {
  run: string;
  cluster: string;
  /** Other clusters that it was begun on. */
  guests?: readonly string[];
}

/**
 * The maps of a workspace that need a window, for the next one that opens it. A file for each, as two
 * windows on one workspace write over each other in the editor's own storage.
 */
export class UnfinishedRuns {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async list(): Promise<UnfinishedRun[]> {
    const names = await readdir(this.#folder).catch(() => []);
    const found = names
      .filter((name) => /^[a-z0-9-]{1,40}$/.test(name))
      .map(async (run) => {
        const [cluster = "", ...guests] = (await readFile(join(this.#folder, run), "utf8").catch(() => "")).split(",");
        return { run, cluster, ...(guests.length > 0 ? { guests } : {}) };
      });
    return (await Promise.all(found)).filter(({ cluster }) => cluster !== "");
  }

  async add({ run, cluster, guests = [] }: UnfinishedRun): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await writeFile(join(this.#folder, run), [cluster, ...guests].join(","), { mode: 0o600 });
  }

  async remove(run: string): Promise<void> {
    await rm(join(this.#folder, run), { force: true });
  }
}
