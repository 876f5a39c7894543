import { renameSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";

const pollMs = 20;

/**
 * A lock that one process at most holds.
 *
 * It is SQLite's lock on an otherwise empty database: Node has no call to lock a file, and the operating system
 * frees this one however its owner dies, so there are no stale locks, no process ids to compare, and nothing to
 * time out.
 */
export class FileLock implements Disposable {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Undefined when another process holds the lock. */
  static acquire(file: string): FileLock | undefined {
    try {
      return FileLock.#open(file);
    } catch (error) {
      if (sqliteCode(error) !== notADatabase) throw error;
      renameSync(file, `${file}.corrupt-${Date.now()}`);
      return FileLock.#open(file);
    }
  }

  /** Waits until the lock is free. Undefined when it is not within `withinMs`; rejects with the signal's reason. */
  static async wait(file: string, withinMs: number, signal?: AbortSignal): Promise<FileLock | undefined> {
    const deadlineMs = performance.now() + withinMs;
    for (;;) {
      signal?.throwIfAborted();
      const lock = FileLock.acquire(file);
      if (lock || performance.now() > deadlineMs) return lock;
      await new Promise((resolve) => setTimeout(resolve, pollMs * (0.5 + Math.random())));
    }
  }

  static #open(file: string): FileLock | undefined {
    // Loaded when there is something to lock: most commands do without.
    const { DatabaseSync } = process.getBuiltinModule("node:sqlite");
    const database = new DatabaseSync(file);
    try {
      database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;");
      return new FileLock(database);
    } catch (error) {
      database.close();
      const code = sqliteCode(error);
      if (code === busy || code === locked) return undefined;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }
}

// https://sqlite.org/rescode.html; extended codes keep the primary one in their low byte.
const busy = 5;
const locked = 6;
const notADatabase = 26;

function sqliteCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown }).errcode;
  return typeof code === "number" ? code & 0xff : undefined;
}
