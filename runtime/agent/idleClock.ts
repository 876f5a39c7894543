/** How long nothing but looks has been asked of this node. */
export class IdleClock {
  /** After how long the agent ends; 0 for never. */
  idleMs: number;
  #uses = 0;
  #usedAtMs = Date.now();

  constructor(idleMs: number) {
    this.idleMs = idleMs;
  }

  /** Something more than a look is under way. */
  get isUsed(): boolean {
    return this.#uses > 0;
  }

  get usedAgoMs(): number {
    return this.isUsed ? 0 : Math.max(0, Date.now() - this.#usedAtMs);
  }

  /** Something more than a look is asked of the agent, until the returned function is called. */
  use(): () => void {
    this.#uses++;
    return () => {
      this.#uses--;
      this.touch();
    };
  }

  /** Work was found to be there. */
  touch(): void {
    this.#usedAtMs = Date.now();
  }

  /** Whether it is time to end, given how long ago each of the other nodes was used. */
  isOver(othersUsedAgoMs: readonly number[]): boolean {
    return this.idleMs > 0 && Math.min(this.usedAgoMs, ...othersUsedAgoMs) >= this.idleMs;
  }
}
