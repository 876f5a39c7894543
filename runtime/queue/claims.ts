/**
 * Claims, and those that wait for work. A claim runs as a write; when it finds nothing it waits in line, and
 * after every batch as many are tried again, oldest first, as their job has chunks ready. As this looks at the
 * chunks and not at who was woken before, a claim that is aborted after it was woken takes no turn away.
 */
import type { ClaimOptions, Lease } from "./mapQueue.ts";
import { hasEnded } from "./jobState.ts";
import type { Job } from "./sqliteJobs.ts";
import type { TakenChunk } from "./sqliteWork.ts";
import type { WriteBatch } from "./writeBatch.ts";

interface Claim {
  job: Job;
  max: number;
  /** It no longer waits: it is answered, or takes what there is when its write runs. */
  over: boolean;
  answer: (leases: Lease[]) => void;
  fail: (error: Error) => void;
}

const longestTimerMs = 2 ** 31 - 1;

export class Claims {
  readonly #batch: WriteBatch;
  readonly #take: (job: Job, max: number) => TakenChunk[];
  readonly #lease: (taken: TakenChunk) => Lease;
  readonly #waiting = new Map<Job, Set<Claim>>();
  readonly #open = new Set<Claim>();

  /** `take` runs inside a transaction, `lease` after its commit. */
  constructor(batch: WriteBatch, take: (job: Job, max: number) => TakenChunk[], lease: (taken: TakenChunk) => Lease) {
    this.#batch = batch;
    this.#take = take;
    this.#lease = lease;
  }

  claim(job: Job, { max, waitMs, signal }: ClaimOptions): Promise<Lease[]> {
    if (signal?.aborted || max < 1) return Promise.resolve([]);
    return new Promise<Lease[]>((resolve, reject) => {
      const stopWaiting = (): void => {
        claim.over = true;
        if (this.#leaveLine(claim)) claim.answer([]);
      };
      const abort = (): void => {
        this.#leaveLine(claim);
        claim.answer([]);
      };
      const timer = waitMs > 0 ? setTimeout(stopWaiting, Math.min(waitMs, longestTimerMs)) : undefined;
      const close = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        this.#open.delete(claim);
        claim.over = true;
      };
      const claim: Claim = {
        job,
        max,
        over: waitMs <= 0,
        answer: (leases) => {
          close();
          resolve(leases);
        },
        fail: (error) => {
          close();
          reject(error);
        },
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#open.add(claim);
      this.#submit(claim);
    });
  }

  /** To be called after every batch. */
  wake(): void {
    for (const [job, line] of this.#waiting) {
      if (hasEnded(job.tally)) {
        this.#waiting.delete(job);
        for (const claim of line) claim.answer([]);
        continue;
      }
      if (job.tally.state !== "run") continue;
      let { ready } = job.tally;
      for (const claim of line) {
        if (ready-- <= 0) break;
        this.#leaveLine(claim);
        this.#submit(claim);
      }
    }
  }

  /** Answers every claim with nothing. */
  close(): void {
    this.#waiting.clear();
    for (const claim of this.#open) claim.answer([]);
  }

  #submit(claim: Claim): void {
    this.#batch.add({
      work: () => (this.#open.has(claim) ? this.#take(claim.job, claim.max) : []),
      done: (taken) => {
        // Runs in the same turn as `work`, so nobody can have aborted the claim in between.
        if (!this.#open.has(claim)) return;
        if (taken.length > 0 || claim.over || hasEnded(claim.job.tally)) claim.answer(taken.map(this.#lease));
        else this.#enterLine(claim);
      },
      failed: claim.fail,
    });
  }

  #enterLine(claim: Claim): void {
    const line = this.#waiting.get(claim.job) ?? new Set();
    this.#waiting.set(claim.job, line.add(claim));
  }

  #leaveLine(claim: Claim): boolean {
    const line = this.#waiting.get(claim.job);
    if (!line?.delete(claim)) return false;
    if (line.size === 0) this.#waiting.delete(claim.job);
    return true;
  }
}
