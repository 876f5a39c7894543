import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** How far runs have been read on this machine, for `runs.open` to go on from there. */
export class Cursors {
  readonly #folder: string;

  constructor(home: string) {
    this.#folder = join(home, "cursors");
  }

  /** Index of the next input to read; 0 for a run not read yet. */
  async get(run: string): Promise<number> {
    const text = await readFile(join(this.#folder, run), "utf8").catch(() => "0");
    const next = Number(text);
    return Number.isSafeInteger(next) && next > 0 ? next : 0;
  }

  async set(run: string, next: number): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const file = join(this.#folder, run);
    await writeFile(`${file}.tmp`, String(next), { mode: 0o600 });
    await rename(`${file}.tmp`, file);
  }
}
