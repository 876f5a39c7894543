import type { Database, Statement } from "./sqliteDatabase.ts";

const chunksAtOnce = 200;
const inputsAtOnce = 2000;
const pagesAtOnce = 500;
const freePagesKept = 2000;

/**
 * Removes the rows of ended and deleted jobs a few at a time, so that ending a job of a million chunks holds
 * up nobody. What is left is in a table, so a later process goes on. Every method runs inside a transaction.
 */
export class Sweep {
  /** There may be something left to do. */
  needed = true;
  readonly #add: Statement;
  readonly #next: Statement;
  readonly #remove: Statement;
  readonly #chunks: Statement;
  readonly #deleteChunk: Statement;
  readonly #deleteBody: Statement;
  readonly #deleteInputs: Statement;
  readonly #deleteOutcomes: Statement;
  readonly #freePages: Statement;
  readonly #pages: Statement;
  readonly #vacuum: () => void;

  constructor(database: Database) {
    this.#add = database.prepare("INSERT OR REPLACE INTO sweep(job, everything) VALUES(?, ?)");
    this.#next = database.prepare("SELECT job, everything FROM sweep LIMIT 1");
    this.#remove = database.prepare("DELETE FROM sweep WHERE job = ?");
    this.#chunks = database.prepare(`SELECT id FROM chunk WHERE job = ? LIMIT ${chunksAtOnce}`);
    this.#deleteChunk = database.prepare("DELETE FROM chunk WHERE id = ?");
    this.#deleteBody = database.prepare("DELETE FROM body WHERE id = ?");
    this.#deleteInputs = database.prepare(
      `DELETE FROM input WHERE job = ?1 AND lo <=
         (SELECT max(lo) FROM (SELECT lo FROM input WHERE job = ?1 ORDER BY lo LIMIT ${inputsAtOnce}))`,
    );
    this.#deleteOutcomes = database.prepare(
      `DELETE FROM outcome WHERE sequence IN (SELECT sequence FROM outcome WHERE job = ? LIMIT ${chunksAtOnce})`,
    );
    this.#freePages = database.prepare("PRAGMA freelist_count");
    this.#pages = database.prepare("PRAGMA page_count");
    this.#vacuum = () => database.exec(`PRAGMA incremental_vacuum(${pagesAtOnce})`);
  }

  /** The rows of a job are to go: those of its work, or `everything`. */
  add(job: number, everything: boolean): void {
    this.needed = true;
    this.#add.run(job, Number(everything));
  }

  /** Removes some rows. */
  step(): void {
    this.needed = this.#step();
  }

  #step(): boolean {
    const next = this.#next.get() as { job: number; everything: number } | undefined;
    if (next === undefined) return this.#shrink();
    const ids = this.#chunks.all(next.job) as { id: number }[];
    for (const { id } of ids) {
      this.#deleteChunk.run(id);
      this.#deleteBody.run(id);
    }
    if (ids.length > 0 || this.#deleteInputs.run(next.job).changes > 0) return true;
    if (next.everything === 1 && this.#deleteOutcomes.run(next.job).changes > 0) return true;
    this.#remove.run(next.job);
    return true;
  }

  /** Gives pages back to the disk while more than a third of the file is empty. */
  #shrink(): boolean {
    const free = Number(this.#freePages.get()?.["freelist_count"]);
    const pages = Number(this.#pages.get()?.["page_count"]);
    if (free <= freePagesKept || free * 3 <= pages) return false;
    this.#vacuum();
    return true;
  }
}
