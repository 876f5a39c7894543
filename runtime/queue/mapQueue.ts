import type { RunId } from "../spec/names.ts";

/**
 * What holds a map's inputs and outcomes: the port. SQLite stands behind it on a cluster of one node, a
 * distributed engine on more; nothing outside the two adapters may know which.
 *
 * A job is one map. Its inputs arrive as chunks, runs of neighbouring inputs. An agent leases a chunk, works
 * it, and settles it with the outcomes of some or all of its inputs and, for the inputs that have none yet,
 * child chunks that take the place of the chunk. Inputs may run more than once; a chunk is settled once:
 * whoever settles first wins, and everybody else is told `already`.
 */
export interface MapQueue {
  /** Makes a job, or returns the one that has this id. */
  createJob(spec: JobSpec): Promise<JobRecord>;

  /**
   * Stores chunks; resolves when they would survive the death of this process. Idempotent by the first index
   * of a chunk: one that is stored, or was and is settled, is left alone.
   * Throws `queue.back-pressure` (retryable) while too much work is waiting, `disk.full` when nothing fits,
   * and `run.state` when the job's input is closed or the job has ended.
   */
  addChunks(job: RunId, chunks: readonly NewChunk[]): Promise<void>;

  /** The chunks that were stored with a first index of `from` or more, lowest first, at most `limit`. */
  storedFrom(job: RunId, from: number, limit: number): Promise<{ lo: number; count: number }[]>;

  /** No input follows: the job has `total` of them. */
  closeInput(job: RunId, total: number): Promise<void>;

  /**
   * Moves the job to another state if its revision is still `revision`, and returns the new revision; throws
   * `run.state` otherwise. A job that ended never changes again. Ending a job drops the work it still has
   * and keeps its outcomes; what another process settles in that moment may still become one. A `note` stays with
   * the job, for those who ask later why it is so.
   */
  setState(job: RunId, to: JobState, revision: number, note?: string): Promise<number>;

  /**
   * Leases up to `max` chunks, which need not be all there are. Children and chunks given back come before chunks
   * that were not worked yet, and those of one `addChunks` lowest first index first. Waits up to `waitMs` for the
   * first one and returns an empty list when none came or `signal` aborted before one did. Paused jobs lease nothing.
   */
  claim(job: RunId, options: ClaimOptions): Promise<Lease[]>;

  /** Pushes the deadline of a lease out by its full length; false when the lease is no longer held. */
  extend(lease: Lease): Promise<boolean>;

  /** Gives a chunk back unworked; it may be leased again after `delayMs`. */
  release(lease: Lease, delayMs: number): Promise<void>;

  /**
   * Stores what became of a leased chunk and takes it out of the work, in one step. `results` and `children`
   * together must cover the chunk, without overlap, and the body of a child is what `slicePack` cuts out of the
   * chunk's: whoever finds that a queue lost a child makes it again.
   */
  settle(lease: Lease, settlement: Settlement): Promise<"stored" | "already">;

  /** Outcomes, a page at a time. See `OutcomeQuery`. */
  outcomes(job: RunId, query: OutcomeQuery): Promise<OutcomePage>;

  counts(job: RunId): Promise<JobCounts>;

  /** How many of the job's outcomes were stored in whose name, for settlements that said so. */
  credits(job: RunId): Promise<Credit[]>;

  job(job: RunId): Promise<JobRecord | undefined>;

  /** Where a job stands. Unlike for its whole record, nothing is read for that. */
  head(job: RunId): Promise<JobHead | undefined>;

  /** All jobs, oldest first. */
  jobs(): Promise<JobHead[]>;

  /** Forgets an ended job and its outcomes. */
  deleteJob(job: RunId): Promise<void>;

  /** Calls back, soon after, when a job's work, outcomes or state changed; returns what stops it. */
  onChange(callback: (job: RunId) => void): () => void;

  close(): Promise<void>;
}

/** The part of a queue that whoever works a job needs. */
export type WorkSource = Pick<MapQueue, "claim" | "extend" | "release" | "settle">;

/** `run` and `pause` may follow one another; the other three are final. */
export type JobState = "run" | "pause" | "done" | "failed" | "cancelled";

export interface JobSpec {
  /** Made by the client, so that creating is idempotent. */
  id: RunId;
  /** What the agent needs to work the job, opaque to the queue. */
  spec: string;
  createdAtMs: number;
}

export interface JobHead {
  id: RunId;
  createdAtMs: number;
  state: JobState;
  /** Raised by one at every change of state. */
  revision: number;
  /** Number of inputs, once the input is closed. */
  total: number | undefined;
}

export interface JobRecord extends JobHead, JobSpec {
  /** Inputs stored so far, counted without gaps from index 0: where a client that comes back goes on. */
  accepted: number;
  /** What whoever set the state had to say of it, if anything. */
  note: string | undefined;
}

export interface NewChunk {
  /** Index of the chunk's first input. */
  lo: number;
  /** Number of inputs. */
  count: number;
  /** The inputs, as `packValues` makes them. */
  body: Uint8Array;
  /** How many workers died over these inputs. Default 0. */
  deaths?: number;
}

export interface Chunk extends NewChunk {
  deaths: number;
}

export interface Lease {
  job: RunId;
  chunk: Chunk;
  /** How often this chunk has been leased, this time included. */
  attempt: number;
  /** Names this lease among all leases of the chunk. */
  token: string;
  deadlineMs: number;
}

export interface ClaimOptions {
  max: number;
  waitMs: number;
  signal?: AbortSignal;
}

/** Outcomes of neighbouring inputs. */
export interface ResultRange {
  lo: number;
  count: number;
  errors: number;
  /** As `packOutcomes` makes them. */
  body: Uint8Array;
}

export interface Settlement {
  results: readonly ResultRange[];
  children: readonly NewChunk[];
  /** In whose name the outcomes are stored; opaque to the queue. Default: nobody's. */
  by?: string;
}

/** Inputs with an outcome that was stored in somebody's name, and those of them whose outcome is an error. */
export interface Credit {
  by: string;
  settled: number;
  errors: number;
}

export interface OutcomeQuery {
  /**
   * `index`: ranges from the one that holds index `from` on, lowest first. `settled`: ranges whose sequence
   * number is above `from`, in the order in which they were settled.
   */
  order: "index" | "settled";
  from: number;
  /** Most ranges on the page. */
  limit: number;
  /** Ranges are added until their bodies reach this many bytes; one range is always returned if there is one. */
  limitBytes: number;
  /** Only ranges that hold an error. */
  errorsOnly?: boolean;
}

export interface OutcomeRecord extends ResultRange {
  /** Rises with every range stored, within one epoch. */
  sequence: number;
}

export interface OutcomePage {
  ranges: OutcomeRecord[];
  /** Changes when the store may have lost its newest outcomes, so that sequence numbers mean nothing any more. */
  epoch: string;
}

/** May lag behind other processes by a second. `pending + leased` is 0 when all that was accepted is settled. */
export interface JobCounts {
  /** Inputs waiting to be leased, or leased by another process. */
  pending: number;
  /** Inputs leased by this process and not settled. */
  leased: number;
  /** Inputs with an outcome. */
  settled: number;
  /** Inputs whose outcome is an error. */
  errors: number;
}
