/** Who wants to know of changes. Each is told once for all that changed in a turn. */
import type { RunId } from "../../spec/names.ts";

export class Listeners {
  readonly #listeners = new Set<{ callback: (job: RunId) => void }>();
  #changed = new Set<RunId>();

  add(callback: (job: RunId) => void): () => void {
    const listener = { callback };
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  changed(id: RunId): void {
    if (this.#changed.size === 0) queueMicrotask(() => this.#tell());
    this.#changed.add(id);
  }

  #tell(): void {
    const changed = this.#changed;
    this.#changed = new Set();
    for (const job of changed) {
      for (const listener of this.#listeners) {
        // In a turn of its own: what a callback throws is its owner's fault and not the queue's.
        queueMicrotask(() => this.#listeners.has(listener) && listener.callback(job));
      }
    }
  }
}
