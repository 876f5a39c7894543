/** How long each replica was busy with one map, by the monotonic clock. */
export class BusyTime {
  /** For replicas that are busy: since when. */
  readonly #sinceMs = new Map<number, number>();
  #busyMs = new Map<number, number>();

  begin(replica: number): void {
    this.#sinceMs.set(replica, performance.now());
  }

  end(replica: number): void {
    this.#add(replica, performance.now());
    this.#sinceMs.delete(replica);
  }

  /** Milliseconds by replica since this was last asked. */
  take(): Map<number, number> {
    const nowMs = performance.now();
    for (const id of this.#sinceMs.keys()) {
      this.#add(id, nowMs);
      this.#sinceMs.set(id, nowMs);
    }
    const taken = this.#busyMs;
    this.#busyMs = new Map();
    return taken;
  }

  #add(replica: number, nowMs: number): void {
    const busyMs = nowMs - (this.#sinceMs.get(replica) ?? nowMs);
    this.#busyMs.set(replica, (this.#busyMs.get(replica) ?? 0) + busyMs);
  }
}
