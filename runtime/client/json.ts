import { FarcallError, messageOf } from "../spec/errors.ts";
import { maxValues } from "../protocol/wireLimits.ts";
import { isBeyondTree } from "./jsonSize.ts";
import type { MapOutcome } from "./outcomes.ts";

/** Results as JSON text: for terminals, files and editors. */

/** What is smaller is written before it could be measured. */
const lookedAtFrom = 100_000;
/** No string is longer. */
const maxChars = 512 * 1024 * 1024;

/**
 * A value as JSON. What JSON cannot say is said as close as it can be: a date as its ISO form, a Map and a Set
 * as arrays, a big integer as a string of digits, bytes in base64, `undefined` and NaN as null. Characters that
 * a terminal would act on are escaped. Throws `value.unserializable` for a value that contains itself.
 */
export function toJson(value: unknown, indent?: number): string {
  let text: string;
  try {
    text = JSON.stringify(value, bounded(value), indent) ?? "null";
  } catch (cause) {
    throw new FarcallError("value.unserializable", `The value cannot be written as JSON: ${firstLine(cause)}.`, {
      cause,
      hint: "JSON knows no cycles; return plain data, or read the result with the library.",
    });
  }
  return text.replace(acted, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** `plain`, which looks at the value once when it turns out to be large. */
function bounded(root: unknown): (this: unknown, key: string, given: unknown) => unknown {
  let written = 0;
  return function (key, given) {
    if (++written === lookedAtFrom && isBeyondTree(root, maxValues, maxChars))
      throw new Error("it contains itself, or holds some of its parts too often to be written out");
    return plain.call(this, key, given);
  };
}

// JSON.stringify escapes the control characters below a space itself; these it leaves as they are.
// oxlint-disable-next-line no-control-regex -- as above
const acted = /[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

function firstLine(thrown: unknown): string {
  return messageOf(thrown).split("\n")[0] ?? "";
}

function plain(this: unknown, key: string, given: unknown): unknown {
  // A Buffer has turned itself into an object with an array of numbers already.
  const own = (this as Record<string, unknown>)[key];
  const value = ArrayBuffer.isView(own) ? own : given;
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Map) return [...value];
  if (value instanceof Set) return [...value];
  if (value instanceof Error) return errorJson(value);
  if (ArrayBuffer.isView(value))
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
  if (value instanceof ArrayBuffer) return Buffer.from(value).toString("base64");
  return value;
}

export function errorJson(error: Error, attempts?: number): Record<string, unknown> {
  const { name, message, stack } = error;
  const { code } = error as { code?: unknown };
  return {
    name,
    message,
    ...(typeof code === "string" ? { code } : {}),
    ...(stack === undefined ? {} : { stack }),
    ...(attempts === undefined ? {} : { attempts }),
  };
}

/**
 * One outcome as one line: `{"index":0,"value":…}` or `{"index":3,"error":{…}}`. A value that JSON cannot say is
 * an error as well: it must not keep the lines of all others from being written.
 */
export function outcomeLine(outcome: MapOutcome<unknown>): { text: string; failed: boolean } {
  const { index, attempts } = outcome;
  let error: Error;
  if ("error" in outcome) error = outcome.error;
  else {
    try {
      return { text: `{"index":${index},"value":${toJson(outcome.value)}}`, failed: false };
    } catch (thrown) {
      error = thrown as Error;
    }
  }
  return { text: `{"index":${index},"error":${toJson(errorJson(error, attempts))}}`, failed: true };
}
