import { decodeValue, encodeError, encodeValue } from "../protocol/codec.ts";
import type { Outcome } from "../protocol/pack.ts";
import { FarcallError } from "../spec/errors.ts";
import { type CallContext, runInContext } from "./context.ts";

/** Runs the user's function once, whatever kind of function it is, within its time. */

export type UserFunction = (...args: unknown[]) => unknown;

/** How long a function that was told to stop may take before it counts as stray and its worker is replaced. */
const strayAfterMs = 2_000;

/** Functions that went on after their time was up or their call was cancelled. */
export const strays = { count: 0 };

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

export function isAsyncIterator(value: unknown): value is AsyncGenerator {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value && "next" in value;
}

export function isIterator(value: unknown): value is Generator {
  return typeof value === "object" && value !== null && Symbol.iterator in value && "next" in value;
}

/** What a map keeps of a generator: all it yielded, in order. */
async function collect(value: AsyncGenerator | Generator): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const each of value) all.push(each);
  return all;
}

/**
 * Begins one attempt and returns its encoded outcome, at once when the function is synchronous: a promise
 * for each of a million no-op inputs would double their cost.
 */
export function attempt(
  fn: UserFunction,
  input: Uint8Array,
  context: CallContext,
  timeoutMs: number | null,
): Outcome | Promise<Outcome> {
  let returned: unknown;
  try {
    const value = decodeValue(input);
    returned = runInContext(context, () => fn(value));
    if (isAsyncIterator(returned) || isIterator(returned)) {
      const generator = returned;
      returned = runInContext(context, () => collect(generator));
    }
    if (!isThenable(returned)) return { ok: true, attempts: context.attempt, bytes: encodeValue(returned) };
  } catch (thrown) {
    return failed(context, thrown);
  }
  return settle(returned, context, timeoutMs);
}

async function settle(
  returned: PromiseLike<unknown>,
  context: CallContext,
  timeoutMs: number | null,
): Promise<Outcome> {
  try {
    const value = await bounded(returned, context, timeoutMs);
    return { ok: true, attempts: context.attempt, bytes: encodeValue(value) };
  } catch (thrown) {
    return failed(context, thrown);
  }
}

function failed(context: CallContext, thrown: unknown): Outcome {
  return { ok: false, attempts: context.attempt, bytes: encodeError(thrown) };
}

/** Waits for the function no longer than its time, then tells it to stop through its signal. */
export function bounded<T>(returned: PromiseLike<T>, context: CallContext, timeoutMs: number | null): Promise<T> {
  if (timeoutMs === null) return Promise.resolve(returned);
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => {
      const error = new FarcallError("item.timeout", `The function did not finish within ${timeoutMs} ms.`);
      context.abort(error);
      reject(error);
      watchStray(returned);
    }, timeoutMs);
    returned.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}

/** Counts `returned` as stray if it goes on long after it was told to stop. */
export function watchStray(returned: PromiseLike<unknown>): void {
  let settled = false;
  let counted = false;
  const done = () => {
    settled = true;
    if (counted) strays.count--;
  };
  returned.then(done, done);
  setTimeout(() => {
    if (settled) return;
    counted = true;
    strays.count++;
  }, strayAfterMs).unref();
}
