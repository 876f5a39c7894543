import { FarcallError } from "../spec/errors.ts";

/**
 * Many encoded values, or many outcomes, in one run of bytes that can be cut without being decoded.
 *
 * Values: count, then the byte length of each, then the bytes of each.
 * Outcomes: count, then for each its byte length, its kind (0 value, 1 error) and how many attempts it took,
 * then the bytes of each. Numbers are unsigned 32-bit little-endian; the kind stands in the top bit of the
 * attempts.
 */
export interface Outcome {
  ok: boolean;
  /** How often the function was begun for this input, at least 1; 0 for an outcome taken from the cache. */
  attempts: number;
  /** The encoded value, or the encoded error. */
  bytes: Uint8Array;
}

const word = 4;
const errorBit = 0x8000_0000;
const attemptsMask = 0x7fff_ffff;
/** No chunk holds more; the cap is checked before anything is allocated. */
const maxPackCount = 100_000;

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function packValues(values: readonly Uint8Array[]): Uint8Array {
  let size = word * (values.length + 1);
  for (const value of values) size += value.byteLength;
  const pack = Buffer.allocUnsafe(size);
  pack.writeUInt32LE(values.length, 0);
  let at = word * (values.length + 1);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    pack.writeUInt32LE(value.byteLength, word * (i + 1));
    pack.set(value, at);
    at += value.byteLength;
  }
  return pack;
}

export function unpackValues(pack: Uint8Array): Uint8Array[] {
  const bytes = view(pack);
  const count = readCount(bytes, 1);
  const values = new Array<Uint8Array>(count);
  let at = word * (count + 1);
  for (let i = 0; i < count; i++) {
    const length = bytes.readUInt32LE(word * (i + 1));
    values[i] = cut(bytes, at, length);
    at += length;
  }
  checkEnd(bytes, at);
  return values;
}

/** The values from position `from` up to, not including, `to`. */
export function slicePack(pack: Uint8Array, from: number, to: number): Uint8Array {
  return packValues(unpackValues(pack).slice(from, to));
}

export function packOutcomes(outcomes: readonly Outcome[]): Uint8Array {
  const head = word * (1 + 2 * outcomes.length);
  let size = head;
  for (const outcome of outcomes) size += outcome.bytes.byteLength;
  const pack = Buffer.allocUnsafe(size);
  pack.writeUInt32LE(outcomes.length, 0);
  let at = head;
  for (let i = 0; i < outcomes.length; i++) {
    const { ok, attempts, bytes } = outcomes[i]!;
    pack.writeUInt32LE(bytes.byteLength, word * (1 + 2 * i));
    pack.writeUInt32LE(((attempts & attemptsMask) | (ok ? 0 : errorBit)) >>> 0, word * (2 + 2 * i));
    pack.set(bytes, at);
    at += bytes.byteLength;
  }
  return pack;
}

export function unpackOutcomes(pack: Uint8Array): Outcome[] {
  const bytes = view(pack);
  const count = readCount(bytes, 2);
  const outcomes = new Array<Outcome>(count);
  let at = word * (1 + 2 * count);
  for (let i = 0; i < count; i++) {
    const length = bytes.readUInt32LE(word * (1 + 2 * i));
    const flags = bytes.readUInt32LE(word * (2 + 2 * i));
    outcomes[i] = {
      ok: (flags & errorBit) === 0,
      attempts: flags & attemptsMask,
      bytes: cut(bytes, at, length),
    };
    at += length;
  }
  checkEnd(bytes, at);
  return outcomes;
}

export function packCount(pack: Uint8Array): number {
  return readCount(view(pack), 1);
}

function readCount(bytes: Buffer, wordsEach: number): number {
  if (bytes.byteLength < word) throw damaged("it is shorter than its count");
  const count = bytes.readUInt32LE(0);
  if (count > maxPackCount) throw damaged(`it claims ${count} entries, over the limit of ${maxPackCount}`);
  if (word * (1 + wordsEach * count) > bytes.byteLength) throw damaged("it is shorter than its table");
  return count;
}

function cut(bytes: Buffer, at: number, length: number): Buffer {
  if (at + length > bytes.byteLength) throw damaged("an entry reaches over its end");
  return bytes.subarray(at, at + length);
}

function checkEnd(bytes: Buffer, at: number): void {
  if (at !== bytes.byteLength) throw damaged("bytes are left over behind its last entry");
}

function damaged(why: string): FarcallError {
  return new FarcallError("protocol.invalid", `A pack of values cannot be read: ${why}.`);
}
