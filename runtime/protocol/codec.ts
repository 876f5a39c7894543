/**
 * Values as bytes: what a client and a worker say to each other through everything in between, which handles
 * the bytes unread. The first byte names the format, and the encoder takes the first that keeps the value whole:
 *
 *   u  undefined; nothing follows
 *   j  JSON in UTF-8
 *   d  devalue's text in UTF-8: Date, Map, Set, BigInt, URL, binary data, Errors, undefined, cycles, ...
 *   b  as d, with large binary leaves, or a lone one of any size, raw behind the text:
 *      [text length][text][blob count] and for each blob [length][bytes]; numbers are unsigned 32-bit little-endian
 *
 * The decoder makes data and nothing else: no constructor or property is chosen by the sender, and the caps on
 * size, depth and number of values are checked before anything is parsed. What it returns must still never be
 * awaited by itself, as data may have a key `then`.
 */
import { FarcallError, messageOf } from "../spec/errors.ts";
import { bareError, errorForThrown, isError } from "./errorValue.ts";
import { isPlainJson, maxJsonDepth } from "./plainJson.ts";
import { refusalOf, tooLarge } from "./refusal.ts";
import { decodeRich } from "./richReader.ts";
import { encodeRich } from "./richValue.ts";
import { checkJsonText, defaultLimitBytes, hasProtoKey, maxBlobs, maxValues } from "./wireLimits.ts";

export interface CodecOptions {
  /** Most bytes of the encoded value, up to 4 GiB. Default 256 MiB. */
  limitBytes?: number;
}

const undefinedTag = 0x75;
const jsonTag = 0x6a;
const richTag = 0x64;
const blobsTag = 0x62;
const word = 4;
/** Below it, joining two strings costs less than writing them one after the other. */
const maxJoinedChars = 4096;
/** Lists of entries hold objects and arrays of numbers, and nothing below them. */
const maxRichTextDepth = 4;

/**
 * The bytes of a value. Throws `value.unserializable` and names the path of what cannot be sent (functions,
 * symbols, promises, instances of classes, ...), or `value.too-large`.
 */
export function encodeValue(value: unknown, options?: CodecOptions): Uint8Array {
  if (value === undefined) return Uint8Array.of(undefinedTag);
  const limitBytes = limitOf(options);
  if (canBeJson(value)) return textBytes("j", jsonText(value), limitBytes);
  const { text, blobs } = encodeRich(value, limitBytes);
  return blobs.length === 0 ? textBytes("d", text, limitBytes) : blobBytes(text, blobs, limitBytes);
}

/** The value of bytes that `encodeValue` made. Throws `value.invalid` for any others, or `value.too-large`. */
export function decodeValue(bytes: Uint8Array, options?: CodecOptions): unknown {
  const limitBytes = limitOf(options);
  if (bytes.byteLength > limitBytes) {
    throw new FarcallError(
      "value.too-large",
      `Cannot read a value: its ${bytes.byteLength} bytes are over the limit of ${limitBytes}.`,
    );
  }
  try {
    const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    switch (buffer[0]) {
      case jsonTag:
        return readJson(buffer);
      case undefinedTag:
        if (buffer.byteLength > 1) throw new Error("bytes are left over behind it");
        return undefined;
      case richTag:
        return decodeRich(checkedText(buffer, 1, buffer.byteLength, maxRichTextDepth), []);
      case blobsTag:
        return readBlobs(buffer);
      default:
        throw new Error("its first byte names no format");
    }
  } catch (cause) {
    throw new FarcallError("value.invalid", `Cannot read a value: ${messageOf(cause)}.`, {
      cause,
      hint: "The bytes are damaged, or another version of Farcall made them.",
    });
  }
}

/**
 * The bytes of whatever was thrown, for `decodeError`; never throws. What is no Error becomes one with the
 * message `Non-error thrown: …` and, where it can be sent, the value as its property `thrown`.
 */
export function encodeError(thrown: unknown): Uint8Array {
  const maxTextChars = 64 * 1024;
  try {
    const error = isError(thrown) ? thrown : errorForThrown(thrown);
    try {
      return encodeValue(error);
    } catch {
      return encodeValue(bareError(error, maxTextChars));
    }
  } catch {
    return encodeValue(new Error("An error was thrown that cannot be read."));
  }
}

/** The Error of bytes that `encodeError` made; never throws. For other bytes, the Error that says so. */
export function decodeError(bytes: Uint8Array): Error {
  try {
    const value = decodeValue(bytes);
    return isError(value) ? value : errorForThrown(value);
  } catch (thrown) {
    return isError(thrown) ? thrown : errorForThrown(thrown);
  }
}

function limitOf(options: CodecOptions | undefined): number {
  return Math.min(options?.limitBytes ?? defaultLimitBytes, 0xffff_ffff);
}

function canBeJson(value: unknown): boolean {
  try {
    return isPlainJson(value);
  } catch {
    return false; // A getter or proxy threw; the rich encoder meets it again and says where.
  }
}

function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw refusalOf(cause);
  }
}

function textBytes(tag: "j" | "d", text: string, limitBytes: number): Uint8Array {
  // A character takes at least one byte, so this spares the copy of what is too large anyway.
  if (text.length >= limitBytes) throw overLimit(text.length + 1, limitBytes);
  const bytes = text.length < maxJoinedChars ? Buffer.from(tag + text) : writeBehind(tag, text);
  if (bytes.byteLength > limitBytes) throw overLimit(bytes.byteLength, limitBytes);
  checkValueCount(bytes);
  return bytes;
}

/** As `Buffer.from(tag + text)`, without first copying a long text to join the two. */
function writeBehind(tag: string, text: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(1 + Buffer.byteLength(text));
  bytes.write(tag, 0, "latin1");
  bytes.write(text, 1);
  return bytes;
}

function blobBytes(text: string, blobs: readonly Uint8Array[], limitBytes: number): Uint8Array {
  const textLength = Buffer.byteLength(text);
  let size = 1 + word + textLength + word;
  for (const blob of blobs) size += word + blob.byteLength;
  if (size > limitBytes) throw overLimit(size, limitBytes);
  const bytes = Buffer.allocUnsafeSlow(size);
  bytes[0] = blobsTag;
  let at = bytes.writeUInt32LE(textLength, 1);
  at += bytes.write(text, at);
  checkValueCount(bytes.subarray(1 + word, at));
  at = bytes.writeUInt32LE(blobs.length, at);
  for (const blob of blobs) {
    at = bytes.writeUInt32LE(blob.byteLength, at);
    bytes.set(blob, at);
    at += blob.byteLength;
  }
  return bytes;
}

function overLimit(sizeBytes: number, limitBytes: number): FarcallError {
  return tooLarge(`its ${sizeBytes} bytes are over the limit of ${limitBytes}`);
}

/** Refuses what the other side would refuse; only a long text can hold that many values. */
function checkValueCount(text: Uint8Array): void {
  if (text.byteLength <= maxValues) return;
  const wrong = checkJsonText(text, Infinity);
  if (wrong !== undefined) throw tooLarge(`${wrong}; put numbers into a typed array`);
}

function checkedText(buffer: Buffer, from: number, to: number, maxDepth: number): string {
  const wrong = checkJsonText(buffer.subarray(from, to), maxDepth);
  if (wrong !== undefined) throw new Error(wrong);
  return buffer.toString("utf8", from, to);
}

function readJson(buffer: Buffer): unknown {
  const text =
    buffer.byteLength <= 2 * maxJsonDepth
      ? buffer.toString("utf8", 1) // too short to hold anything too deep
      : checkedText(buffer, 1, buffer.byteLength, maxJsonDepth);
  const value: unknown = JSON.parse(text);
  // The key may also be written with escapes, and both may stand in a string, where they do no harm.
  if ((text.includes("__proto__") || text.includes("\\u00")) && hasProtoKey(value)) {
    throw new Error("it holds a key __proto__");
  }
  return value;
}

function readBlobs(buffer: Buffer): unknown {
  const textAt = 1 + word;
  if (buffer.byteLength < textAt) throw new Error("it is shorter than its length field");
  const textEnd = textAt + buffer.readUInt32LE(1);
  let at = textEnd + word;
  if (at > buffer.byteLength) throw new Error("its text reaches over its end");
  const count = buffer.readUInt32LE(textEnd);
  if (count > maxBlobs || at + word * count > buffer.byteLength) throw new Error(`it claims ${count} blobs`);
  const blobs: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    if (at + word > buffer.byteLength) throw new Error("a blob is missing");
    const from = at + word;
    at = from + buffer.readUInt32LE(at);
    blobs.push(buffer.subarray(from, at));
  }
  if (at !== buffer.byteLength) throw new Error("its last blob does not end where it does");
  return decodeRich(checkedText(buffer, textAt, textEnd, maxRichTextDepth), blobs);
}
