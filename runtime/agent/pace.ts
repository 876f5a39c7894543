/** Of one replica, for a slice. */
const targetMs = 100;
const maxSliceCount = 10_000;
/** Weight of the newest measurement in the average. */
const freshness = 0.3;

/**
 * How long an input of a map takes one replica, as measured, and how many of them suit a slice.
 *
 * A slice should take about 100 ms: long enough that handing it out costs nothing beside it, and short enough that
 * results come steadily, maps take turns, and a dying worker loses little. How long an input takes is what the worker
 * says, without the way there and back: on a busy machine, or with a queue that is far away, that would make short
 * inputs look long.
 */
export class Pace {
  #itemMs: number | undefined;

  /** Undefined until one was measured. */
  get itemMs(): number | undefined {
    return this.#itemMs;
  }

  measured(workedMs: number, count: number): void {
    const itemMs = workedMs / count;
    this.#itemMs = this.#itemMs === undefined ? itemMs : this.#itemMs * (1 - freshness) + itemMs * freshness;
  }

  /** How long that many inputs take together; without a measurement as long as one slice should. */
  estimateMs(count: number): number {
    return this.#itemMs === undefined ? targetMs : this.#itemMs * count;
  }

  get suitableCount(): number {
    const perReplica = targetMs / Math.max(this.#itemMs ?? targetMs, 1e-4);
    return Math.max(1, Math.min(maxSliceCount, Math.round(perReplica)));
  }

  isTooLong(count: number): boolean {
    return this.#itemMs !== undefined && count > 2 * this.suitableCount;
  }

  /** Whether what a worker holds keeps it busy until it can be given more. */
  isEnough(heldMs: number): boolean {
    return heldMs >= targetMs;
  }
}
