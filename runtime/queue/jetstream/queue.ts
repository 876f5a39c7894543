/**
 * The queue of a cluster of more than one node: NATS JetStream. Any number of processes have it open at once and
 * know of each other only what is in the streams; see `streams` for those, and `settle` for why an input has one
 * outcome whatever happens to them.
 */
import type { RunId } from "../../spec/names.ts";
import { waitWithin } from "../../spec/waitWithin.ts";
import type * as port from "../mapQueue.ts";
import { checkChunks, checkSettlement } from "../settlement.ts";
import { accept } from "./accept.ts";
import { type BrokerAddress, Connection } from "./connection.ts";
import { asQueueError, closedError } from "./failures.ts";
import { giveBackWord } from "./deliveries.ts";
import type { Job } from "./job.ts";
import { Jobs } from "./jobs.ts";
import { checkDeletable, checkTakesInput, closed, moved } from "./jobRules.ts";
import { parseToken } from "./leases.ts";
import { readPage } from "./outcomePages.ts";
import { hasEnded } from "../jobState.ts";
import type { StoredJob } from "./records.ts";
import { storeSettlement } from "./settle.ts";
import { newNonce, type StreamOptions } from "./streams.ts";
import { makeKey } from "./sweep.ts";

export interface JetStreamQueueOptions extends BrokerAddress {
  /** How many seats hold each message: 3 where there are three. Default 1. Counts for streams that are made. */
  replicas?: 1 | 3;
  /** Milliseconds a lease holds without being extended. Default 30,000. */
  leaseMs?: number;
  /** Most bytes of inputs that may wait or be leased, over all jobs. Default 1 GiB. */
  maxPendingBytes?: number;
  /** Most bytes of outcomes. Default: no limit but the disk that the broker was given. */
  maxOutcomeBytes?: number;
  /** How long the broker itself knows a chunk again that is sent twice. Default 2 minutes. */
  duplicateWindowMs?: number;
}

const ackTimeoutMs = 2_000;
/** A chunk that was stored, or given back, a moment ago may not have reached the seat that hands it out. */
const lagMs = 100;
/** How long closing waits for what was asked for before. */
const closeMs = 3_000;

/** Bodies handed to this class must not be changed before the promise has settled. */
export class JetStreamQueue implements port.MapQueue {
  readonly #connection: Connection;
  readonly #jobs: Jobs;
  readonly #leaseMs: number;
  readonly #busy = new Set<Promise<unknown>>();
  #closed = false;

  /**
   * Connects, and makes the streams that are missing. Throws `agent.auth`, `agent.version` when the broker is too
   * old, and `connection.lost` (retryable) when it cannot be reached.
   */
  static async open(options: JetStreamQueueOptions): Promise<JetStreamQueue> {
    const { replicas = 1, leaseMs = 30_000, maxPendingBytes = 1024 ** 3, duplicateWindowMs = 120_000 } = options;
    const streamOptions: StreamOptions = {
      replicas,
      workBytes: maxPendingBytes,
      outcomeBytes: options.maxOutcomeBytes,
      duplicateWindowMs,
    };
    const connection = await Connection.open(options);
    try {
      return new JetStreamQueue(connection, await Jobs.open(connection, leaseMs, streamOptions), leaseMs);
    } catch (error) {
      await connection.close();
      throw asQueueError(error);
    }
  }

  private constructor(connection: Connection, jobs: Jobs, leaseMs: number) {
    this.#connection = connection;
    this.#jobs = jobs;
    this.#leaseMs = leaseMs;
  }

  async createJob(spec: port.JobSpec): Promise<port.JobRecord> {
    return this.#write(async () => {
      const fresh: StoredJob = {
        ...spec,
        key: makeKey(spec.id, newNonce()),
        state: "run",
        revision: 1,
        total: undefined,
        note: undefined,
      };
      const stored = await this.#jobs.records.change(spec.id, (job) => (job ? undefined : fresh));
      if (stored!.key === fresh.key) await this.#jobs.ensureConsumers(fresh.key);
      return this.#record(stored!);
    });
  }

  async addChunks(id: RunId, chunks: readonly port.NewChunk[]): Promise<void> {
    checkChunks(chunks);
    return this.#write(async () => {
      const { record, job } = await this.#jobs.need(id);
      checkTakesInput(record);
      await accept(this.#connection, this.#jobs.meter, job, chunks);
      this.#jobs.changed(id);
    });
  }

  async storedFrom(id: RunId, from: number, limit: number): Promise<{ lo: number; count: number }[]> {
    return this.#write(async () => {
      const { job } = await this.#jobs.need(id);
      await job.sync();
      return job.index.inputs.page(from, limit);
    });
  }

  async closeInput(id: RunId, total: number): Promise<void> {
    return this.#write(async () => {
      const { job } = await this.#jobs.need(id);
      if (job.index.accepted !== total || job.index.inputs.end !== total) await job.sync();
      await this.#jobs.records.change(id, (record) => closed(id, record, job.index, total));
    });
  }

  async setState(id: RunId, to: port.JobState, revision: number, note?: string): Promise<number> {
    return this.#write(async () => {
      const { job } = await this.#jobs.need(id);
      const change = this.#jobs.records.change(id, (record) => moved(id, record, { to, revision, note }));
      // What is asked for after this by the same process comes after it.
      if (hasEnded({ state: to })) job.ending = change.then(nothing, nothing);
      const record = await change;
      if (hasEnded(record!)) await this.#jobs.removeWork(job.key);
      return record!.revision;
    });
  }

  async claim(id: RunId, options: port.ClaimOptions): Promise<port.Lease[]> {
    this.#checkOpen();
    const { record, job, claims } = await this.#jobs.need(id);
    if (this.#closed || hasEnded(record)) return [];
    const { pending } = job.index.counts(this.#jobs.leases.countOf(job.key), false);
    return claims.claim(pending > 0 ? { ...options, waitMs: Math.max(options.waitMs, lagMs) } : options);
  }

  async extend(lease: port.Lease): Promise<boolean> {
    this.#checkOpen();
    const { leases, records } = this.#jobs;
    const { key, ackSubject } = parseToken(lease.token);
    const record = records.known(lease.job);
    if (record?.key !== key || hasEnded(record) || !leases.isHeld(lease)) return false;
    const askedAtMs = performance.now();
    const heard = await this.#tell(ackSubject, "+WPI");
    return heard ? leases.extend(lease, askedAtMs) : leases.isHeld(lease);
  }

  async release(lease: port.Lease, delayMs: number): Promise<void> {
    this.#checkOpen();
    const { ackSubject } = parseToken(lease.token);
    if (!this.#jobs.leases.drop(lease)) return;
    // Waits for the answer, so that a claim that comes next finds the chunk.
    await this.#write(() => this.#tell(ackSubject, giveBackWord(delayMs)));
    this.#jobs.nudge(lease.job);
  }

  async settle(lease: port.Lease, settlement: port.Settlement): Promise<"stored" | "already"> {
    checkSettlement(lease.chunk, settlement);
    return this.#write(async () => {
      const { leases, deliveries, records, bodies } = this.#jobs;
      const { key, depth, ackSubject } = parseToken(lease.token);
      const chunk = { lo: lease.chunk.lo, depth };
      const job = await this.#openJob(lease.job, key);
      await job?.ending;
      const record = records.known(lease.job);
      if (!job || record?.key !== key || hasEnded(record)) return "already";
      const became = await storeSettlement(this.#connection, bodies, job, lease, depth, settlement);
      deliveries.acknowledge(ackSubject);
      leases.settled(key, chunk);
      this.#jobs.changed(lease.job);
      return became;
    });
  }

  async outcomes(id: RunId, query: port.OutcomeQuery): Promise<port.OutcomePage> {
    this.#checkOpen();
    const { record, job } = await this.#jobs.need(id);
    if (hasEnded(record)) await job.whole(record);
    const epoch = this.#jobs.epoch.current;
    return { ranges: await readPage(job, this.#jobs.bodies, query), epoch };
  }

  async counts(id: RunId): Promise<port.JobCounts> {
    this.#checkOpen();
    const { record, job } = await this.#jobs.need(id);
    if (hasEnded(record)) await job.whole(record);
    return job.index.counts(this.#jobs.leases.countOf(job.key), hasEnded(record));
  }

  async credits(id: RunId): Promise<port.Credit[]> {
    this.#checkOpen();
    const { record, job } = await this.#jobs.need(id);
    if (hasEnded(record)) await job.whole(record);
    return job.index.credits();
  }

  async job(id: RunId): Promise<port.JobRecord | undefined> {
    this.#checkOpen();
    const record = await this.#jobs.records.get(id);
    return record && this.#record(record);
  }

  async head(id: RunId): Promise<port.JobHead | undefined> {
    this.#checkOpen();
    const record = await this.#jobs.records.get(id);
    return record && headOf(record);
  }

  async jobs(): Promise<port.JobHead[]> {
    this.#checkOpen();
    const records = this.#jobs.records.all().sort((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1));
    return records.map(headOf);
  }

  /** Forgetting a job that is unknown does nothing. Throws `run.state` for one that has not ended. */
  async deleteJob(id: RunId): Promise<void> {
    return this.#write(async () => {
      const { records } = this.#jobs;
      const record = await records.change(id, (known) => {
        if (known) checkDeletable(known);
        return undefined;
      });
      if (!record) return;
      // First what belongs to it: if this ends half way, the job is still there to be deleted.
      await this.#jobs.removeOutcomes(record.key);
      await records.change(id, (known) => (known?.key === record.key ? "deleted" : undefined));
    });
  }

  onChange(callback: (job: RunId) => void): () => void {
    return this.#jobs.onChange(callback);
  }

  /** Waits a while for what was asked for before, gives leases back, and answers waiting claims with nothing. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#jobs.endClaims();
    await waitWithin(closeMs, Promise.allSettled(this.#busy));
    this.#jobs.close();
    await this.#connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #openJob(id: RunId, key: string): Promise<Job | undefined> {
    const record = await this.#jobs.records.get(id);
    return record?.key === key && !hasEnded(record) ? (await this.#jobs.need(id)).job : undefined;
  }

  async #record(record: StoredJob): Promise<port.JobRecord> {
    const { spec, note } = record;
    const { job } = await this.#jobs.open(record);
    return { ...headOf(record), spec, accepted: job.index.accepted, note };
  }

  /** False when the broker did not answer; then it is unknown whether it heard. */
  async #tell(ackSubject: string, word: string): Promise<boolean> {
    try {
      const timeout = Math.min(ackTimeoutMs, Math.max(1, this.#leaseMs));
      await this.#connection.nats.request(ackSubject, word, { timeout });
      return true;
    } catch {
      return false;
    }
  }

  async #write<T>(work: () => Promise<T>): Promise<T> {
    this.#checkOpen();
    const writing = work();
    this.#busy.add(writing);
    try {
      return await writing;
    } catch (error) {
      throw asQueueError(error);
    } finally {
      this.#busy.delete(writing);
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError();
  }
}

function headOf({ id, createdAtMs, state, revision, total }: StoredJob): port.JobHead {
  return { id, createdAtMs, state, revision, total };
}

const nothing = (): void => undefined;
