import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { databaseFileEndings, openDatabase } from "./database.ts";

/**
 * Values that functions returned before, by the code that ran and the input it was given, for maps that ask
 * for them with `cache`. Only values are kept, never errors: those are what one wants to be tried again.
 */
const maxRows = 2_000_000;
const maxValueBytes = 256 * 1024;
const schema = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = OFF;
  CREATE TABLE IF NOT EXISTS outcome (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, value BLOB NOT NULL);
  DELETE FROM outcome WHERE number <= (SELECT max(number) FROM outcome) - ${maxRows};
`;

export class OutcomeCache implements Disposable {
  readonly #database: DatabaseSync;
  readonly #find: StatementSync;
  readonly #insert: StatementSync;

  /** A damaged file is begun anew: everything in it can be computed again. */
  constructor(file: string) {
    this.#database = openDatabase(file, schema, () => {
      for (const ending of databaseFileEndings) rmSync(file + ending, { force: true });
    });
    this.#find = this.#database.prepare("SELECT value FROM outcome WHERE key = ?");
    this.#insert = this.#database.prepare("INSERT OR IGNORE INTO outcome (key, value) VALUES (?, ?)");
  }

  /** For each input its value from before, or undefined. */
  lookUp(code: string, inputs: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    try {
      return inputs.map((input) => this.#find.get(keyOf(code, input))?.["value"] as Uint8Array | undefined);
    } catch {
      // A damaged page: as good as nothing known.
      return [];
    }
  }

  store(code: string, entries: readonly { input: Uint8Array; value: Uint8Array }[]): void {
    this.#database.exec("BEGIN");
    try {
      for (const { input, value } of entries) {
        if (value.byteLength <= maxValueBytes) this.#insert.run(keyOf(code, input), value);
      }
      this.#database.exec("COMMIT");
    } catch {
      // A cache that cannot be written to, for want of space say, costs time and nothing else.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
    }
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }
}

function keyOf(code: string, input: Uint8Array): Uint8Array {
  return createHash("sha256").update(code).update("\0").update(input).digest();
}
