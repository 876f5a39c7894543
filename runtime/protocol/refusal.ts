import { types } from "node:util";
import { DevalueError } from "devalue";
import { FarcallError, messageOf } from "../spec/errors.ts";

/** Put in the place of a value that must not be sent, so that the refusal carries the path to it. */
export class Refusal {
  /** Completes a sentence that begins with the path. */
  readonly why: string;
  constructor(why: string) {
    this.why = why;
  }
}

const maxPathChars = 300;

/** What the serialiser threw, as the error a person sees: `$.rows[3].callback is a function`. */
export function refusalOf(thrown: unknown): FarcallError {
  if (thrown instanceof FarcallError) return thrown;
  if (thrown instanceof DevalueError) {
    const path = `$${thrown.path}`;
    const shown = path.length > maxPathChars ? `${path.slice(0, maxPathChars)}…` : path;
    return unserializable(`${shown} ${whatIsWrong(thrown.value, thrown.message)}`, thrown);
  }
  if (thrown instanceof RangeError) {
    // Two causes share the class: the stack and the longest string of the engine. Only the text tells them apart.
    if (thrown.message.includes("string length")) return tooLarge("it does not fit into one string", thrown);
    return unserializable("it is nested too deeply", thrown);
  }
  return unserializable(messageOf(thrown), thrown);
}

export function tooLarge(why: string, cause?: unknown): FarcallError {
  return new FarcallError("value.too-large", `Cannot send the value: ${why}.`, {
    cause,
    hint: "Split it over several inputs, or write it to a file or an object store and send its address.",
  });
}

function unserializable(why: string, cause: unknown): FarcallError {
  return new FarcallError("value.unserializable", `Cannot send the value: ${why}.`, {
    cause,
    hint: "Plain objects, arrays, Map, Set, Date, BigInt, URL, binary data and Errors can be sent.",
  });
}

/** Completes the sentence that begins with the path of `value`; never runs code of the value. */
function whatIsWrong(value: unknown, otherwise: string): string {
  if (typeof value === "function") return "is a function";
  if (typeof value === "symbol") return "is a symbol";
  if (types.isProxy(value)) return "is a proxy that does not let itself be read";
  if (value instanceof Refusal) return value.why;
  if (types.isPromise(value)) return "is a promise: await it first";
  if (types.isRegExp(value)) return "is a RegExp: send its source and flags";
  if (typeof value !== "object" || value === null) return `cannot be sent: ${otherwise}`;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return "has an own key __proto__";
  return `is an instance of ${className(prototype as object)}, not plain data`;
}

function className(prototype: object): string {
  for (const name of [constructorName(prototype), tagName(prototype)]) {
    if (typeof name === "string" && name !== "") return name;
  }
  return "a class without a name";
}

function constructorName(prototype: object): unknown {
  try {
    return (prototype as { constructor?: { name?: unknown } }).constructor?.name;
  } catch {
    return undefined;
  }
}

function tagName(prototype: object): unknown {
  try {
    return (prototype as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag];
  } catch {
    return undefined;
  }
}
