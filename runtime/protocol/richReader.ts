/**
 * The reading half of richValue.ts. The text comes from a machine that is not trusted: only the tags below
 * revive into anything, and only into data. A RegExp could take exponential time to match, a boxed primitive
 * and a Temporal value are never sent; all of them are refused.
 */
import { defaultParseOperations, unflatten } from "devalue";
import type { ParseOperations } from "devalue";
import { fillError, newErrorFor } from "./errorValue.ts";
import { maxBigIntChars, maxRichDepth, maxValues, referencesTooDeep } from "./wireLimits.ts";

/** Entries below the deepest object that the sender does not count: a view, its buffer, the buffer's blob. */
const uncountedLevels = 4;

/** Revives what `encodeRich` made. Throws, an error of any class, for anything else. */
export function decodeRich(text: string, blobs: readonly Uint8Array[]): unknown {
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== "number") {
    if (!Array.isArray(parsed)) throw new Error("it is no list of entries");
    if (referencesTooDeep(parsed, maxRichDepth + uncountedLevels)) throw new Error("it is nested too deeply");
  }
  return unflatten(parsed as number | unknown[], revivers(blobs), { operations });
}

const operations: Partial<ParseOperations> = {
  fromISOString: (iso: unknown) => new Date(checkText(iso)),
  fromStringValue: (tag, text: unknown) => {
    if (tag === "URL") return new URL(checkText(text));
    if (tag === "URLSearchParams") return new URLSearchParams(checkText(text));
    return refuse(tag);
  },
  fromRegExpInfo: () => refuse("RegExp"),
  box: () => refuse("Object"),
  createSparseArray: (length) => {
    if (length > maxValues) throw new Error(`it holds an array of more than ${maxValues} elements`);
    return defaultParseOperations.createSparseArray(length);
  },
};

function revivers(blobs: readonly Uint8Array[]): Record<string, (payload: unknown) => unknown> {
  // Each blob is copied once, however often the text asks for it.
  const buffers = new Map<number, ArrayBuffer>();
  // An error that refers to itself is revived first from a payload half read, then again from all of it.
  const errors = new Map<object, Error>();
  return {
    ArrayBuffer: (payload) => {
      if (typeof payload === "string") return exactBuffer(Buffer.from(payload, "base64"));
      const number = isObject(payload) ? (payload as { blob?: unknown }).blob : undefined;
      if (typeof number !== "number") throw new Error("it holds a buffer without bytes");
      const blob = blobs[number];
      if (!blob) throw new Error("it refers to a blob that is not there");
      let buffer = buffers.get(number);
      if (!buffer) buffers.set(number, (buffer = exactBuffer(blob)));
      return buffer;
    },
    Buffer: (payload) => {
      if (!(payload instanceof ArrayBuffer)) throw new Error("it holds a Buffer without bytes");
      return Buffer.from(payload);
    },
    BigInt: (payload) => {
      const digits = checkText(payload);
      if (digits.length > maxBigIntChars || !/^-?\d+$/.test(digits)) throw new Error("it holds no proper BigInt");
      return BigInt(digits);
    },
    Error: (payload) => {
      if (!isObject(payload)) throw new Error("it holds an Error without fields");
      let error = errors.get(payload);
      if (!error) errors.set(payload, (error = newErrorFor(payload)));
      fillError(error, payload);
      return error;
    },
  };
}

/** A buffer of just these bytes: aligned for any view, and not keeping the frame it came in alive. */
function exactBuffer(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function checkText(value: unknown): string {
  if (typeof value !== "string") throw new Error("it holds something else where text must be");
  return value;
}

function refuse(tag: string): never {
  throw new Error(`it holds a ${tag}, which is never sent`);
}
