/**
 * Which chunks the client sent. The client may send a chunk again, before or after it was settled, and chunks
 * may come in any order; no input may come in two chunks, for then it would have two outcomes.
 */
import { FarcallError } from "../spec/errors.ts";
import type { NewChunk } from "./mapQueue.ts";
import type { Database, Statement } from "./sqliteDatabase.ts";
import type { Job, Tally } from "./sqliteJobs.ts";

interface InputRow {
  lo: number;
  count: number;
}

export class Inputs {
  readonly #at: Statement;
  readonly #lastBelow: Statement;
  readonly #firstFrom: Statement;
  readonly #from: Statement;

  constructor(database: Database) {
    this.#at = database.prepare("SELECT lo, count FROM input WHERE job = ? AND lo = ?");
    this.#lastBelow = database.prepare("SELECT lo, count FROM input WHERE job = ? AND lo < ? ORDER BY lo DESC LIMIT 1");
    this.#firstFrom = database.prepare("SELECT lo, count FROM input WHERE job = ? AND lo >= ? ORDER BY lo LIMIT 1");
    this.#from = database.prepare("SELECT lo, count FROM input WHERE job = ? AND lo >= ? ORDER BY lo LIMIT ?");
  }

  from(job: Job, from: number, limit: number): { lo: number; count: number }[] {
    return (this.#from.all(job.key, from, limit) as unknown as InputRow[]).map(({ lo, count }) => ({ lo, count }));
  }

  /** Those of `chunks` that are not stored yet, lowest first. Throws `run.mismatch` where chunks overlap. */
  fresh(job: Job, chunks: readonly NewChunk[]): NewChunk[] {
    const fresh: NewChunk[] = [];
    let end = 0;
    for (const chunk of chunks.toSorted((a, b) => a.lo - b.lo)) {
      const before = fresh.at(-1);
      if (before !== undefined && before.lo === chunk.lo && before.count === chunk.count) continue;
      if (chunk.lo < end) throw mismatch(job, chunk, before!);
      if (chunk.lo < job.tally.inputEnd && this.#isStored(job, chunk)) continue;
      fresh.push(chunk);
      end = chunk.lo + chunk.count;
    }
    return fresh;
  }

  /** Counts chunks that are being stored, lowest first. */
  count(job: Job, tally: Tally, fresh: readonly NewChunk[]): void {
    for (const { lo, count } of fresh) {
      if (lo === tally.accepted) tally.accepted += count;
      else tally.apart++;
      tally.inputEnd = Math.max(tally.inputEnd, lo + count);
    }
    while (tally.apart > 0) {
      const next = this.#at.get(job.key, tally.accepted) as InputRow | undefined;
      if (next === undefined) break;
      tally.accepted += next.count;
      tally.apart--;
    }
  }

  #isStored(job: Job, chunk: NewChunk): boolean {
    const below = this.#lastBelow.get(job.key, chunk.lo) as InputRow | undefined;
    if (below !== undefined && below.lo + below.count > chunk.lo) throw mismatch(job, chunk, below);
    const from = this.#firstFrom.get(job.key, chunk.lo) as InputRow | undefined;
    if (from === undefined || from.lo >= chunk.lo + chunk.count) return false;
    if (from.lo === chunk.lo && from.count === chunk.count) return true;
    throw mismatch(job, chunk, from);
  }
}

function mismatch(job: Job, chunk: InputRow, stored: InputRow): FarcallError {
  const name = ({ lo, count }: InputRow): string => `${count} inputs from ${lo}`;
  return new FarcallError(
    "run.mismatch",
    `The run ${job.id} was sent ${name(chunk)}, but it has ${name(stored)} already.`,
    { hint: "A run keeps the inputs it was begun with: start another run for other inputs." },
  );
}
