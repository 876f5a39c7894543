/** The records of jobs: kept here as the stream has them, changed only from what they were. */
import { FarcallError } from "../../spec/errors.ts";
import type { RunId } from "../../spec/names.ts";
import type { JobSpec, JobState } from "../mapQueue.ts";
import type { Connection } from "./connection.ts";
import { asQueueError, failureOf } from "./failures.ts";
import type { Pulls } from "./pulls.ts";
import { lastOf } from "./store.ts";
import { newNonce, streams, subjects } from "./streams.ts";
import { Tail } from "./tail.ts";

export interface StoredJob extends JobSpec {
  key: string;
  state: JobState;
  revision: number;
  total: number | undefined;
  note: string | undefined;
}

interface Entry {
  /** In the stream; 0 for a job that it never had. */
  sequence: number;
  /** Undefined for a job that does not exist, or not any more. */
  job: StoredJob | undefined;
  nonce: string;
}

/** The broker takes 1 MiB. */
const maxRecordBytes = 900 * 1024;
/** How long a job that was deleted is remembered, for those who were not connected then. */
const deletedForS = 7 * 24 * 3_600;
const conflictPauseMs = 20;

export class Records {
  readonly #connection: Connection;
  readonly #pulls: Pulls;
  readonly #onChange: (id: RunId, job: StoredJob | undefined) => void;
  readonly #onBroken: () => Promise<void>;
  #entries = new Map<RunId, Entry>();
  #tail: Tail;

  constructor(
    connection: Connection,
    pulls: Pulls,
    onChange: (id: RunId, job: StoredJob | undefined) => void,
    onBroken: () => Promise<void>,
  ) {
    this.#connection = connection;
    this.#pulls = pulls;
    this.#onChange = onChange;
    this.#onBroken = onBroken;
    this.#tail = this.#follow(this.#entries);
  }

  get loaded(): Promise<void> {
    return this.#tail.caughtUp;
  }

  all(): StoredJob[] {
    return [...this.#entries.values()].flatMap(({ job }) => job ?? []);
  }

  /** As known here, else as the broker has it. */
  async get(id: RunId): Promise<StoredJob | undefined> {
    return (this.#entries.get(id)?.job ? this.#entries.get(id)! : await this.refresh(id)).job;
  }

  known(id: RunId): StoredJob | undefined {
    return this.#entries.get(id)?.job;
  }

  async need(id: RunId): Promise<StoredJob> {
    const job = await this.get(id);
    if (!job) throw new FarcallError("run.unknown", `There is no run ${id} in the queue.`);
    return job;
  }

  async refresh(id: RunId): Promise<Entry> {
    const before = this.#entries.get(id);
    const message = await lastOf(this.#connection, streams.jobs, subjects.job(id)).catch((error: unknown) => {
      throw asQueueError(error);
    });
    if (message) return this.#apply(id, read(id, message.seq, message.data));
    // Also what said that the job was deleted is gone by now; but somebody may have made it since.
    if (this.#entries.get(id) !== before) return this.#entries.get(id) ?? absent;
    this.#entries.delete(id);
    return this.#apply(id, absent);
  }

  /**
   * Replaces a record by what `change` makes of it, if nobody else did meanwhile; otherwise `change` is asked
   * again. It returns undefined to leave things as they are, and throws to refuse; a refusal that comes of
   * knowing an old record only is asked again, too.
   */
  async change(
    id: RunId,
    change: (job: StoredJob | undefined) => StoredJob | "deleted" | undefined,
  ): Promise<StoredJob | undefined> {
    for (let entry = this.#entries.get(id) ?? (await this.refresh(id)); ;) {
      let next: StoredJob | "deleted" | undefined;
      try {
        next = change(entry.job);
      } catch (refusal) {
        const fresh = await this.refresh(id);
        if (fresh.sequence === entry.sequence) throw refusal;
        entry = fresh;
        continue;
      }
      if (next === undefined) return entry.job;
      const stored = await this.#replace(id, entry.sequence, next === "deleted" ? undefined : next);
      if (stored) return stored.job;
      entry = await this.refresh(id);
    }
  }

  /** Reads everything anew, into a store that may have another beginning. */
  async reload(): Promise<void> {
    const entries = new Map<RunId, Entry>();
    const tail = this.#follow(entries);
    await tail.caughtUp;
    this.#tail.close();
    const before = this.#entries;
    this.#entries = entries;
    this.#tail = tail;
    for (const id of new Set([...before.keys(), ...entries.keys()])) this.#onChange(id, entries.get(id)?.job);
  }

  close(): void {
    this.#tail.close();
  }

  #follow(entries: Map<RunId, Entry>): Tail {
    return new Tail(
      this.#connection,
      this.#pulls,
      { stream: streams.jobs, filters: [subjects.job(">")], newest: true },
      ({ subject, sequence, data }) => {
        const id = subject.slice(subjects.job("").length);
        if (entries === this.#entries) this.#apply(id, read(id, sequence, data));
        else entries.set(id, read(id, sequence, data));
      },
      this.#onBroken,
    );
  }

  async #replace(id: RunId, sequence: number, job: StoredJob | undefined): Promise<Entry | undefined> {
    const nonce = newNonce();
    const data = job ? JSON.stringify({ ...job, nonce }) : "";
    // A job must be able to end, whatever is said of that.
    if (data.length - (job?.note?.length ?? 0) > maxRecordBytes) {
      throw new FarcallError("value.too-large", `The description of run ${id} is ${data.length} bytes.`, {
        hint: `A run on more than one node may be described by ${maxRecordBytes} bytes.`,
      });
    }
    const { publisher } = this.#connection;
    const expect = { lastSubjectSequence: sequence };
    const ttl = job ? {} : { ttl: `${deletedForS}s` };
    try {
      const { seq } = await this.#connection.persist(() =>
        publisher.publish(subjects.job(id), data, { expect, ...ttl }),
      );
      return this.#apply(id, { sequence: seq, job, nonce });
    } catch (error) {
      if (failureOf(error) !== "guard") throw asQueueError(error);
    }
    // Somebody else's, or our own when its answer was lost.
    const there = await this.refresh(id);
    if (there.sequence > sequence && (job ? there.nonce === nonce : there.job === undefined)) return there;
    await this.#connection.pause(conflictPauseMs);
    return undefined;
  }

  #apply(id: RunId, entry: Entry): Entry {
    const before = this.#entries.get(id);
    if (before && before.sequence >= entry.sequence) return before;
    this.#entries.set(id, entry);
    if (before?.job || entry.job) this.#onChange(id, entry.job);
    return entry;
  }
}

const absent: Entry = { sequence: 0, job: undefined, nonce: "" };

function read(id: RunId, sequence: number, data: Uint8Array): Entry {
  if (data.byteLength === 0) return { sequence, job: undefined, nonce: "" };
  const { nonce, ...job } = JSON.parse(new TextDecoder().decode(data)) as Omit<StoredJob, "total" | "note"> & {
    total?: number;
    note?: string;
    nonce: string;
  };
  return { sequence, job: { ...job, id, total: job.total, note: job.note }, nonce };
}
