/** How fast a number rises, over the last seconds up to now: one that stands still falls to nothing. */
const windowMs = 5_000;
/** Over less than that a rate says nothing. */
const leastMs = 400;

export class Rate {
  #samples: { atMs: number; done: number }[] = [];

  add(atMs: number, done: number): void {
    this.#samples.push({ atMs, done });
    this.#forget(atMs);
  }

  /** Per second; null when not known yet. */
  at(nowMs: number): number | null {
    this.#forget(nowMs);
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (!first || !last) return null;
    const tookMs = Math.min(windowMs, nowMs - first.atMs);
    return tookMs < leastMs ? null : ((last.done - first.done) / tookMs) * 1_000;
  }

  /** The newest sample from before the window stays: it says where the number stood at its beginning. */
  #forget(nowMs: number): void {
    while (this.#samples.length > 1 && nowMs - this.#samples[1]!.atMs >= windowMs) this.#samples.shift();
  }
}
