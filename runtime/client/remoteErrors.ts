import { decodeError } from "../protocol/codec.ts";
import { FarcallError, isErrorCode } from "../spec/errors.ts";
import type { StackMapper } from "./stacks.ts";

/** Where in a run an error came from. */
export interface RemoteOrigin {
  run: string;
  /** Index of the input; absent for a single call. */
  index?: number;
  /** How often the function was begun for the input. */
  attempts?: number;
  replica?: number;
}

const origins = new WeakMap<Error, RemoteOrigin>();

/** Where a remote error came from; undefined for an error of this process. */
export function originOf(error: unknown): RemoteOrigin | undefined {
  return error instanceof Error ? origins.get(error) : undefined;
}

/** Rebuilds an error from a worker, with its stack in terms of the user's files. */
export async function reviveError(bytes: Uint8Array, origin: RemoteOrigin, mapper: StackMapper): Promise<Error> {
  const error = withOwnClass(decodeError(bytes));
  await mapper.map(error);
  origins.set(error, origin);
  return error;
}

/** Farcall's own errors get their class back, so that `instanceof` and `code` work as for local ones. */
function withOwnClass(error: Error): Error {
  const { code, hint } = error as { code?: unknown; hint?: unknown };
  if (error.name !== "FarcallError" || !isErrorCode(code)) return error;
  const own = new FarcallError(code, error.message, {
    ...(typeof hint === "string" ? { hint } : {}),
    ...(error.cause === undefined ? {} : { cause: error.cause }),
  });
  if (error.stack !== undefined)
    Object.defineProperty(own, "stack", { value: error.stack, configurable: true, writable: true });
  return own;
}
