/**
 * Values that JSON cannot carry, as the text of devalue: a flat list of entries that refer to one another by
 * index, so that cycles and shared references survive.
 *
 * devalue's own ideas of what a value is are replaced where they are too generous: an object counts as a Map,
 * an array or plain only by its exact prototype, so an instance of a class is refused and not silently turned
 * into something else; a view takes only its own bytes along, never the rest of a pool; getters and proxies
 * that throw become a refusal with a path. Large binary leaves are taken out of the text and handed back as
 * `blobs`, which the text refers to by number.
 */
import { stringify } from "devalue";
import type { StringifyOperations } from "devalue";
import { messageOf } from "../spec/errors.ts";
import { fillErrorPayload, isError } from "./errorValue.ts";
import type { ErrorPayload } from "./errorValue.ts";
import { Refusal, refusalOf, tooLarge } from "./refusal.ts";
import { maxBlobs, maxRichDepth, maxValues, minBlobBytes } from "./wireLimits.ts";

/** What an object is, by its exact prototype. A name the engine lacks, such as Float16Array, is left out. */
const tagByPrototype = new Map<unknown, string>();
const builtInTags =
  "Array Map Set Date URL URLSearchParams ArrayBuffer DataView Int8Array Uint8Array Uint8ClampedArray Int16Array " +
  "Uint16Array Float16Array Int32Array Uint32Array Float32Array Float64Array BigInt64Array BigUint64Array";
for (const tag of builtInTags.split(" ")) {
  const builtIn: unknown = Reflect.get(globalThis, tag);
  if (typeof builtIn === "function") tagByPrototype.set(builtIn.prototype, tag);
}

/** Just under a million decimal digits, which take 0.2 s to read [measured on Node 24]. */
const maxBigIntHexDigits = 830_000;
const surelyShortBigInt = 2n ** 64n;

export interface RichText {
  text: string;
  /** Views into the value's own memory, not copies. */
  blobs: readonly Uint8Array[];
}

/** Throws `value.unserializable`, with the path of what is at fault, or `value.too-large`. */
export function encodeRich(value: unknown, limitBytes: number): RichText {
  const isBinary = ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
  const encoder = new RichEncoder(limitBytes, isBinary ? 1 : minBlobBytes, new Map());
  return { text: encoder.encode(value, 1), blobs: encoder.blobs };
}

/** The visible bytes of a view that covers only part of its buffer, on the way to become a blob. */
class Cut {
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

class RichEncoder {
  readonly blobs: Uint8Array[] = [];
  readonly #limitBytes: number;
  readonly #minBlobBytes: number;
  #blobBytes = 0;
  /** How deep each object was first met. devalue gives no sign when it leaves one, so the depth is kept here. */
  readonly #depths = new Map<object, number>();
  /** Shared with the encoders that try out the properties of errors, so that each error is tried out once. */
  readonly #errors: Map<Error, ErrorPayload>;

  constructor(limitBytes: number, blobsFromBytes: number, errors: Map<Error, ErrorPayload>) {
    this.#limitBytes = limitBytes;
    this.#minBlobBytes = blobsFromBytes;
    this.#errors = errors;
  }

  encode(value: unknown, depth: number): string {
    if (typeof value === "object" && value !== null) this.#depths.set(value, depth);
    try {
      return stringify(value, this.#reducers, { operations: this.#operations });
    } catch (cause) {
      throw refusalOf(cause);
    }
  }

  /** A reducer that returns something true replaces the value by it, under the reducer's name. */
  readonly #reducers: Record<string, (value: unknown) => unknown> = {
    ArrayBuffer: (value) => {
      const prototype = prototypeOf(value);
      if (prototype === Cut.prototype) return this.#addBlob((value as Cut).bytes);
      if (prototype !== ArrayBuffer.prototype) return undefined;
      const bytes = new Uint8Array(value as ArrayBuffer);
      return this.#isBlob(bytes) ? this.#addBlob(bytes) : undefined;
    },
    Buffer: (value) => (prototypeOf(value) === Buffer.prototype ? this.#bufferOf(value as Buffer) : undefined),
    Error: (value) => (isError(value) ? this.#errorPayload(value) : undefined),
    Refusal: (value) => {
      if (typeof value === "bigint" && isLongBigInt(value))
        return new Refusal("is a BigInt of a million digits or more");
      if (prototypeOf(value) !== Array.prototype || (value as unknown[]).length <= maxValues) return undefined;
      return new Refusal(`is an array of more than ${maxValues} elements: use a typed array`);
    },
  };

  readonly #operations: Partial<StringifyOperations> = {
    // A promise is refused below as any other instance of a class, and a plain object may have a key `then`.
    isThenable: () => false,
    tagOf: (value: unknown) => tagByPrototype.get(prototypeOf(value)) ?? "Object",
    shapeOf: (value: object) => {
      const prototype = prototypeOf(value);
      if (prototype !== Object.prototype && prototype !== null) return { kind: "not-plain" };
      try {
        return { kind: prototype === null ? "null-proto" : "plain", keys: Object.keys(value) };
      } catch {
        return { kind: "not-plain" };
      }
    },
    get: (parent: object, key) => {
      try {
        return this.#enter(parent, Reflect.get(parent, key));
      } catch (thrown) {
        return new Refusal(`cannot be read: its getter threw ${JSON.stringify(messageOf(thrown))}`);
      }
    },
    valuesOf: (set: Set<unknown>) => this.#enterAll(set),
    entriesOf: (map: Map<unknown, unknown>) => this.#enterEntries(map),
    viewInfo: (view: ArrayBufferView & { length?: number }) => ({
      buffer: this.#bufferOf(view),
      byteOffset: 0,
      byteLength: view.byteLength,
      ...(view.length !== undefined && { length: view.length }),
      bufferByteLength: view.byteLength,
    }),
  };

  #enter(parent: object, child: unknown): unknown {
    if (typeof child !== "object" || child === null || this.#depths.has(child)) return child;
    const depth = (this.#depths.get(parent) ?? 0) + 1;
    if (depth > maxRichDepth) return new Refusal(`is nested more than ${maxRichDepth} levels deep`);
    this.#depths.set(child, depth);
    return child;
  }

  *#enterAll(set: Set<unknown>): Generator<unknown> {
    for (const value of set) yield this.#enter(set, value);
  }

  *#enterEntries(map: Map<unknown, unknown>): Generator<[unknown, unknown]> {
    for (const [key, value] of map) yield [this.#enter(map, key), this.#enter(map, value)];
  }

  #errorPayload(error: Error): ErrorPayload {
    const known = this.#errors.get(error);
    if (known) return known;
    const payload: ErrorPayload = {};
    const depth = (this.#depths.get(error) ?? 0) + 1;
    this.#depths.set(payload, depth);
    this.#errors.set(error, payload);
    fillErrorPayload(payload, error, (value) => isError(value) || this.#canEncode(value, depth + 2));
    return payload;
  }

  #canEncode(value: unknown, depth: number): boolean {
    if (typeof value === "function" || typeof value === "symbol") return false;
    try {
      new RichEncoder(this.#limitBytes - this.#blobBytes, this.#minBlobBytes, this.#errors).encode(value, depth);
      return true;
    } catch {
      return false;
    }
  }

  /** The buffer of a view when the view covers all of it, else one of the view's own bytes. */
  #bufferOf(view: ArrayBufferView): ArrayBuffer | Cut {
    const { buffer, byteOffset, byteLength } = view;
    if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) return buffer;
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    return this.#isBlob(bytes) ? new Cut(bytes) : new Uint8Array(bytes).buffer;
  }

  #isBlob(bytes: Uint8Array): boolean {
    return bytes.byteLength >= this.#minBlobBytes && this.blobs.length < maxBlobs;
  }

  /** What stands for the bytes in the text. */
  #addBlob(bytes: Uint8Array): { blob: number } {
    this.#blobBytes += bytes.byteLength;
    if (this.#blobBytes > this.#limitBytes)
      throw tooLarge(`its binary data is over the limit of ${this.#limitBytes} bytes`);
    this.blobs.push(bytes);
    return { blob: this.blobs.length - 1 };
  }
}

function isLongBigInt(value: bigint): boolean {
  if (value < surelyShortBigInt && value > -surelyShortBigInt) return false;
  return value.toString(16).length > maxBigIntHexDigits;
}

/** The prototype of an object; undefined for anything else, and for a proxy that does not tell. */
function prototypeOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  try {
    return Object.getPrototypeOf(value);
  } catch {
    return undefined;
  }
}
