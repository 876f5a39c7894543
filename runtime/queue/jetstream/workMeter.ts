/**
 * How much work waits, so that too much is refused before the stream itself has to. The broker is asked when what
 * it said last, and what was sent since, come near the limit, and now and then for the sake of other processes.
 */
import type { Connection } from "./connection.ts";
import { asQueueError } from "./failures.ts";
import { backPressure } from "./store.ts";
import { streams } from "./streams.ts";

const validMs = 1_000;
/** A chunk that was settled a moment ago may not be gone yet. */
const roomPauseMs = 25;
const tries = 4;

export class WorkMeter {
  readonly #connection: Connection;
  readonly #limitBytes: number;
  #storedBytes = 0;
  #sentBytes = 0;
  #askedAtMs = -Infinity;
  #arrivingBytes = 0;
  #asking: Promise<void> | undefined;

  constructor(connection: Connection, limitBytes: number) {
    this.#connection = connection;
    this.#limitBytes = limitBytes;
  }

  /** Throws `queue.back-pressure` while there is no room; otherwise the bytes count until `arrived`. */
  async admit(bytes: number): Promise<void> {
    if (performance.now() - this.#askedAtMs > validMs) await this.#ask();
    for (let i = 0; !this.#hasRoom(bytes); i++) {
      if (i === tries) throw backPressure(`${this.#waitingBytes} bytes of them`);
      if (i > 0) await this.#connection.pause(roomPauseMs);
      await this.#ask();
    }
    this.#sentBytes += bytes;
    this.#arrivingBytes += bytes;
  }

  arrived(bytes: number): void {
    this.#arrivingBytes -= bytes;
  }

  get #waitingBytes(): number {
    return this.#storedBytes + this.#sentBytes;
  }

  /** What is larger than the limit has to get in at some time. */
  #hasRoom(bytes: number): boolean {
    return this.#waitingBytes === 0 || this.#waitingBytes + bytes <= this.#limitBytes;
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#read().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #read(): Promise<void> {
    // What is on its way now may be in the answer as well: for a moment it counts twice at most.
    this.#sentBytes = this.#arrivingBytes;
    const askedAtMs = performance.now();
    try {
      const { state } = await this.#connection.persist(() => this.#connection.manager.streams.info(streams.work));
      this.#storedBytes = state.bytes;
      this.#askedAtMs = askedAtMs;
    } catch (error) {
      throw asQueueError(error);
    }
  }
}
