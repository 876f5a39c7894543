/** What an error of SQLite means for the queue. Codes: https://sqlite.org/rescode.html */
import { FarcallError, isDiskFull, messageOf } from "../spec/errors.ts";

const resultCodes = {
  error: 1,
  permission: 3,
  busy: 5,
  noMemory: 7,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
} as const;
const shortRead = 522;

/** The primary result code, without what the extended code adds to it; undefined for an error of another origin. */
function resultCode(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const { errcode } = thrown as { errcode?: unknown };
  return typeof errcode === "number" ? errcode & 0xff : undefined;
}

/** True when the store failed as a whole, as opposed to the one statement that ran into it. */
export function isStorageFailure(thrown: unknown): boolean {
  const { noMemory, readOnly, ioError, corrupt, full, cannotOpen, notADatabase } = resultCodes;
  const code = resultCode(thrown);
  if (code === undefined) return isDiskFull(thrown);
  return [noMemory, readOnly, ioError, corrupt, full, cannotOpen, notADatabase].some((one) => one === code);
}

export function isBusy(thrown: unknown): boolean {
  return resultCode(thrown) === resultCodes.busy;
}

/**
 * True when an error met while a queue file is opened means that the file is damaged. `writable` tells whether
 * the file system would allow writing: if so, a refusal to write comes from the file's own header.
 */
export function isDamage(thrown: unknown, writable: boolean): boolean {
  if (thrown instanceof FarcallError) return thrown.code === "queue.corrupt";
  if (thrown instanceof Error && (thrown as { errcode?: unknown }).errcode === shortRead) return true;
  const code = resultCode(thrown);
  if (code === resultCodes.readOnly) return writable;
  // A plain error while opening is a table that is not there, or a schema that cannot be read.
  return code === resultCodes.corrupt || code === resultCodes.notADatabase || code === resultCodes.error;
}

/** Any error as one of Farcall's own: `disk.full`, `queue.corrupt`, `home.unusable` or `internal`. */
export function asQueueError(thrown: unknown, file: string): FarcallError {
  if (thrown instanceof FarcallError) return thrown;
  const why = messageOf(thrown);
  if (isDiskFull(thrown)) {
    return new FarcallError("disk.full", `Cannot write to the queue ${file}: ${why}.`, {
      cause: thrown,
      retryable: true,
      hint: "Free some space on that disk; what was stored before is kept, and the queue goes on by itself.",
    });
  }
  switch (resultCode(thrown)) {
    case resultCodes.ioError:
      return new FarcallError("disk.full", `Cannot read or write the queue ${file}: ${why}.`, {
        cause: thrown,
        retryable: true,
        hint: "The disk refused the operation: check its free space and its health.",
      });
    case resultCodes.corrupt:
    case resultCodes.notADatabase:
      return new FarcallError("queue.corrupt", `The queue ${file} is damaged: ${why}.`, {
        cause: thrown,
        hint: "Restart the agent: it moves the damaged file aside and begins with an empty queue.",
      });
    case resultCodes.permission:
    case resultCodes.readOnly:
    case resultCodes.cannotOpen:
      return new FarcallError("home.unusable", `Cannot use the queue ${file}: ${why}.`, {
        cause: thrown,
        hint: "The agent needs a folder that it may read and write.",
      });
    default:
      return new FarcallError("internal", `The queue ${file} failed: ${why}.`, { cause: thrown });
  }
}
