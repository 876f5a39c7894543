import type { OutcomeQuery, OutcomeRecord } from "./mapQueue.ts";
import type { Database, Statement } from "./sqliteDatabase.ts";
import type { Job } from "./sqliteJobs.ts";

/** Reads outcomes a page at a time, by index: neither the length of a run nor that of its history matters. */
export class Outcomes {
  readonly #before: Statement;
  readonly #byIndex: Statement;
  readonly #bySequence: Statement;
  readonly #errorsByIndex: Statement;
  readonly #errorsBySequence: Statement;

  constructor(database: Database) {
    const select = (index: string, where: string): Statement =>
      database.prepare(
        `SELECT sequence, lo, count, errors, body FROM outcome INDEXED BY ${index} WHERE job = ? AND ${where} LIMIT ?`,
      );
    this.#before = database.prepare(
      "SELECT lo, count FROM outcome INDEXED BY outcomeByIndex WHERE job = ? AND lo < ? ORDER BY lo DESC LIMIT 1",
    );
    this.#byIndex = select("outcomeByIndex", "lo >= ? ORDER BY lo");
    this.#bySequence = select("outcomeBySequence", "sequence > ? ORDER BY sequence");
    this.#errorsByIndex = select("errorByIndex", "errors > 0 AND lo >= ? ORDER BY lo");
    this.#errorsBySequence = select("errorBySequence", "errors > 0 AND sequence > ? ORDER BY sequence");
  }

  page(job: Job, { order, from, limit, limitBytes, errorsOnly = false }: OutcomeQuery): OutcomeRecord[] {
    const ranges: OutcomeRecord[] = [];
    let bytes = 0;
    const start = order === "index" ? this.#startOf(job, from) : from;
    // Leaving the loop resets the statement: one that stayed open would keep the write-ahead log growing.
    for (const row of this.#statement(order, errorsOnly).iterate(job.key, start, Math.max(1, limit))) {
      const range = { ...row } as unknown as OutcomeRecord;
      ranges.push(range);
      bytes += range.body.byteLength;
      if (bytes >= limitBytes) break;
    }
    return ranges;
  }

  /** First index of the range that holds index `from`, or `from` where none does. */
  #startOf(job: Job, from: number): number {
    const row = this.#before.get(job.key, from);
    const lo = Number(row?.["lo"] ?? from);
    return lo + Number(row?.["count"] ?? 0) > from ? lo : from;
  }

  #statement(order: OutcomeQuery["order"], errorsOnly: boolean): Statement {
    if (order === "index") return errorsOnly ? this.#errorsByIndex : this.#byIndex;
    return errorsOnly ? this.#errorsBySequence : this.#bySequence;
  }
}
