/**
 * The jobs of an embedded queue and where each stands. Tallies are kept in memory, changed inside a
 * transaction by way of `touch`, written once before the commit, and put back when it is rolled back.
 */
import { FarcallError } from "../spec/errors.ts";
import type { RunId } from "../spec/names.ts";
import { hasEnded } from "./jobState.ts";
import type { JobHead, JobRecord, JobSpec, JobState } from "./mapQueue.ts";
import type { Database, Statement } from "./sqliteDatabase.ts";
import { noteSchema, phases } from "./sqliteSchema.ts";

export interface Tally {
  state: JobState;
  revision: number;
  total: number | undefined;
  /** Inputs stored, without gaps from index 0. */
  accepted: number;
  /** Index behind the last input stored, which may lie behind a gap. */
  inputEnd: number;
  /** Chunks stored behind the gap. */
  apart: number;
  /** Chunks that could be leased now. */
  ready: number;
  /** Inputs waiting, delayed ones included. */
  pending: number;
  leased: number;
  settled: number;
  errors: number;
  /** Bytes of all chunks that are not settled. */
  workBytes: number;
}

export interface Job {
  /** Never used for another job, unlike the id. */
  readonly key: number;
  readonly id: RunId;
  readonly createdAtMs: number;
  tally: Tally;
}

const newTally: Tally = {
  state: "run",
  revision: 1,
  total: undefined,
  accepted: 0,
  inputEnd: 0,
  apart: 0,
  ready: 0,
  pending: 0,
  leased: 0,
  settled: 0,
  errors: 0,
  workBytes: 0,
};

export class JobTable {
  readonly #jobs = new Map<RunId, Job>();
  readonly #byKey = new Map<number, Job>();
  readonly #live = new Set<Job>();
  /** What a rollback puts back: the tallies as they were, and undoing of what else happened. */
  readonly #touched = new Map<Job, Tally>();
  readonly #undo: (() => void)[] = [];
  readonly #changed = new Set<RunId>();
  readonly #insertJob: Statement;
  readonly #deleteJob: Statement;
  readonly #selectSpec: Statement;
  readonly #insertTally: Statement;
  readonly #updateTally: Statement;
  readonly #deleteTally: Statement;
  readonly #insertNote: Statement;
  readonly #selectNote: Statement;
  readonly #deleteNote: Statement;

  /** Reads all jobs; the leases and delays of the process before are void. */
  constructor(database: Database) {
    database.exec(noteSchema);
    this.#insertNote = database.prepare("INSERT INTO note(job, text) VALUES(?, ?)");
    this.#selectNote = database.prepare("SELECT text FROM note WHERE job = ?");
    this.#deleteNote = database.prepare("DELETE FROM note WHERE job = ?");
    this.#insertJob = database.prepare("INSERT INTO job(id, spec, createdAtMs) VALUES(?, ?, ?)");
    this.#deleteJob = database.prepare("DELETE FROM job WHERE key = ?");
    this.#selectSpec = database.prepare("SELECT spec FROM job WHERE key = ?");
    this.#deleteTally = database.prepare("DELETE FROM tally WHERE job = ?");
    this.#insertTally = database.prepare(
      `INSERT INTO tally(state, revision, total, accepted, inputEnd, apart, ready, pending, leased, settled, errors,
         workBytes, job) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#updateTally = database.prepare(
      `UPDATE tally SET state = ?, revision = ?, total = ?, accepted = ?, inputEnd = ?, apart = ?, ready = ?,
         pending = ?, leased = ?, settled = ?, errors = ?, workBytes = ? WHERE job = ?`,
    );
    const rows = database
      .prepare("SELECT key, id, createdAtMs, tally.* FROM job JOIN tally ON tally.job = key ORDER BY createdAtMs, key")
      .all() as unknown as (Omit<Job, "tally"> & Tally & { job: number })[];
    const free = database.prepare("UPDATE chunk SET phase = ? WHERE job = ? AND phase > ?");
    database.exec("BEGIN IMMEDIATE");
    for (const { key, id, createdAtMs, job: _, ...stored } of rows) {
      const job: Job = { key, id, createdAtMs, tally: { ...stored, total: stored.total ?? undefined } };
      this.#enter(job);
      if (hasEnded(job.tally)) continue;
      const freed = Number(free.run(phases.ready, key, phases.ready).changes);
      if (freed === 0) continue;
      const tally = this.touch(job);
      tally.ready += freed;
      tally.pending += tally.leased;
      tally.leased = 0;
    }
    this.save();
    database.exec("COMMIT");
    this.committed();
  }

  get(id: RunId): Job | undefined {
    return this.#jobs.get(id);
  }

  byKey(key: number): Job | undefined {
    return this.#byKey.get(key);
  }

  /** Throws `run.unknown`. */
  need(id: RunId): Job {
    const job = this.#jobs.get(id);
    if (job === undefined) throw new FarcallError("run.unknown", `There is no run ${id}.`);
    return job;
  }

  /** Oldest first. */
  all(): Job[] {
    return [...this.#jobs.values()].sort((a, b) => a.createdAtMs - b.createdAtMs || a.key - b.key);
  }

  /** Bytes of the chunks of all jobs that are not settled. */
  get workBytes(): number {
    let bytes = 0;
    for (const { tally } of this.#live) bytes += tally.workBytes;
    return bytes;
  }

  head({ id, createdAtMs, tally: { state, revision, total } }: Job): JobHead {
    return { id, createdAtMs, state, revision, total };
  }

  record(job: Job): JobRecord {
    const spec = this.#selectSpec.get(job.key)?.["spec"];
    const note = this.#selectNote.get(job.key)?.["text"] as string | undefined;
    return { ...this.head(job), spec: String(spec), accepted: job.tally.accepted, note };
  }

  /** The tally of a job, to be changed. Inside a transaction only. */
  touch(job: Job): Tally {
    if (!this.#touched.has(job)) this.#touched.set(job, { ...job.tally });
    this.#changed.add(job.id);
    return job.tally;
  }

  create({ id, spec, createdAtMs }: JobSpec): Job {
    const key = Number(this.#insertJob.run(id, spec, createdAtMs).lastInsertRowid);
    const job: Job = { key, id, createdAtMs, tally: { ...newTally } };
    this.#insertTally.run(...columns(job));
    this.#enter(job);
    this.#changed.add(id);
    this.#undo.push(() => this.#forget(job));
    return job;
  }

  /** Keeps what was said of the job's newest state. Inside a transaction only. */
  note({ key }: Job, text: string | undefined): void {
    this.#deleteNote.run(key);
    if (text !== undefined) this.#insertNote.run(key, text);
  }

  /** The job's work counts no more. The rows of it are left to the sweep. */
  end(job: Job, state: JobState): void {
    Object.assign(this.touch(job), { state, ready: 0, pending: 0, leased: 0, workBytes: 0 });
    this.#live.delete(job);
    this.#undo.push(() => this.#live.add(job));
  }

  /** Forgets an ended job. */
  remove(job: Job): void {
    this.#deleteJob.run(job.key);
    this.#deleteTally.run(job.key);
    this.#deleteNote.run(job.key);
    this.#forget(job);
    this.#changed.add(job.id);
    this.#undo.push(() => this.#enter(job));
  }

  /** Writes what changed. To be called before the commit. */
  save(): void {
    for (const job of this.#touched.keys()) this.#updateTally.run(...columns(job));
  }

  /** Returns the ids of the jobs that changed since the last commit. */
  committed(): RunId[] {
    const changed = [...this.#changed];
    this.#clear();
    return changed;
  }

  rolledBack(): void {
    for (const [job, before] of this.#touched) job.tally = before;
    for (const undo of this.#undo.reverse()) undo();
    this.#clear();
  }

  #clear(): void {
    this.#touched.clear();
    this.#changed.clear();
    this.#undo.length = 0;
  }

  #enter(job: Job): void {
    this.#jobs.set(job.id, job);
    this.#byKey.set(job.key, job);
    if (!hasEnded(job.tally)) this.#live.add(job);
  }

  #forget(job: Job): void {
    this.#jobs.delete(job.id);
    this.#byKey.delete(job.key);
    this.#live.delete(job);
  }
}

function columns({ key, tally: t }: Job): (string | number | null)[] {
  const total = t.total ?? null;
  const { state, revision, accepted, inputEnd, apart, ready, pending, leased, settled, errors, workBytes } = t;
  return [state, revision, total, accepted, inputEnd, apart, ready, pending, leased, settled, errors, workBytes, key];
}
