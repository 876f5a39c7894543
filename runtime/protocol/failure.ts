import * as v from "valibot";
import { FarcallError, isDiskFull, isErrorCode, messageOf } from "../spec/errors.ts";

/** Farcall's own errors on the wire. Errors of user code are values and travel as such. */

export const failureSchema = v.object({
  code: v.string(),
  message: v.string(),
  hint: v.optional(v.string()),
  retryable: v.optional(v.boolean()),
});
export type Failure = v.InferOutput<typeof failureSchema>;

/** Of an error's message: one that is too long must not break the connection. */
const maxMessageChars = 64 * 1024;

function shorten(text: string): string {
  return text.length > maxMessageChars ? `${text.slice(0, maxMessageChars)}…` : text;
}

export function toFailure(error: unknown): Failure {
  if (error instanceof FarcallError) {
    // Whoever reads `connection.lost` takes it for the loss of this connection, which still carries the message.
    const failure: Failure = {
      code: error.code === "connection.lost" ? "internal" : error.code,
      message: shorten(error.message),
    };
    if (error.hint !== undefined) failure.hint = shorten(error.hint);
    if (error.retryable) failure.retryable = true;
    return failure;
  }
  if (isDiskFull(error)) return { code: "disk.full", message: "The disk is full.", retryable: true };
  const name = error instanceof Error && error.name !== "Error" ? `${error.name}: ` : "";
  return { code: "internal", message: shorten(`${name}${messageOf(error)}`) };
}

export function fromFailure(failure: Failure): FarcallError {
  const options: { hint?: string; retryable: boolean } = { retryable: failure.retryable ?? false };
  if (failure.hint !== undefined) options.hint = failure.hint;
  return new FarcallError(isErrorCode(failure.code) ? failure.code : "internal", failure.message, options);
}

export function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new FarcallError("internal", messageOf(reason));
}
