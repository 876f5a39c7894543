import { renameSync } from "node:fs";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { BundleRef } from "../protocol/messages/code.ts";
import type { Failure } from "../protocol/failure.ts";
import type { RunRecord } from "../protocol/messages/runs.ts";
import type { RunId } from "../spec/names.ts";
import { databaseFileEndings, openDatabase } from "./database.ts";
import type { Asked, LiveCall, StoredRequest, StoredResult } from "./liveCall.ts";

/**
 * The records of calls and maps, kept when the agent is gone.
 *
 * A record is not a promise the way an acknowledged input is, so records are written a moment later, many at
 * once: a call takes a fifth of a millisecond, a write would double that.
 */
const writeEveryMs = 100;
const keptCalls = 2_000;
/** Results and yielded values of calls that are kept together, the newest ones. */
const keptResultBytes = 1024 ** 3;
const schema = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS run (id TEXT PRIMARY KEY, record TEXT NOT NULL, ok INTEGER, result BLOB) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS bundle (hash TEXT PRIMARY KEY, files TEXT NOT NULL) WITHOUT ROWID;
  SELECT count(*) FROM (SELECT 1 FROM run LIMIT 1);
`;
/** Columns of `run` that came later. */
const addedColumns = {
  module: "TEXT",
  export: "TEXT",
  timeoutMs: "INTEGER",
  args: "BLOB",
  items: "INTEGER",
  itemsBody: "BLOB",
};
const rowsAtATime = 16;
const retryMs = 2_000;
/** A call that lasts longer is recorded before it ends. */
const lastingMs = 1_000;

interface Unwritten {
  record: RunRecord;
  result: StoredResult | undefined;
  asked: Asked | undefined;
}

export class RunStore {
  readonly #database: DatabaseSync;
  readonly #upsert: StatementSync;
  readonly #byId: StatementSync;
  readonly #page: StatementSync;
  readonly #unwritten = new Map<RunId, Unwritten>();
  #timer: NodeJS.Timeout | undefined;
  /** Calls that are running. */
  readonly #live = new Map<RunId, LiveCall>();
  /** Calls that have ended, not yet made into records: that too can wait. */
  #ended: { call: LiveCall; result: StoredResult | undefined }[] = [];
  #lastingTimer: NodeJS.Timeout | undefined;
  #callsSincePrune = 0;
  #bytesSincePrune = 0;

  constructor(file: string, onCorrupt: (movedTo: string) => void) {
    this.#database = openDatabase(file, schema, () => onCorrupt(moveAside(file)));
    addColumns(this.#database);
    endLeftOver(this.#database);
    this.#upsert = this.#database.prepare(
      `INSERT INTO run (id, record, ok, result, items, itemsBody, module, export, timeoutMs, args)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET record = excluded.record,
         ok = coalesce(excluded.ok, ok), result = coalesce(excluded.result, result),
         items = coalesce(excluded.items, items), itemsBody = coalesce(excluded.itemsBody, itemsBody),
         module = coalesce(excluded.module, module), export = coalesce(excluded.export, export),
         timeoutMs = coalesce(excluded.timeoutMs, timeoutMs), args = coalesce(excluded.args, args)`,
    );
    this.#byId = this.#database.prepare("SELECT record FROM run WHERE id = ?");
    this.#page = this.#database.prepare("SELECT record FROM run WHERE id < ? ORDER BY id DESC LIMIT ?");
  }

  /** The tables beside this one, of those who keep other things about runs. */
  get database(): DatabaseSync {
    return this.#database;
  }

  /** Calls that are running or wait for a replica. */
  get liveCalls(): ReadonlyMap<RunId, LiveCall> {
    return this.#live;
  }

  /** Notes a call that begins; its record is made if somebody asks, or if it lasts. */
  begin(call: LiveCall): void {
    this.#live.set(call.params.run, call);
    this.#lastingTimer ??= setTimeout(() => this.#saveLasting(), lastingMs);
  }

  end(call: LiveCall, result?: StoredResult): void {
    this.#live.delete(call.params.run);
    this.#ended.push({ call, result });
    this.#schedule(writeEveryMs);
  }

  save(record: RunRecord, result?: StoredResult, asked?: Asked): void {
    const before = this.#unwritten.get(record.id);
    this.#unwritten.set(record.id, { record, result: result ?? before?.result, asked: asked ?? before?.asked });
    this.#schedule(writeEveryMs);
  }

  /** Keeps what became of a call on another node, unless this one has better. Counts as a call of its own. */
  keep(record: RunRecord, result: StoredResult | undefined, request: StoredRequest): void {
    const known = this.get(record.id);
    if (known && (known.state === "running" || known.state === "done")) return;
    this.#callsSincePrune++;
    this.save(record, result, { request, requestStored: false });
  }

  get(id: RunId): RunRecord | undefined {
    const live = this.#live.get(id);
    if (live) return live.record;
    this.#gather();
    const unwritten = this.#unwritten.get(id);
    if (unwritten) return unwritten.record;
    const row = this.#byId.get(id);
    return row && (JSON.parse(row["record"] as string) as RunRecord);
  }

  result(id: RunId): StoredResult | undefined {
    this.flush();
    const row = this.#database.prepare("SELECT ok, result, items, itemsBody FROM run WHERE id = ?").get(id);
    if (!row || row["ok"] === null) return undefined;
    return {
      ok: row["ok"] === 1,
      body: (row["result"] as Uint8Array | null) ?? undefined,
      items: (row["items"] as number | null) ?? 0,
      itemsBody: (row["itemsBody"] as Uint8Array | null) ?? undefined,
    };
  }

  /** What was asked for with a call. */
  request(id: RunId): StoredRequest | undefined {
    const live = this.#live.get(id);
    if (live) return live.request;
    this.flush();
    const row = this.#database.prepare("SELECT module, export, timeoutMs, args FROM run WHERE id = ?").get(id);
    if (!row || row["module"] === null) return undefined;
    return {
      module: row["module"] as string,
      export: row["export"] as string,
      timeoutMs: (row["timeoutMs"] as number | null) ?? undefined,
      args: (row["args"] as Uint8Array | null) ?? undefined,
    };
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
    for (const { call, result } of this.#ended.splice(0)) this.save(call.record, result, call);
  }

  #schedule(ms: number): void {
    this.#timer ??= setTimeout(() => this.#write(), ms);
  }

  #saveLive(): void {
    for (const call of this.#live.values()) this.save(call.record, undefined, call);
  }

  /** Saves the records of calls that have been running for a while, for whoever asks after a crash. */
  #saveLasting(): void {
    this.#lastingTimer = undefined;
    this.#saveLive();
    if (this.#live.size === 0) return;
    this.#lastingTimer = setTimeout(() => this.#saveLasting(), lastingMs * 10);
    this.#lastingTimer.unref();
  }

  /** Newest first, those before `before` in that order. */
  list(limit: number, before: RunId | undefined): RunRecord[] {
    this.flush();
    return this.#page.all(before ?? "~", limit).map((row) => JSON.parse(row["record"] as string) as RunRecord);
  }

  /** Whether enough came since the last time for `prune` to be worth its while. */
  get isPruneDue(): boolean {
    return this.#callsSincePrune > keptCalls / 2 || this.#bytesSincePrune > keptResultBytes / 4;
  }

  /** Forgets all but the newest calls, and the results of older ones where they take much, and returns the ids of those forgotten. */
  prune(): RunId[] {
    this.#callsSincePrune = 0;
    this.#bytesSincePrune = 0;
    this.#database
      .prepare(
        `UPDATE run SET result = NULL, itemsBody = NULL WHERE id IN (SELECT id FROM
           (SELECT id, sum(coalesce(length(result), 0) + coalesce(length(itemsBody), 0)) OVER (ORDER BY id DESC) AS bytes
              FROM run WHERE result IS NOT NULL OR itemsBody IS NOT NULL) WHERE bytes > ?)`,
      )
      .run(keptResultBytes);
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
    this.#saveLive();
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
    const written: Unwritten[] = [];
    try {
      this.#database.exec("BEGIN");
      for (const unwritten of this.#unwritten.values()) {
        if (left-- <= 0) break;
        this.#writeOne(unwritten);
        written.push(unwritten);
      }
      this.#database.exec("COMMIT");
    } catch {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      return false;
    }
    for (const { record, result, asked } of written) {
      this.#unwritten.delete(record.id);
      this.#bytesSincePrune += (result?.body?.byteLength ?? 0) + (result?.itemsBody?.byteLength ?? 0);
      if (asked) asked.requestStored = true;
    }
    return true;
  }

  #writeOne({ record, result, asked }: Unwritten): void {
    const request = asked && !asked.requestStored ? asked.request : undefined;
    this.#upsert.run(
      record.id,
      JSON.stringify(record),
      result ? Number(result.ok) : null,
      result?.body ?? null,
      result?.items ?? null,
      result?.itemsBody ?? null,
      request?.module ?? null,
      request?.export ?? null,
      request?.timeoutMs ?? null,
      request?.args ?? null,
    );
  }

  close(): void {
    this.flush();
    clearTimeout(this.#timer);
    clearTimeout(this.#lastingTimer);
    if (this.#database.isOpen) this.#database.close();
  }
}

function addColumns(database: DatabaseSync): void {
  const names = new Set(
    database
      .prepare("SELECT name FROM pragma_table_info('run')")
      .all()
      .map((row) => row["name"]),
  );
  for (const [name, type] of Object.entries(addedColumns)) {
    if (!names.has(name)) database.exec(`ALTER TABLE run ADD COLUMN "${name}" ${type}`);
  }
}

/** Calls that were running when the last agent died are running no more, nor is the part of another cluster's map. */
function endLeftOver(database: DatabaseSync): void {
  const error: Failure = { code: "worker.killed", message: "The agent ended while the call was running." };
  database
    .prepare(
      `UPDATE run SET record = json_set(record, '$.state', 'failed', '$.endedAtMs', ?, '$.active', 0, '$.done', 1,
         '$.failed', 1, '$.error', json(?))
       WHERE json_extract(record, '$.kind') = 'call' AND json_extract(record, '$.state') = 'running'`,
    )
    .run(Date.now(), JSON.stringify(error));
  database
    .prepare(
      `UPDATE run SET record = json_set(record, '$.state', 'done', '$.endedAtMs', ?, '$.active', 0, '$.replicas', 0)
       WHERE json_extract(record, '$.home') IS NOT NULL AND json_extract(record, '$.state') = 'running'`,
    )
    .run(Date.now());
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
