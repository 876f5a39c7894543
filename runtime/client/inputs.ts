import { encodeValue } from "../protocol/codec.ts";
import { packValues } from "../protocol/pack.ts";
import { FarcallError, messageOf } from "../spec/errors.ts";
import type { Inputs } from "../spec/inputs.ts";

/** Cuts any iterable of inputs into chunks, ready to be sent. */

export interface InputChunk {
  lo: number;
  count: number;
  body: Uint8Array;
}

const maxChunkInputs = 1_000;
const maxChunkBytes = 256 * 1024;
/** The first chunks are small so that work begins at once. */
const firstChunkInputs = 16;
const growth = 4;
/** An input waits this long at most for others to share its chunk. */
const lingerMs = 5;

/** Neighbouring inputs. */
export interface InputRange {
  lo: number;
  count: number;
}

/** Without the first `skip` inputs and those of `stored`, ranges that come by rising index. */
export async function* chunkInputs(
  inputs: Inputs<unknown>,
  skip: number,
  stored: readonly InputRange[] = [],
): AsyncGenerator<InputChunk, number, undefined> {
  const chunker = new Chunker(skip, stored);
  if (Symbol.asyncIterator in inputs) yield* chunkAsync(inputs, skip, chunker);
  else {
    let index = 0;
    for (const input of inputs) {
      if (index++ < skip) continue;
      const chunk = chunker.add(input);
      if (chunk) yield chunk;
    }
  }
  const last = chunker.cut();
  if (last) yield last;
  return chunker.next;
}

/** As for a plain iterable, but a slow source does not hold back the inputs it has given already. */
async function* chunkAsync(
  inputs: AsyncIterable<unknown>,
  skip: number,
  chunker: Chunker,
): AsyncGenerator<InputChunk, void, undefined> {
  const iterator = inputs[Symbol.asyncIterator]();
  let index = 0;
  let done = false;
  try {
    let next = iterator.next();
    while (!done) {
      const result = chunker.isEmpty ? await next : await withinLinger(next);
      if (result === late) {
        const chunk = chunker.cut();
        if (chunk) yield chunk;
        continue;
      }
      if (result.done) {
        done = true;
        return;
      }
      next = iterator.next();
      // It is awaited in the next round; should the reader leave before that, its error is nobody's.
      next.catch(() => undefined);
      if (index++ < skip) continue;
      const chunk = chunker.add(result.value);
      if (chunk) yield chunk;
    }
  } catch (error) {
    done = true;
    throw error;
  } finally {
    if (!done) await iterator.return?.();
  }
}

const late = Symbol("late");

async function withinLinger<T>(promise: Promise<T>): Promise<T | typeof late> {
  let timer: NodeJS.Timeout | undefined;
  const lingered = new Promise<typeof late>((resolve) => {
    timer = setTimeout(() => resolve(late), lingerMs);
  });
  try {
    return await Promise.race([promise, lingered]);
  } finally {
    clearTimeout(timer);
  }
}

class Chunker {
  next: number;
  #values: Uint8Array[] = [];
  #bytes = 0;
  #limit = firstChunkInputs;
  readonly #stored: InputRange[];

  constructor(from: number, stored: readonly InputRange[]) {
    this.next = from;
    this.#stored = [...stored];
  }

  get isEmpty(): boolean {
    return this.#values.length === 0;
  }

  add(input: unknown): InputChunk | undefined {
    const index = this.next + this.#values.length;
    if (this.#isStored(index)) {
      const before = this.cut();
      this.next = index + 1;
      return before;
    }
    const bytes = encodeInput(input, index);
    this.#values.push(bytes);
    this.#bytes += bytes.byteLength;
    return this.#values.length >= this.#limit || this.#bytes >= maxChunkBytes ? this.cut() : undefined;
  }

  #isStored(index: number): boolean {
    while (this.#stored[0] && this.#stored[0].lo + this.#stored[0].count <= index) this.#stored.shift();
    return this.#stored[0] !== undefined && this.#stored[0].lo <= index;
  }

  cut(): InputChunk | undefined {
    if (this.#values.length === 0) return undefined;
    const chunk = { lo: this.next, count: this.#values.length, body: packValues(this.#values) };
    this.next += chunk.count;
    this.#values = [];
    this.#bytes = 0;
    this.#limit = Math.min(maxChunkInputs, this.#limit * growth);
    return chunk;
  }
}

function encodeInput(input: unknown, index: number): Uint8Array {
  try {
    return encodeValue(input);
  } catch (cause) {
    if (!(cause instanceof FarcallError)) throw cause;
    throw new FarcallError(cause.code, `Input ${index} cannot be sent: ${messageOf(cause)}`, { cause });
  }
}
