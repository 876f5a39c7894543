/** Tells those who wait for something to change, by key. A change between looking and waiting is not missed. */
const maxKeys = 10_000;

/** Told of every change; `passing` for one that may be left out when there are too many. */
export type ChangeListener = (key: string, passing: boolean) => void;

/** The key for the number of replicas; no run has it. */
export const replicasKey = "*replicas";

export class Changes {
  readonly #versions = new Map<string, number>();
  readonly #waiters = new Map<string, Set<() => void>>();
  readonly #listeners = new Set<ChangeListener>();

  /** Look at this first, then at the state, then wait with what this returned. */
  version(key: string): number {
    return this.#versions.get(key) ?? 0;
  }

  announce(key: string, passing = false): void {
    this.#versions.set(key, this.version(key) + 1);
    if (this.#versions.size > maxKeys) this.#versions.delete(this.#versions.keys().next().value!);
    const waiters = this.#waiters.get(key);
    this.#waiters.delete(key);
    for (const wake of waiters ?? []) wake();
    this.touch(key, passing);
  }

  /** Tells only those who listen to everything: nobody waits for the beginning of something. */
  touch(key: string, passing = false): void {
    for (const listener of this.#listeners) listener(key, passing);
  }

  /** Calls back at every change; returns what stops it. */
  onAny(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
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
