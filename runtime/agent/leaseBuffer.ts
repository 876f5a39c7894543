import type { Lease, WorkSource } from "../queue/mapQueue.ts";
import type { RunId } from "../spec/names.ts";

export interface LeaseBufferHost {
  run: RunId;
  queue: WorkSource;
  /** No more is claimed. */
  stopped: AbortSignal;
  /** How many leases are to lie here now. */
  wanted: () => number;
  /** How many will come of chunks that are being split. */
  coming: () => number;
  /** Whether it takes a lease before it lies here. */
  takes: (lease: Lease) => boolean;
  onFilled: () => void;
  onFailed: (error: unknown) => void;
}

const claimWaitMs = 5_000;
const betweenClaimsMs = 20;

/** The chunks a map has at hand on this node, lowest first, so that no replica waits for the queue. */
export class LeaseBuffer {
  readonly #host: LeaseBufferHost;
  readonly #leases: Lease[] = [];
  #isClaiming = false;

  constructor(host: LeaseBufferHost) {
    this.#host = host;
  }

  get count(): number {
    return this.#leases.length;
  }

  get all(): readonly Lease[] {
    return this.#leases;
  }

  shift(): Lease | undefined {
    return this.#leases.shift();
  }

  clear(): void {
    this.#leases.length = 0;
  }

  /** Claims chunks until there are as many as are wanted. */
  async fill(): Promise<void> {
    const { run, queue, stopped, wanted, coming, takes, onFilled, onFailed } = this.#host;
    if (this.#isClaiming || stopped.aborted) return;
    this.#isClaiming = true;
    try {
      while (!stopped.aborted) {
        this.releaseSurplus();
        const max = wanted() - this.#leases.length - coming();
        if (max <= 0) return;
        const leases = await queue.claim(run, { max, waitMs: claimWaitMs, signal: stopped });
        if (leases.length === 0) {
          // A queue that says so at once, as it does of a job that ended elsewhere, must not be asked in a circle.
          await new Promise((resolve) => setTimeout(resolve, betweenClaimsMs));
          continue;
        }
        if (stopped.aborted) return;
        for (const lease of leases) if (!takes(lease)) this.#leases.push(lease);
        this.#leases.sort((a, b) => a.chunk.lo - b.chunk.lo);
        onFilled();
      }
    } catch (error) {
      onFailed(error);
    } finally {
      this.#isClaiming = false;
    }
  }

  /** Another node has replicas for it. If giving back fails, the lease runs out, as nothing extends it. */
  releaseSurplus(): void {
    const { queue, wanted } = this.#host;
    for (const lease of this.#leases.splice(wanted())) queue.release(lease, 0).catch(() => undefined);
  }
}
