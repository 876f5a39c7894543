/** Tells those who wait for something to change, by key. A change between looking and waiting is not missed. */
const maxKeys = 10_000;

export class Changes {
  readonly #versions = new Map<string, number>();
  readonly #waiters = new Map<string, Set<() => void>>();

  /** Look at this first, then at the state, then wait with what this returned. */
  version(key: string): number {
    return this.#versions.get(key) ?? 0;
  }

  announce(key: string): void {
    this.#versions.set(key, this.version(key) + 1);
    if (this.#versions.size > maxKeys) this.#versions.delete(this.#versions.keys().next().value!);
    const waiters = this.#waiters.get(key);
    this.#waiters.delete(key);
    for (const wake of waiters ?? []) wake();
  }

  /** Resolves when the version is another than `since`, or on abort. */
  async wait(key: string, since: number, signal: AbortSignal): Promise<void> {
    if (this.version(key) !== since || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        signal.removeEventListener("abort", done);
        resolve();
      };
      signal.addEventListener("abort", done, { once: true });
      const waiters = this.#waiters.get(key) ?? new Set();
      this.#waiters.set(key, waiters.add(done));
    });
  }
}
