/**
 * Errors as plain data and back.
 *
 * Whatever was thrown must arrive, so nothing here may throw on the way out: each field is read by itself, a
 * getter that throws costs that field only, and own properties that cannot be serialised (sockets, functions)
 * are left out. On the way in the sender is not trusted: a constructor is taken from a fixed table, never
 * looked up by name, and fields are defined, not assigned, so that no setter runs.
 */
import { inspect, types } from "node:util";

/** What stands for an Error on the wire. The order of the keys matters: the class must be known first. */
export interface ErrorPayload {
  name?: string;
  message?: string;
  stack?: string;
  /** The errors of an AggregateError. */
  errors?: unknown[];
  cause?: unknown;
  /** Own enumerable properties. */
  own?: Record<string, unknown>;
}

const standardErrors: ReadonlyMap<unknown, () => Error> = new Map([
  ["Error", () => new Error()],
  ["TypeError", () => new TypeError()],
  ["RangeError", () => new RangeError()],
  ["SyntaxError", () => new SyntaxError()],
  ["ReferenceError", () => new ReferenceError()],
  ["EvalError", () => new EvalError()],
  ["URIError", () => new URIError()],
  ["AggregateError", () => new AggregateError([])],
]);

/** Keys with a meaning of their own, and those by which a decoded value could pose as something else. */
const reservedKeys = new Set(["name", "message", "stack", "cause", "__proto__", "constructor", "then"]);

/** Whether `value` is an Error, from this realm or another, without ever throwing. */
export function isError(value: unknown): value is Error {
  if (typeof value !== "object" || value === null) return false;
  try {
    return value instanceof Error || types.isNativeError(value);
  } catch {
    return false; // a proxy whose traps throw
  }
}

/**
 * Fills `payload` with what is known about `error`. `canSend` tells whether a value could be serialised at
 * this place; it may come back to this payload, half filled, when an error refers to itself.
 */
export function fillErrorPayload(payload: ErrorPayload, error: Error, canSend: (value: unknown) => boolean): void {
  for (const key of ["name", "message", "stack"] as const) {
    const text = read(error, key);
    if (typeof text === "string") payload[key] = text;
  }
  const errors = hiddenErrors(error);
  if (errors) payload.errors = errors.filter(canSend);
  const cause = read(error, "cause");
  if (cause !== undefined && canSend(cause)) payload.cause = cause;
  const own: Record<string, unknown> = {};
  for (const key of ownKeys(error)) {
    if (reservedKeys.has(key)) continue;
    const value = read(error, key);
    if (value !== unreadable && canSend(value)) own[key] = value;
  }
  if (Object.keys(own).length > 0) payload.own = own;
}

const unreadable = Symbol("unreadable");

function read(error: object, key: string): unknown {
  try {
    return (error as Record<string, unknown>)[key];
  } catch {
    return unreadable;
  }
}

/** The `errors` of an AggregateError; on other classes the field is enumerable and thus one of their own. */
function hiddenErrors(error: object): unknown[] | undefined {
  try {
    if (Object.prototype.propertyIsEnumerable.call(error, "errors")) return undefined;
    const { errors } = error as { errors?: unknown };
    return Array.isArray(errors) ? [...(errors as unknown[])] : undefined;
  } catch {
    return undefined;
  }
}

function ownKeys(error: object): string[] {
  try {
    return Object.keys(error);
  } catch {
    return [];
  }
}

/** An empty Error of the class that `payload` names, when it is a standard one, else a plain Error. */
export function newErrorFor(payload: ErrorPayload): Error {
  const make = standardErrors.get(payload.name);
  const error = make ? make() : new Error();
  if (!make && typeof payload.name === "string") define(error, "name", payload.name);
  return error;
}

/** Gives `error` what the payload holds. Called again with the same two, it completes what was missing. */
export function fillError(error: Error, payload: ErrorPayload): void {
  if (typeof payload.message === "string") define(error, "message", payload.message);
  // Without one, the frames would be those of this file.
  define(error, "stack", typeof payload.stack === "string" ? payload.stack : `${error.name}: ${error.message}`);
  if (Array.isArray(payload.errors)) define(error, "errors", payload.errors);
  if (Object.hasOwn(payload, "cause")) define(error, "cause", payload.cause);
  const { own } = payload;
  if (typeof own !== "object" || own === null) return;
  for (const [key, value] of Object.entries(own)) {
    if (!reservedKeys.has(key)) define(error, key, value, true);
  }
}

function define(error: Error, key: string, value: unknown, enumerable = false): void {
  Object.defineProperty(error, key, { value, enumerable, writable: true, configurable: true });
}

/** The Error that stands for something thrown that is no Error; `thrown` is kept as its own property. */
export function errorForThrown(thrown: unknown): Error {
  const error = new Error(`Non-error thrown: ${show(thrown)}`);
  // Its frames would be those of this file, which say nothing about where it was thrown.
  define(error, "stack", `Error: ${error.message}`);
  define(error, "thrown", thrown, true);
  return error;
}

/** An Error with nothing but the texts of `error`, each cut to `maxChars`. */
export function bareError(error: Error, maxChars: number): Error {
  const payload: ErrorPayload = {};
  fillErrorPayload(payload, error, () => false);
  for (const key of ["name", "message", "stack"] as const) {
    if (payload[key] !== undefined) payload[key] = payload[key].slice(0, maxChars);
  }
  const bare = newErrorFor(payload);
  fillError(bare, payload);
  return bare;
}

function show(thrown: unknown): string {
  const maxChars = 1000;
  try {
    // `customInspect` off and `showProxy` on: no code of the value runs.
    const options = { customInspect: false, showProxy: true, depth: 2, maxStringLength: 200, breakLength: Infinity };
    return inspect(thrown, options).slice(0, maxChars);
  } catch {
    return "a value that cannot be shown";
  }
}
