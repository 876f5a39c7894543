import { fromFailure, toFailure, type Failure } from "../protocol/failure.ts";
import type { RunState } from "../protocol/messages/runs.ts";
import type { JobRecord, JobState } from "../queue/mapQueue.ts";
import { FarcallError } from "../spec/errors.ts";

/** How a map ended and why, as the queue has it for all nodes and as the record says it. */

/** Of the message of an error that ended a map. */
const maxNoteChars = 16 * 1024;

export const stateOfJob: Record<JobState, RunState> = {
  run: "running",
  pause: "paused",
  done: "done",
  failed: "failed",
  cancelled: "cancelled",
};

/** Why a map ended, for the queue to tell all nodes. */
export function noteOf(error: FarcallError): string {
  const failure = toFailure(error);
  return JSON.stringify({ ...failure, message: failure.message.slice(0, maxNoteChars) });
}

/** What the queue has on why a map ended, whichever node ended it. */
export function errorOf({ note }: JobRecord): FarcallError | undefined {
  return note === undefined ? undefined : fromFailure(JSON.parse(note) as Failure);
}

export function stoppedAtError(): FarcallError {
  return new FarcallError("item.failed", "An input failed, and the map was to stop at that.");
}
