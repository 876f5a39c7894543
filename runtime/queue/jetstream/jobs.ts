/**
 * The jobs that this process knows: their records, and for those that run or were asked about, index and claims.
 */
import type { Msg } from "@nats-io/transport-node";
import type { RunId } from "../../spec/names.ts";
import type { Lease } from "../mapQueue.ts";
import { Claims } from "./claims.ts";
import type { Connection } from "./connection.ts";
import { ensureConsumers, removeStuck } from "./consumers.ts";
import { Deliveries } from "./deliveries.ts";
import { Epoch } from "./epoch.ts";
import { failureOf } from "./failures.ts";
import { Job } from "./job.ts";
import { consumerNames, keyOfConsumer, Leases } from "./leases.ts";
import { Listeners } from "./listeners.ts";
import { OutcomeBodies } from "./outcomeBodies.ts";
import { Pulls } from "./pulls.ts";
import { hasEnded } from "../jobState.ts";
import { Records, type StoredJob } from "./records.ts";
import { ensureStreams, type StreamOptions, streams } from "./streams.ts";
import { removeOutcomes, removeWork, sweepWork } from "./sweep.ts";
import { parseDelivery } from "./work.ts";
import { isWorkLost, workLost } from "./workLoss.ts";
import { WorkMeter } from "./workMeter.ts";

interface Open {
  job: Job;
  claims: Claims<Lease>;
  /** How many wait for what is stored of it. */
  loading: number;
}

/** Jobs that ended and are kept at hand, because somebody looks at them. */
const maxEndedOpen = 32;
const repairPauseMs = 200;
/** What was on its way when a job ended has arrived by then. */
const sweepAfterMs = 10_000;

export class Jobs {
  readonly records: Records;
  readonly leases: Leases;
  readonly deliveries: Deliveries;
  readonly bodies: OutcomeBodies;
  readonly meter: WorkMeter;
  readonly epoch: Epoch;
  readonly #connection: Connection;
  readonly #leaseMs: number;
  readonly #pulls: Pulls;
  readonly #listeners = new Listeners();
  /** By key; the one that was asked about last at the end. */
  readonly #open = new Map<string, Open>();
  #sweepTimer: NodeJS.Timeout | undefined;

  static async open(connection: Connection, leaseMs: number, streamOptions: StreamOptions): Promise<Jobs> {
    const epoch = await ensureStreams(connection, streamOptions);
    const jobs = new Jobs(connection, leaseMs, streamOptions, epoch);
    await jobs.records.loaded;
    jobs.#sweepSoon();
    return jobs;
  }

  private constructor(connection: Connection, leaseMs: number, streamOptions: StreamOptions, epoch: string) {
    this.#connection = connection;
    this.#leaseMs = leaseMs;
    this.epoch = new Epoch(connection, streamOptions, epoch, () => this.#reload());
    this.leases = new Leases(leaseMs);
    this.deliveries = new Deliveries(connection, this.leases, leaseMs);
    this.bodies = new OutcomeBodies(connection);
    this.meter = new WorkMeter(connection, streamOptions.workBytes);
    this.#pulls = new Pulls(connection, (message) => this.#stray(message));
    this.records = new Records(
      connection,
      this.#pulls,
      (id, record) => this.#recordChanged(id, record),
      () => this.epoch.check(),
    );
  }

  /** Throws `run.unknown` for a job that does not exist. */
  async need(id: RunId): Promise<Open & { record: StoredJob }> {
    const record = await this.records.need(id);
    return { record, ...(await this.open(record)) };
  }

  /** The job with all that was stored of it when this was called first. */
  async open(record: StoredJob): Promise<Open> {
    const open = this.#openNow(record);
    open.loading++;
    try {
      await open.job.loaded;
      return open;
    } finally {
      open.loading--;
    }
  }

  ensureConsumers(key: string): Promise<void> {
    return ensureConsumers(this.#connection, key, this.#leaseMs);
  }

  /** Drops the work of a job that has ended. If this fails it is done later, by whoever sweeps. */
  async removeWork(key: string): Promise<void> {
    await removeWork(this.#connection, key).catch(() => undefined);
    this.#sweepSoon();
  }

  removeOutcomes(key: string): Promise<void> {
    return removeOutcomes(this.#connection, key);
  }

  onChange(callback: (job: RunId) => void): () => void {
    return this.#listeners.add(callback);
  }

  changed(id: RunId): void {
    this.#listeners.changed(id);
  }

  nudge(id: RunId): void {
    const record = this.records.known(id);
    if (record) this.#open.get(record.key)?.claims.nudge();
  }

  endClaims(): void {
    for (const { claims } of this.#open.values()) claims.close();
  }

  /** Gives back what is leased, and asks for nothing any more. */
  close(): void {
    clearTimeout(this.#sweepTimer);
    this.endClaims();
    for (const ackSubject of this.leases.ackSubjects()) this.deliveries.giveBack(ackSubject);
    this.#connection.stop();
    for (const { job } of this.#open.values()) job.close();
    this.records.close();
    this.#pulls.close();
  }

  #openNow(record: StoredJob): Open {
    const known = this.#open.get(record.key);
    if (known) {
      this.#open.delete(record.key);
      this.#open.set(record.key, known);
      return known;
    }
    const { id, key } = record;
    const job = new Job(
      record,
      this.#connection,
      this.#pulls,
      () => this.changed(id),
      () => this.epoch.check(),
    );
    const { children, fresh } = consumerNames(key);
    const claims = new Claims<Lease>({
      consumers: [children, fresh],
      isRunning: () => this.#isCurrent(id, key)?.state === "run",
      pull: (request, onMessage, onEnd) => this.#pulls.pull({ ...request, stream: streams.work }, onMessage, onEnd),
      take: (message) => this.deliveries.take(job, message),
      leased: (lease) => this.deliveries.leased(lease),
      giveBack: (message) => this.deliveries.giveBack(message.reply!),
      repair: () => this.#repair(id, key),
      starvedMs: 2 * this.#leaseMs,
      unblock: () => this.#unblock(job),
    });
    const open = { job, claims, loading: 0 };
    this.#open.set(key, open);
    this.#closeOld();
    return open;
  }

  #isCurrent(id: RunId, key: string): StoredJob | undefined {
    const record = this.records.known(id);
    return record?.key === key ? record : undefined;
  }

  #closeOld(): void {
    const ended = [...this.#open].filter(([key, { job, loading }]) => {
      const record = this.#isCurrent(job.id, key);
      return loading === 0 && (!record || hasEnded(record));
    });
    for (const [key, { job, claims }] of ended.slice(0, -maxEndedOpen)) this.#close(key, job, claims);
  }

  #close(key: string, job: Job, claims: Claims<Lease>): void {
    this.#open.delete(key);
    claims.close();
    job.close();
    this.leases.forget(key);
  }

  /** Somebody changed, made or deleted a job. */
  #recordChanged(id: RunId, record: StoredJob | undefined): void {
    for (const [key, { job, claims }] of this.#open) {
      if (job.id !== id) continue;
      if (record?.key !== key) this.#close(key, job, claims);
      else if (hasEnded(record)) claims.close();
      else claims.nudge();
    }
    // What runs is followed from the beginning, so that its changes are told.
    if (record && !hasEnded(record)) this.#openNow(record);
    this.changed(id);
  }

  #stray(message: Msg): void {
    const { stream, consumer } = parseDelivery(message.reply!);
    if (stream !== streams.work) return;
    const open = this.#open.get(keyOfConsumer(consumer));
    if (open) open.claims.arrived(message);
    else this.deliveries.giveBack(message.reply!);
  }

  async #repair(id: RunId, key: string): Promise<boolean> {
    await this.#connection.pause(repairPauseMs);
    try {
      await this.records.refresh(id);
      const record = this.#isCurrent(id, key);
      if (!record || hasEnded(record)) return false;
      await this.ensureConsumers(key);
    } catch (error) {
      if (failureOf(error) === "closed" || this.#connection.signal.aborted) return false;
      if (failureOf(error) === "no-stream") await this.epoch.check();
    }
    return true;
  }

  async #reload(): Promise<void> {
    await this.records.reload();
    await Promise.all([...this.#open.values()].map(({ job }) => job.reload()));
    for (const { job } of this.#open.values()) this.changed(job.id);
  }

  async #unblock(job: Job): Promise<void> {
    let isLost = false;
    try {
      if (await removeStuck(this.#connection, job.key)) await this.ensureConsumers(job.key);
      else isLost = await isWorkLost(this.#connection, job);
    } catch {
      // What is missing now is made by the next claim.
    }
    if (isLost) throw workLost(job.id);
  }

  #sweepSoon(): void {
    clearTimeout(this.#sweepTimer);
    if (this.#connection.signal.aborted) return;
    this.#sweepTimer = setTimeout(() => void this.#sweep(), sweepAfterMs).unref();
  }

  async #sweep(): Promise<void> {
    const isLive = async (id: RunId, key: string): Promise<boolean> => {
      await this.records.refresh(id);
      const record = this.#isCurrent(id, key);
      return record !== undefined && !hasEnded(record);
    };
    // What is left over now is found the next time.
    await sweepWork(this.#connection, isLive).catch(() => undefined);
  }
}
