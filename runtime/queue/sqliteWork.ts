/**
 * The chunks of an embedded queue: stored, leased, given back, settled. Every method runs inside a
 * transaction, and checks all it is given before it writes.
 *
 * The rows alone say what is leased to whom, so that two operations in one transaction cannot contradict each
 * other: a lease is good while its chunk has the phase `leased` and the attempt that the token names. Anyone
 * may settle a chunk as long as it is there; whether the lease is still good does not matter.
 */
import { FarcallError } from "../spec/errors.ts";
import type { Lease, NewChunk, ResultRange, Settlement } from "./mapQueue.ts";
import type { Credits } from "./sqliteCredits.ts";
import type { Database, Statement } from "./sqliteDatabase.ts";
import { hasEnded } from "./jobState.ts";
import type { Job, JobTable, Tally } from "./sqliteJobs.ts";
import { phases } from "./sqliteSchema.ts";

interface ChunkRow {
  id: number;
  job: number;
  phase: number;
  lo: number;
  count: number;
  attempt: number;
  sizeBytes: number;
}

interface TakenRow {
  id: number;
  lo: number;
  count: number;
  deaths: number;
  attempt: number;
  body: Uint8Array;
}

/** Chunks that were taken, without the deadline, which begins when the transaction is committed. */
export type TakenChunk = Omit<Lease, "deadlineMs">;

export class Work {
  readonly #jobs: JobTable;
  readonly #credits: Credits;
  readonly #insertInput: Statement;
  readonly #insertChunk: Statement;
  readonly #insertBody: Statement;
  readonly #insertOutcome: Statement;
  readonly #selectReady: Statement;
  readonly #selectChunk: Statement;
  readonly #takeChunk: Statement;
  readonly #setPhase: Statement;
  readonly #deleteChunk: Statement;
  readonly #deleteBody: Statement;

  constructor(database: Database, jobs: JobTable, credits: Credits) {
    this.#jobs = jobs;
    this.#credits = credits;
    this.#insertInput = database.prepare("INSERT INTO input(job, lo, count) VALUES(?, ?, ?)");
    this.#insertChunk = database.prepare(
      "INSERT INTO chunk(job, phase, lo, count, deaths, attempt, sizeBytes) VALUES(?, ?, ?, ?, ?, 0, ?)",
    );
    this.#insertBody = database.prepare("INSERT INTO body(id, bytes) VALUES(?, ?)");
    this.#insertOutcome = database.prepare("INSERT INTO outcome(job, lo, count, errors, body) VALUES(?, ?, ?, ?, ?)");
    this.#selectReady = database.prepare(
      `SELECT id, lo, count, deaths, attempt, (SELECT bytes FROM body WHERE body.id = chunk.id) AS body
         FROM chunk INDEXED BY chunkByPhase WHERE job = ? AND phase = ${phases.ready} ORDER BY lo LIMIT ?`,
    );
    this.#selectChunk = database.prepare(
      "SELECT id, job, phase, lo, count, attempt, sizeBytes FROM chunk WHERE id = ?",
    );
    this.#takeChunk = database.prepare(`UPDATE chunk SET phase = ${phases.leased}, attempt = attempt + 1 WHERE id = ?`);
    this.#setPhase = database.prepare("UPDATE chunk SET phase = ? WHERE id = ?");
    this.#deleteChunk = database.prepare("DELETE FROM chunk WHERE id = ?");
    this.#deleteBody = database.prepare("DELETE FROM body WHERE id = ?");
  }

  /** Stores chunks that the client sent and that are not stored yet. */
  add(job: Job, chunks: readonly NewChunk[]): void {
    const tally = this.#jobs.touch(job);
    for (const chunk of chunks) {
      this.#insertInput.run(job.key, chunk.lo, chunk.count);
      this.#insert(job, tally, chunk);
    }
  }

  take(job: Job, max: number): TakenChunk[] {
    if (job.tally.state !== "run" || job.tally.ready === 0) return [];
    const rows = this.#selectReady.all(job.key, max) as unknown as TakenRow[];
    if (rows.length === 0) {
      throw new FarcallError(
        "queue.corrupt",
        `The run ${job.id} should have ${job.tally.ready} chunks, and has none.`,
        {
          hint: "Restart the agent: it checks the file of its queue.",
        },
      );
    }
    const tally = this.#jobs.touch(job);
    return rows.map(({ id, lo, count, deaths, attempt: before, body }) => {
      this.#takeChunk.run(id);
      tally.ready--;
      tally.pending -= count;
      tally.leased += count;
      const attempt = before + 1;
      return { job: job.id, chunk: { lo, count, body, deaths }, attempt, token: `${id}.${attempt}` };
    });
  }

  isHeld(lease: Lease): boolean {
    const { id, attempt } = parseToken(lease.token);
    const row = this.#chunkOf(lease, id);
    return row?.phase === phases.leased && row.attempt === attempt;
  }

  /** Makes a leased chunk ready again, or after a delay; false when the lease is not held. */
  giveBack(lease: Lease, delayed: boolean): boolean {
    const job = this.#jobs.get(lease.job);
    if (job === undefined || hasEnded(job.tally) || !this.isHeld(lease)) return false;
    const tally = this.#jobs.touch(job);
    this.#setPhase.run(delayed ? phases.delayed : phases.ready, parseToken(lease.token).id);
    tally.leased -= lease.chunk.count;
    tally.pending += lease.chunk.count;
    if (!delayed) tally.ready++;
    return true;
  }

  /** Makes the chunks of leases ready whose time, or the delay that followed, is over. */
  free(tokens: readonly string[]): void {
    for (const token of tokens) {
      const { id, attempt } = parseToken(token);
      const row = this.#selectChunk.get(id) as ChunkRow | undefined;
      const job = row && this.#jobs.byKey(row.job);
      if (row === undefined || job === undefined || hasEnded(job.tally)) continue;
      if (row.attempt !== attempt || row.phase === phases.ready) continue;
      const tally = this.#jobs.touch(job);
      this.#setPhase.run(phases.ready, id);
      tally.ready++;
      if (row.phase === phases.delayed) continue;
      tally.leased -= row.count;
      tally.pending += row.count;
    }
  }

  settle(lease: Lease, { results, children, by }: Settlement): "stored" | "already" {
    const job = this.#jobs.get(lease.job);
    const { id } = parseToken(lease.token);
    const row = this.#chunkOf(lease, id);
    if (job === undefined || row === undefined || hasEnded(job.tally)) return "already";
    const tally = this.#jobs.touch(job);
    this.#deleteChunk.run(id);
    this.#deleteBody.run(id);
    if (row.phase === phases.leased) tally.leased -= row.count;
    else tally.pending -= row.count;
    if (row.phase === phases.ready) tally.ready--;
    tally.workBytes -= row.sizeBytes;
    for (const result of results) this.#insertResult(job, tally, result);
    for (const child of children) this.#insert(job, tally, child);
    if (by !== undefined) this.#credits.add(job, by, results);
    return "stored";
  }

  #insert(job: Job, tally: Tally, { lo, count, deaths = 0, body }: NewChunk): void {
    const { lastInsertRowid } = this.#insertChunk.run(job.key, phases.ready, lo, count, deaths, body.byteLength);
    this.#insertBody.run(lastInsertRowid, body);
    tally.ready++;
    tally.pending += count;
    tally.workBytes += body.byteLength;
  }

  #insertResult(job: Job, tally: Tally, { lo, count, errors, body }: ResultRange): void {
    this.#insertOutcome.run(job.key, lo, count, errors, body);
    tally.settled += count;
    tally.errors += errors;
  }

  /** After a power cut ids may be used again, so the rest of the chunk has to fit, too. */
  #chunkOf({ job, chunk }: Lease, id: number): ChunkRow | undefined {
    const row = this.#selectChunk.get(id) as ChunkRow | undefined;
    if (row?.job !== this.#jobs.get(job)?.key) return undefined;
    return row?.lo === chunk.lo && row.count === chunk.count ? row : undefined;
  }
}

function parseToken(token: string): { id: number; attempt: number } {
  const [id, attempt] = token.split(".").map(Number);
  if (Number.isSafeInteger(id) && Number.isSafeInteger(attempt)) return { id: id!, attempt: attempt! };
  throw new FarcallError("internal", `The lease token ${JSON.stringify(token)} is not one of this queue.`);
}
