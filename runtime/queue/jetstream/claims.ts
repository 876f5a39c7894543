/**
 * Claims on one job. They stand in line; rounds give them what there is, children before fresh inputs, so that what
 * was cut off or given back does not wait for the whole map. When a round found nothing, one message of each kind is
 * waited for, and the next round takes what came with it.
 *
 * What arrives when nobody is in line goes back to the broker at once.
 */
import type { Msg } from "@nats-io/transport-node";
import type { FarcallError } from "../../spec/errors.ts";
import type { ClaimOptions } from "../mapQueue.ts";
import type { PullEnd, PullRequest } from "./pulls.ts";

interface Claim<T> {
  max: number;
  leases: T[];
  /** No longer waits: answered after the round that began after it came. */
  impatient: boolean;
  rounds: number;
  answer: (leases: T[]) => void;
  fail: (error: FarcallError) => void;
}

export interface ClaimsHost<T> {
  /** Names of the consumers, those asked first before the others. */
  consumers: readonly string[];
  /** False while nothing may be leased. */
  isRunning(): boolean;
  pull(request: Omit<PullRequest, "stream">, onMessage: (message: Msg) => void, onEnd: (end: PullEnd) => void): void;
  /** What a message would lease; undefined for one that is not to be leased, which this has seen to. */
  take(message: Msg): Promise<T | undefined>;
  /** Somebody has it from now on. */
  leased(lease: T): void;
  giveBack(message: Msg): void;
  /** A consumer does not answer. Waits a moment, and makes it again if it is missing; false when the job has ended. */
  repair(): Promise<boolean>;
  /** Nothing came for this long, though claims waited. */
  starvedMs: number;
  /** Sees whether the consumers hold something back, and makes them anew if they do. Throws what claims are to be told. */
  unblock(): Promise<void>;
}

const longestTimerMs = 2 ** 31 - 1;
const longestWaitMs = 5_000;
/** Claims that follow each other so closely have waited together. */
const betweenClaimsMs = 1_000;
/** So many of the largest chunks fit into what the broker sends a client at most. */
const maxBatch = 64;
const maxBytes = 8 * 1024 * 1024;

export class Claims<T> {
  readonly #host: ClaimsHost<T>;
  readonly #line: Claim<T>[] = [];
  /** When the pull that waits for one message ends, for each consumer that has one. */
  readonly #waiting = new Set<string>();
  #running = false;
  #closed = false;
  #wake: (() => void) | undefined;
  /** Messages that are being made leases of, in the order in which they came. */
  #taking: Promise<{ message: Msg; lease: T | undefined }>[] = [];
  #broken = false;
  /** Since when claims have waited for a message, on the monotonic clock. */
  #hungrySinceMs: number | undefined;
  /** When the last claim was answered. */
  #restingSinceMs = 0;

  constructor(host: ClaimsHost<T>) {
    this.#host = host;
  }

  claim({ max, waitMs, signal }: ClaimOptions): Promise<T[]> {
    if (this.#closed || signal?.aborted || max < 1) return Promise.resolve([]);
    return new Promise<T[]>((resolve, reject) => {
      const stopWaiting = (): void => {
        claim.impatient = true;
        this.nudge();
      };
      const abort = (): void => {
        if (claim.leases.length === 0) claim.answer([]);
      };
      const timer = waitMs > 0 ? setTimeout(stopWaiting, Math.min(waitMs, longestTimerMs)) : undefined;
      const claim: Claim<T> = {
        max,
        leases: [],
        impatient: waitMs <= 0,
        rounds: 0,
        answer: (leases) => {
          leave();
          resolve(leases);
        },
        fail: (error) => {
          leave();
          reject(error);
        },
      };
      const leave = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        const at = this.#line.indexOf(claim);
        if (at >= 0) this.#line.splice(at, 1);
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#line.push(claim);
      if (this.#running) this.nudge();
      else void this.#run();
    });
  }

  /** Something changed that claims may be waiting for. */
  nudge(): void {
    this.#wake?.();
  }

  /** Answers every claim with what it has. */
  close(): void {
    this.#closed = true;
    for (const claim of this.#line.slice()) claim.answer(claim.leases);
    this.nudge();
  }

  /** A message of a pull that is over by now, or of one of this class. */
  readonly arrived = (message: Msg): void => {
    this.#hungrySinceMs = undefined;
    if (this.#closed || this.#line.length === 0 || !this.#host.isRunning()) return this.#host.giveBack(message);
    this.#taking.push(this.#take(message));
    this.nudge();
  };

  async #run(): Promise<void> {
    this.#running = true;
    if (performance.now() - this.#restingSinceMs > betweenClaimsMs) this.#hungrySinceMs = undefined;
    while (this.#line.length > 0 && !this.#closed) {
      await this.#round();
      if (this.#broken) {
        this.#broken = false;
        if (!(await this.#host.repair())) break;
      } else if (this.#line.length > 0 && !this.#line.some((claim) => claim.rounds === 0 || claim.impatient)) {
        this.#hungrySinceMs ??= performance.now();
        await this.#wait();
        await this.#unblock();
      }
    }
    this.#restingSinceMs = performance.now();
    this.#running = false;
    await this.#settleTaken();
    for (const claim of this.#line.slice()) claim.answer(claim.leases);
  }

  async #round(): Promise<void> {
    const served = [...this.#line];
    if (this.#host.isRunning()) {
      for (const consumer of this.#host.consumers) {
        await this.#settleTaken();
        const wanted = this.#line.reduce((sum, { max, leases }) => sum + max - leases.length, 0);
        if (wanted > 0) await this.#pullReady(consumer, Math.min(wanted, maxBatch));
      }
    }
    await this.#settleTaken();
    for (const claim of served) {
      claim.rounds++;
      if (claim.leases.length > 0 || claim.impatient) claim.answer(claim.leases);
    }
  }

  async #pullReady(consumer: string, batch: number): Promise<void> {
    const request = { consumer, batch, maxBytes, waitMs: 0, onlyReady: true };
    const end = await new Promise<PullEnd>((resolve) => this.#host.pull(request, this.arrived, resolve));
    if (end !== "done") this.#broken = true;
  }

  /** Waits for a message, a claim that comes or goes, or a change of the job. */
  async #wait(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (!this.#host.isRunning()) return;
      for (const consumer of this.#host.consumers) {
        if (this.#waiting.has(consumer)) continue;
        this.#waiting.add(consumer);
        const request = { consumer, batch: 1, waitMs: longestWaitMs, onlyReady: false };
        this.#host.pull(request, this.arrived, (end) => {
          this.#waiting.delete(consumer);
          if (end !== "done") this.#broken = true;
          this.nudge();
        });
      }
    });
    this.#wake = undefined;
  }

  async #unblock(): Promise<void> {
    if (!this.#host.isRunning()) this.#hungrySinceMs = undefined;
    if (performance.now() - (this.#hungrySinceMs ?? Infinity) < this.#host.starvedMs) return;
    this.#hungrySinceMs = undefined;
    try {
      await this.#host.unblock();
    } catch (error) {
      for (const claim of this.#line.slice()) claim.fail(error as FarcallError);
    }
  }

  async #settleTaken(): Promise<void> {
    while (this.#taking.length > 0) {
      for (const { message, lease } of await Promise.all(this.#taking.splice(0))) {
        if (lease !== undefined) this.#assign(message, lease);
      }
    }
  }

  async #take(message: Msg): Promise<{ message: Msg; lease: T | undefined }> {
    return { message, lease: await this.#host.take(message) };
  }

  #assign(message: Msg, lease: T): void {
    const claim = this.#line.find(({ max, leases }) => leases.length < max);
    if (!claim || !this.#host.isRunning()) return this.#host.giveBack(message);
    claim.leases.push(lease);
    this.#host.leased(lease);
  }
}
