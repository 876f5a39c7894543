/**
 * Opens the file of an embedded queue, so that what the queue gets is sound and its own.
 *
 * - One process at a time: with `locking_mode=EXCLUSIVE` the first access takes the file's lock and keeps it
 *   until the process ends, however it ends. The WAL index then lives in memory, and there is no `-shm` file.
 *   These are POSIX locks: no other code of the process may open and close the file meanwhile.
 * - A commit survives the death of the process. With `synchronous=NORMAL` a power cut may roll back the newest
 *   commits, but does not damage the file (https://sqlite.org/pragma.html#pragma_synchronous).
 * - A file that cannot be read is moved aside, never deleted, and a new one takes its place.
 */
import { randomBytes } from "node:crypto";
import { accessSync, closeSync, constants, existsSync, openSync, renameSync, statSync } from "node:fs";
import * as sqlite from "node:sqlite";
import { dirname } from "node:path";
import { FarcallError, messageOf } from "../spec/errors.ts";
import { asQueueError, isBusy, isDamage } from "./sqliteErrors.ts";
import { applicationId, schema, schemaVersion } from "./sqliteSchema.ts";

export type Database = sqlite.DatabaseSync;
export type Statement = sqlite.StatementSync;

// Later versions of Node name the class `Database` and keep the old name as a deprecated alias (DEP0210).
const DatabaseClass = (sqlite as { Database?: typeof sqlite.DatabaseSync }).Database ?? sqlite.DatabaseSync;

interface DatabaseOptions {
  /** `NORMAL` survives a crash of the process, `FULL` also a power cut, at one fsync for each batch of writes. */
  synchronous: "NORMAL" | "FULL";
  /** Most bytes the file may take, not counting its write-ahead log; beyond, writes fail with `disk.full`. */
  maxFileBytes: number | undefined;
  /** Wall time in milliseconds, for the name of a damaged file. */
  now: () => number;
  /** A damaged file was moved to `movedTo`, and the queue begins empty. */
  onCorrupt: (movedTo: string, cause: FarcallError) => void;
}

// With 8 KiB pages a chunk of 10 KB costs a quarter less than with 4 KiB or 16 KiB ones (measured).
const pageBytes = 8192;
const walPages = 1000;
const walKeptBytes = 64 * 1024 * 1024;
const cacheKiB = 8 * 1024;
const alwaysCheckedBytes = 4 * 1024 * 1024;
const checkedAfterCrashBytes = 64 * 1024 * 1024;

/**
 * Opens `file`, making it when it is missing or empty, and hands it to `use` together with a new epoch. Damage
 * that `use` runs into counts as damage of the file, too, so `use` may run a second time, on a new file.
 *
 * Throws `home.unusable` when another process owns the file or the folder cannot be used, `agent.version` when
 * a newer Farcall wrote the file, and `disk.full`.
 */
export function openDatabase<T>(
  file: string,
  options: DatabaseOptions,
  use: (database: Database, epoch: string) => T,
): T {
  try {
    return openOnce(file, options, use);
  } catch (thrown) {
    if (!isDamage(thrown, isWritable(file))) throw openError(thrown, file);
    const cause =
      thrown instanceof FarcallError
        ? thrown
        : new FarcallError("queue.corrupt", `The queue ${file} is damaged: ${messageOf(thrown)}.`, { cause: thrown });
    let movedTo: string;
    try {
      movedTo = moveAside(file, options.now());
    } catch (moveError) {
      throw new FarcallError("queue.corrupt", `${cause.message} It cannot be moved aside: ${messageOf(moveError)}.`, {
        cause,
        hint: `Move ${file} away by hand.`,
      });
    }
    options.onCorrupt(movedTo, cause);
  }
  try {
    return openOnce(file, options, use);
  } catch (thrown) {
    throw openError(thrown, file);
  }
}

/** Ends a transaction that failed. SQLite has rolled back by itself when the disk was full. */
export function rollBack(database: Database): void {
  try {
    if (database.isTransaction) database.exec("ROLLBACK");
  } catch {
    // The error that led here is the one to report.
  }
}

/** Moves what the write-ahead log holds into the file; false when there is no room for it, and it stays where it is. */
export function emptyLog(database: Database): boolean {
  try {
    return database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()?.["log"] === 0;
  } catch {
    return false;
  }
}

/** Closes the file in order, so that the next start need not check it. Space may be short: then it is checked. */
export function closeDatabase(database: Database): void {
  try {
    database.exec("UPDATE meta SET clean = 1");
  } catch {
    // What was committed is in the write-ahead log, where the next start finds it.
  }
  emptyLog(database);
  database.close();
}

function openOnce<T>(file: string, options: DatabaseOptions, use: (database: Database, epoch: string) => T): T {
  // Only if it is missing: closing any handle of a file drops the locks that this process has on it.
  if (!existsSync(file)) closeSync(openSync(file, "a", 0o600));
  const sizeBytes = statSync(file).size;
  const database = new DatabaseClass(file, { timeout: 0, enableForeignKeyConstraints: false });
  try {
    database.exec("PRAGMA locking_mode = EXCLUSIVE");
    if (readNumber(database, "PRAGMA page_count") === 0) {
      if (sizeBytes > 0) throw damaged(file, `only ${sizeBytes} bytes are left of it`);
      database.exec(`PRAGMA page_size = ${pageBytes}; PRAGMA auto_vacuum = INCREMENTAL`);
    }
    database.exec(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = ${options.synchronous === "FULL" ? "FULL" : "NORMAL"}`,
    );
    database.exec(`PRAGMA wal_autocheckpoint = ${walPages}; PRAGMA journal_size_limit = ${walKeptBytes}`);
    database.exec(`PRAGMA cache_size = -${cacheKiB}; PRAGMA temp_store = MEMORY`);
    if (options.maxFileBytes !== undefined) {
      const pages = Math.max(1, Math.floor(options.maxFileBytes / readNumber(database, "PRAGMA page_size")));
      database.exec(`PRAGMA max_page_count = ${pages}`);
    }
    checkContent(database, file, sizeBytes);
    const epoch = randomBytes(8).toString("hex");
    database.prepare("UPDATE meta SET epoch = ?, clean = 0").run(epoch);
    return use(database, epoch);
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

/** Makes the tables in a new file; for any other, makes sure that it is a sound queue of this version. */
function checkContent(database: Database, file: string, sizeBytes: number): void {
  const version = readNumber(database, "PRAGMA user_version");
  const tables = readNumber(database, "SELECT count(*) FROM sqlite_master");
  if (version === 0 && tables === 0) {
    database.exec(`BEGIN IMMEDIATE; ${schema}; COMMIT`);
    return;
  }
  if (readNumber(database, "PRAGMA application_id") !== applicationId) throw damaged(file, "it is not a queue");
  if (version > schemaVersion) {
    throw new FarcallError(
      "agent.version",
      `Cannot open the queue ${file}: it has version ${version}, and this Farcall reads up to version ${schemaVersion}.`,
      { hint: "Update Farcall, or move that file away to begin with an empty queue." },
    );
  }
  if (version !== schemaVersion) throw damaged(file, `it has the unknown version ${version}`);
  const limitBytes = readNumber(database, "SELECT clean FROM meta") === 1 ? alwaysCheckedBytes : checkedAfterCrashBytes;
  if (sizeBytes > limitBytes) return;
  const found = database.prepare("PRAGMA quick_check(1)").get()?.["quick_check"];
  if (found !== "ok") throw damaged(file, String(found));
}

/** The first column of the first row. */
function readNumber(database: Database, sql: string): number {
  const [value] = Object.values(database.prepare(sql).get() ?? {});
  return Number(value);
}

function moveAside(file: string, nowMs: number): string {
  const stamp = new Date(nowMs).toISOString().replaceAll(/[:.]/g, "-");
  let movedTo = `${file}.corrupt-${stamp}`;
  for (let n = 2; existsSync(movedTo); n++) movedTo = `${file}.corrupt-${stamp}-${n}`;
  for (const suffix of ["-wal", "-shm", "-journal"]) {
    if (existsSync(file + suffix)) renameSync(file + suffix, movedTo + suffix);
  }
  renameSync(file, movedTo);
  return movedTo;
}

function isWritable(file: string): boolean {
  try {
    accessSync(file, constants.W_OK);
    accessSync(dirname(file), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function damaged(file: string, why: string): FarcallError {
  return new FarcallError("queue.corrupt", `The queue ${file} is damaged: ${why}.`);
}

function openError(thrown: unknown, file: string): FarcallError {
  if (isBusy(thrown)) {
    return new FarcallError("home.unusable", `Cannot open the queue ${file}: another process has it open.`, {
      cause: thrown,
      hint: "One agent owns a queue at a time: stop the other one, or give this one a folder of its own.",
    });
  }
  const code = thrown instanceof Error ? (thrown as { code?: unknown }).code : undefined;
  if (typeof code === "string" && ["ENOENT", "ENOTDIR", "EISDIR", "EACCES", "EPERM", "EROFS"].includes(code)) {
    return new FarcallError("home.unusable", `Cannot open the queue ${file}: ${messageOf(thrown)}.`, {
      cause: thrown,
      hint: "The agent needs a folder that exists and that it may read and write.",
    });
  }
  return asQueueError(thrown, file);
}
