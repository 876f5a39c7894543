import { isDiskFull } from "../spec/errors.ts";

/** A failure that says itself what it is. */
export class SetupFailure extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Whatever went wrong, as the client makes an error of it. */
export function failureOf(error: unknown): { code: string; message: string } {
  if (error instanceof SetupFailure) return { code: error.code, message: error.message };
  const { code, message } = error as NodeJS.ErrnoException;
  if (isDiskFull(error)) return { code: "disk.full", message: "The disk is full." };
  if (code === "EROFS" || code === "EACCES" || code === "EPERM")
    return { code: "node.install-failed", message: `Farcall cannot write there: ${message}.` };
  return { code: "node.install-failed", message: message || String(error) };
}
