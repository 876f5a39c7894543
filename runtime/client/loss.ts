import { type ErrorCode, FarcallError } from "../spec/errors.ts";

/** A connection that is lost, and how long one goes on trying to have it again. */

const lossCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "connection.lost",
  "agent.unreachable",
  "ssh.unreachable",
  "ssh.timeout",
  "ssh.refused",
]);

export function isConnectionLoss(error: unknown): boolean {
  return error instanceof FarcallError && lossCodes.has(error.code);
}

/** Whether machines do not answer, or cannot be logged in to: one that was set up anew has another key. */
export function isAway(error: unknown): boolean {
  return isConnectionLoss(error) || (error instanceof FarcallError && error.code.startsWith("ssh."));
}

/** Waits, with some jitter so that many clients do not come back at once. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const jitter = 0.75 + Math.random() / 2;
  await new Promise<void>((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms * jitter);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

export interface PatienceOptions {
  /** How long a loss may last; asked anew each time. */
  withinMs: () => number;
  /** Told of each loss before it is borne. */
  onLoss?: () => void;
  signal?: AbortSignal | undefined;
}

const delaysMs = [50, 100, 200, 500, 1_000, 2_000, 5_000];

/** Of one who may ask again: waits longer after each loss in a row, and gives up when they have lasted too long. */
export class Patience {
  readonly #options: PatienceOptions;
  #tries = 0;
  #sinceMs = 0;

  constructor(options: PatienceOptions) {
    this.#options = options;
  }

  /** Resolves when it is time to ask again. Throws what is no loss, and the loss that is one too many. */
  async bear(error: unknown): Promise<void> {
    const { withinMs, onLoss, signal } = this.#options;
    signal?.throwIfAborted();
    if (!isConnectionLoss(error)) throw error;
    // Counted from the first failure: how long this process slept before it noticed does not matter.
    if (this.#tries === 0) this.#sinceMs = performance.now();
    if (performance.now() - this.#sinceMs > withinMs()) throw error;
    onLoss?.();
    await pause(delaysMs[Math.min(this.#tries++, delaysMs.length - 1)]!, signal);
  }

  /** Something came: the next loss is the first in a row. */
  renew(): void {
    this.#tries = 0;
  }
}
