/** Bodies of outcomes, read by where they lie. Those read or stored last are kept. */
import { FarcallError } from "../../spec/errors.ts";
import { readPiece, readPieces } from "./blobs.ts";
import type { Connection } from "./connection.ts";
import { asQueueError } from "./failures.ts";
import type { IndexedRange, JobIndex } from "./jobIndex.ts";
import { KeptBytes } from "./keptBytes.ts";
import { inLanes } from "./lanes.ts";
import { messageAt } from "./store.ts";
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
  readonly #kept = new KeptBytes(keptBytes);

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  keep(index: JobIndex, sequence: number, body: Uint8Array): void {
    this.#kept.keep(nameOf(index, sequence), body);
  }

  /** The bodies of ranges of an index, in their order. */
  async read(key: string, index: JobIndex, ranges: readonly IndexedRange[]): Promise<Uint8Array[]> {
    const bodies = new Array<Uint8Array>(ranges.length);
    await inLanes(0, ranges.length, readAtOnce, async (at) => {
      bodies[at] = await this.#readOne(key, index, ranges[at]!);
    });
    return bodies;
  }

  async #readOne(key: string, index: JobIndex, { message, at, bytes }: IndexedRange): Promise<Uint8Array> {
    const { blob, sequence } = message;
    if (bytes === 0) return new Uint8Array(0);
    if (blob) {
      return readPieces(at, at + bytes, (piece) =>
        this.#kept.get(`${key} ${blob.hash} ${piece}`, () => readPiece(this.#connection, key, "o", blob, piece)),
      );
    }
    const whole = await this.#kept.get(nameOf(index, sequence), () => this.#fetch(sequence));
    return whole.subarray(at, at + bytes);
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
}

/** A sequence says where something lies in the stream that the index was read from, and nothing of one that came after. */
function nameOf(index: JobIndex, sequence: number): string {
  return `${index.number} ${sequence}`;
}
