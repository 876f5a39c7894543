import type { Readable } from "node:stream";
import { SetupFailure } from "./failure.ts";

const maxLineBytes = 2 ** 20;
const newline = 10;

/** Standard input as lines and counted bytes, in turn. */
export class Input {
  readonly #parts: AsyncIterator<Buffer>;
  #left: Buffer = Buffer.alloc(0);

  constructor(stream: Readable) {
    this.#parts = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  async line(): Promise<Buffer> {
    let at: number;
    while ((at = this.#left.indexOf(newline)) === -1) {
      if (this.#left.byteLength > maxLineBytes) throw new SetupFailure("protocol.invalid", "The request is too long.");
      this.#left = Buffer.concat([this.#left, await this.#next()]);
    }
    const line = this.#left.subarray(0, at);
    this.#left = this.#left.subarray(at + 1);
    return line;
  }

  async *bytes(count: number): AsyncGenerator<Buffer> {
    let missing = count;
    while (missing > 0) {
      if (this.#left.byteLength === 0) this.#left = await this.#next();
      const part = this.#left.subarray(0, missing);
      this.#left = this.#left.subarray(part.byteLength);
      missing -= part.byteLength;
      yield part;
    }
  }

  async #next(): Promise<Buffer> {
    const { value, done } = await this.#parts.next();
    if (done) throw new SetupFailure("connection.lost", "The upload was cut off.");
    return value;
  }
}
