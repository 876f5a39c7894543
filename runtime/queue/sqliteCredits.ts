/** In whose name outcomes of an embedded queue were stored. Writes run inside the transaction of the settlement. */
import type { Credit, ResultRange } from "./mapQueue.ts";
import type { Database, Statement } from "./sqliteDatabase.ts";
import type { Job } from "./sqliteJobs.ts";
import { creditSchema } from "./sqliteSchema.ts";

export class Credits {
  readonly #add: Statement;
  readonly #select: Statement;
  readonly #remove: Statement;

  constructor(database: Database) {
    database.exec(creditSchema);
    this.#add = database.prepare(
      `INSERT INTO credit(job, name, settled, errors) VALUES(?, ?, ?, ?) ON CONFLICT(job, name)
         DO UPDATE SET settled = settled + excluded.settled, errors = errors + excluded.errors`,
    );
    this.#select = database.prepare('SELECT name AS "by", settled, errors FROM credit WHERE job = ? ORDER BY name');
    this.#remove = database.prepare("DELETE FROM credit WHERE job = ?");
  }

  add({ key }: Job, by: string, results: readonly ResultRange[]): void {
    const settled = results.reduce((sum, { count }) => sum + count, 0);
    const errors = results.reduce((sum, range) => sum + range.errors, 0);
    this.#add.run(key, by, settled, errors);
  }

  of({ key }: Job): Credit[] {
    return this.#select.all(key) as unknown as Credit[];
  }

  remove({ key }: Job): void {
    this.#remove.run(key);
  }
}
