/** Bodies of outcomes, read by where they lie. Those read or stored last are kept. */
import { FarcallError } from "../../spec/errors.ts";
import { readBlob } from "./blobs.ts";
import type { Connection } from "./connection.ts";
import type { IndexedRange } from "./jobIndex.ts";
import { messageAt } from "./store.ts";
import { asQueueError } from "./failures.ts";
import { streams } from "./streams.ts";

const keptBytes = 32 * 1024 * 1024;
const readAtOnce = 16;
/**
 * The replica that told of a message may be ahead of the one that is asked for it, even of the leader: each takes in
 * what is agreed at its own pace.
 */
const behindWithinMs = 3_000;
const behindAgainMs = 50;

export class OutcomeBodies {
  readonly #connection: Connection;
  /** By key and sequence, the one used last at the end. */
  readonly #kept = new Map<string, Promise<Uint8Array>>();
  readonly #sizes = new Map<string, number>();
  #bytes = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  keep(key: string, sequence: number, body: Uint8Array): void {
    this.#hold(`${key}.${sequence}`, Promise.resolve(body), body.byteLength);
  }

  /** The bodies of ranges, in their order. */
  async read(key: string, ranges: readonly IndexedRange[]): Promise<Uint8Array[]> {
    const bodies = new Array<Uint8Array>(ranges.length);
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < ranges.length) {
        const at = next++;
        bodies[at] = await this.#readOne(key, ranges[at]!);
      }
    };
    await Promise.all(Array.from({ length: Math.min(readAtOnce, ranges.length) }, lane));
    return bodies;
  }

  /** Sequences mean something else from now on. */
  clear(): void {
    this.#kept.clear();
    this.#sizes.clear();
    this.#bytes = 0;
  }

  async #readOne(key: string, { message, at, bytes }: IndexedRange): Promise<Uint8Array> {
    if (message.blob) return readBlob(this.#connection, key, "o", message.blob, at, at + bytes);
    if (bytes === 0) return new Uint8Array(0);
    return (await this.#message(key, message.sequence)).subarray(at, at + bytes);
  }

  #message(key: string, sequence: number): Promise<Uint8Array> {
    const id = `${key}.${sequence}`;
    const kept = this.#kept.get(id);
    if (kept) {
      this.#kept.delete(id);
      this.#kept.set(id, kept);
      return kept;
    }
    const reading = this.#fetch(sequence);
    this.#hold(id, reading, 0);
    reading.then(
      (body) => this.#kept.get(id) === reading && this.#hold(id, reading, body.byteLength),
      () => this.#kept.get(id) === reading && this.#forget(id),
    );
    return reading;
  }

  async #fetch(sequence: number): Promise<Uint8Array> {
    const giveUpAtMs = performance.now() + behindWithinMs;
    do {
      const data = await messageAt(this.#connection, streams.outcomes, sequence).catch((error: unknown) => {
        throw asQueueError(error);
      });
      if (data) return data;
      await this.#connection.pause(behindAgainMs);
    } while (performance.now() < giveUpAtMs);
    throw new FarcallError("queue.corrupt", `Outcome ${sequence} is missing in the queue.`, {
      hint: "The broker may have lost its disk, or the run was deleted meanwhile.",
    });
  }

  #hold(id: string, body: Promise<Uint8Array>, bytes: number): void {
    this.#forget(id);
    this.#kept.set(id, body);
    this.#sizes.set(id, bytes);
    this.#bytes += bytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= keptBytes) break;
      this.#forget(oldest);
    }
  }

  #forget(id: string): void {
    this.#bytes -= this.#sizes.get(id) ?? 0;
    this.#sizes.delete(id);
    this.#kept.delete(id);
  }
}
