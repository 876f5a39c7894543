/** The parts that share one database file, and how a transaction over all of them begins and ends. */
import { type FarcallError, isDiskFull } from "../spec/errors.ts";
import type { RunId } from "../spec/names.ts";
import { closeDatabase, type Database, emptyLog, rollBack, type Statement } from "./sqliteDatabase.ts";
import { asQueueError, isStorageFailure } from "./sqliteErrors.ts";
import { Credits } from "./sqliteCredits.ts";
import { Inputs } from "./sqliteInputs.ts";
import { JobTable } from "./sqliteJobs.ts";
import { Outcomes } from "./sqliteOutcomes.ts";
import { Sweep } from "./sqliteSweep.ts";
import { Work } from "./sqliteWork.ts";
import type { TransactionalStore } from "./writeBatch.ts";

export class SqliteStore implements TransactionalStore {
  /** Made anew at every opening: the newest outcomes of the time before may be lost. */
  readonly epoch: string;
  readonly jobs: JobTable;
  readonly inputs: Inputs;
  readonly credits: Credits;
  readonly work: Work;
  readonly outcomes: Outcomes;
  readonly sweep: Sweep;
  readonly #file: string;
  readonly #database: Database;
  readonly #begin: Statement;
  readonly #commit: Statement;
  #changed: RunId[] = [];
  /** Why the log could not be emptied when the disk was full. */
  #full: unknown;

  constructor(file: string, database: Database, epoch: string) {
    this.epoch = epoch;
    this.jobs = new JobTable(database);
    this.inputs = new Inputs(database);
    this.credits = new Credits(database);
    this.work = new Work(database, this.jobs, this.credits);
    this.outcomes = new Outcomes(database);
    this.sweep = new Sweep(database);
    this.#file = file;
    this.#database = database;
    this.#begin = database.prepare("BEGIN IMMEDIATE");
    this.#commit = database.prepare("COMMIT");
  }

  begin(): void {
    // Room that was made is the file's first: once the log had taken it, neither could ever be written again.
    if (this.#full !== undefined) {
      if (!emptyLog(this.#database)) throw this.#full;
      this.#full = undefined;
    }
    this.#begin.run();
  }

  commit(): void {
    this.jobs.save();
    this.#commit.run();
    this.#changed.push(...this.jobs.committed());
  }

  rollback(cause: unknown): void {
    this.jobs.rolledBack();
    rollBack(this.#database);
    // The write-ahead log may hold what the file has room for: then emptying it makes space.
    if (isDiskFull(cause) && !emptyLog(this.#database)) this.#full = cause;
  }

  isFailure(thrown: unknown): boolean {
    return isStorageFailure(thrown);
  }

  asError(thrown: unknown): FarcallError {
    return asQueueError(thrown, this.#file);
  }

  read<T>(work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      throw this.asError(thrown);
    }
  }

  /** The jobs that changed since this was last asked. */
  takeChanged(): RunId[] {
    const changed = this.#changed;
    this.#changed = [];
    return changed;
  }

  close(): void {
    closeDatabase(this.#database);
  }
}
