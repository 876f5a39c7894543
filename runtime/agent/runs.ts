import { renameSync } from "node:fs";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { BundleRef, RunRecord } from "../protocol/messages.ts";
import type { RunId } from "../spec/names.ts";
import { databaseFileEndings, openDatabase } from "./database.ts";

/**
 * The records of calls and maps, kept when the agent is gone.
 *
 * A record is not a promise the way an acknowledged input is, so records are written a moment later, many at
 * once: a call takes a fifth of a millisecond, a write would double that.
 */
const writeEveryMs = 100;
/** Results of calls above this are not kept; the caller got them. */
const maxStoredResultBytes = 1024 * 1024;
const keptCalls = 2_000;
const schema = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS run (id TEXT PRIMARY KEY, record TEXT NOT NULL, ok INTEGER, result BLOB) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS bundle (hash TEXT PRIMARY KEY, files TEXT NOT NULL) WITHOUT ROWID;
  SELECT count(*) FROM (SELECT 1 FROM run LIMIT 1);
`;
const rowsAtATime = 16;
const retryMs = 2_000;
/** A call that lasts longer is recorded before it ends. */
const lastingMs = 1_000;

export interface StoredResult {
  ok: boolean;
  body: Uint8Array | undefined;
}

export class RunStore {
  readonly #database: DatabaseSync;
  readonly #upsert: StatementSync;
  readonly #byId: StatementSync;
  readonly #page: StatementSync;
  readonly #unwritten = new Map<RunId, { record: RunRecord; result: StoredResult | undefined }>();
  #timer: NodeJS.Timeout | undefined;
  /** Calls that are running. */
  readonly #live = new Map<RunId, () => RunRecord>();
  /** Calls that have ended, not yet made into records: that too can wait. */
  #ended: { record: () => RunRecord; result: StoredResult | undefined }[] = [];
  #lastingTimer: NodeJS.Timeout | undefined;
  #callsSincePrune = 0;

  constructor(file: string, onCorrupt: (movedTo: string) => void) {
    this.#database = openDatabase(file, schema, () => onCorrupt(moveAside(file)));
    this.#upsert = this.#database.prepare(
      `INSERT INTO run (id, record, ok, result) VALUES (?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET record = excluded.record,
         ok = coalesce(excluded.ok, ok), result = coalesce(excluded.result, result)`,
    );
    this.#byId = this.#database.prepare("SELECT record, ok, result FROM run WHERE id = ?");
    this.#page = this.#database.prepare("SELECT record FROM run WHERE id < ? ORDER BY id DESC LIMIT ?");
  }

  /** Notes a call that begins; its record is made if somebody asks, or if it lasts. */
  begin(id: RunId, record: () => RunRecord): void {
    this.#live.set(id, record);
    this.#lastingTimer ??= setTimeout(() => this.#saveLasting(), lastingMs);
  }

  end(id: RunId, record: () => RunRecord, result?: StoredResult): void {
    this.#live.delete(id);
    this.#ended.push({ record, result });
    this.#schedule(writeEveryMs);
  }

  save(record: RunRecord, result?: StoredResult): void {
    const before = this.#unwritten.get(record.id);
    this.#unwritten.set(record.id, { record, result: result ?? before?.result });
    this.#schedule(writeEveryMs);
  }

  get(id: RunId): RunRecord | undefined {
    const live = this.#live.get(id);
    if (live) return live();
    this.#gather();
    const unwritten = this.#unwritten.get(id);
    if (unwritten) return unwritten.record;
    const row = this.#byId.get(id);
    return row && (JSON.parse(row["record"] as string) as RunRecord);
  }

  result(id: RunId): StoredResult | undefined {
    this.flush();
    const row = this.#byId.get(id);
    if (!row || row["ok"] === null) return undefined;
    return { ok: row["ok"] === 1, body: (row["result"] as Uint8Array | null) ?? undefined };
  }

  saveBundle(bundle: BundleRef): void {
    this.#database
      .prepare("INSERT OR IGNORE INTO bundle (hash, files) VALUES (?, ?)")
      .run(bundle.hash, JSON.stringify(bundle));
  }

  bundle(hash: string): BundleRef | undefined {
    const row = this.#database.prepare("SELECT files FROM bundle WHERE hash = ?").get(hash);
    return row && (JSON.parse(row["files"] as string) as BundleRef);
  }

  #gather(): void {
    this.#callsSincePrune += this.#ended.length;
    for (const { record, result } of this.#ended.splice(0)) this.save(record(), result);
  }

  #schedule(ms: number): void {
    this.#timer ??= setTimeout(() => this.#write(), ms);
  }

  /** Saves the records of calls that have been running for a while, for whoever asks after a crash. */
  #saveLasting(): void {
    this.#lastingTimer = undefined;
    for (const record of this.#live.values()) this.save(record());
    if (this.#live.size === 0) return;
    this.#lastingTimer = setTimeout(() => this.#saveLasting(), lastingMs * 10);
    this.#lastingTimer.unref();
  }

  /** Newest first, those before `before` in that order. */
  list(limit: number, before: RunId | undefined): RunRecord[] {
    this.flush();
    return this.#page.all(before ?? "~", limit).map((row) => JSON.parse(row["record"] as string) as RunRecord);
  }

  /** Whether enough calls came since the last time for `prune` to be worth its while. */
  get isPruneDue(): boolean {
    return this.#callsSincePrune > keptCalls / 2;
  }

  /** Forgets all but the newest calls and returns the ids of those forgotten. */
  prune(): RunId[] {
    this.#callsSincePrune = 0;
    return this.#database
      .prepare(
        `DELETE FROM run WHERE json_extract(record, '$.kind') = 'call' AND id <
           (SELECT id FROM run WHERE json_extract(record, '$.kind') = 'call' ORDER BY id DESC LIMIT 1 OFFSET ?)
         RETURNING id`,
      )
      .all(keptCalls)
      .map((row) => row["id"] as string);
  }

  /** Writes all that has gathered. */
  flush(): void {
    for (const record of this.#live.values()) this.save(record());
    this.#gather();
    while (this.#unwritten.size > 0 && this.#writeSome(Number.POSITIVE_INFINITY));
  }

  /** A little at a time: a call that waits for a long write would notice. */
  #write(): void {
    this.#gather();
    const more = this.#writeSome(rowsAtATime);
    this.#timer = undefined;
    if (this.#unwritten.size > 0) this.#schedule(more ? 0 : retryMs);
  }

  /** False when the disk is full or the like; the records stay, to be tried again. */
  #writeSome(rows: number): boolean {
    if (!this.#database.isOpen) return false;
    let left = rows;
    const written: RunId[] = [];
    try {
      this.#database.exec("BEGIN");
      for (const [id, { record, result }] of this.#unwritten) {
        if (left-- <= 0) break;
        const body = result?.body && result.body.byteLength <= maxStoredResultBytes ? result.body : null;
        this.#upsert.run(id, JSON.stringify(record), result ? Number(result.ok) : null, body);
        written.push(id);
      }
      this.#database.exec("COMMIT");
    } catch {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      return false;
    }
    for (const id of written) this.#unwritten.delete(id);
    return true;
  }

  close(): void {
    this.flush();
    clearTimeout(this.#timer);
    clearTimeout(this.#lastingTimer);
    if (this.#database.isOpen) this.#database.close();
  }
}

function moveAside(file: string): string {
  const movedTo = `${file}.corrupt-${Date.now()}`;
  for (const ending of databaseFileEndings) {
    try {
      renameSync(file + ending, movedTo + ending);
    } catch {
      // There need not be a log beside the database.
    }
  }
  return movedTo;
}
