import type { Transport, TransportHandlers } from "./transport.ts";

/** Two ends of a connection inside one process, for tests and for parts that share a process. */
export function memoryPair(): [Transport, Transport] {
  const left = new MemoryTransport();
  const right = new MemoryTransport();
  left.join(right);
  right.join(left);
  return [left, right];
}

class MemoryTransport implements Transport {
  readonly bufferedBytes = 0;
  #other: MemoryTransport | undefined;
  #handlers: TransportHandlers | undefined;
  #waiting: (Uint8Array | "close")[] = [];
  #open = true;
  #ended = false;

  join(other: MemoryTransport): void {
    this.#other = other;
  }

  start(handlers: TransportHandlers): void {
    this.#handlers = handlers;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const entry of waiting) this.#deliver(entry);
  }

  send(frame: Uint8Array): void {
    if (!this.#open) return;
    const copy = frame.slice();
    const other = this.#other;
    queueMicrotask(() => {
      if (other) other.#deliver(copy);
    });
  }

  drained(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    const other = this.#other;
    queueMicrotask(() => {
      this.#deliver("close");
      other?.close();
    });
  }

  destroy(): void {
    this.close();
  }

  keepProcessAlive(): void {
    // Memory never keeps a process alive.
  }

  #deliver(entry: Uint8Array | "close"): void {
    const handlers = this.#handlers;
    if (!handlers) this.#waiting.push(entry);
    else if (this.#ended) return;
    else if (entry === "close") {
      this.#ended = true;
      handlers.onClose();
    } else handlers.onFrame(entry);
  }
}
