/** What may become of a job's record: each function checks one and returns what it is to be. */
import { FarcallError } from "../../spec/errors.ts";
import type { RunId } from "../../spec/names.ts";
import type { JobState } from "../mapQueue.ts";
import type { JobIndex } from "./jobIndex.ts";
import { hasEnded } from "../jobState.ts";
import type { StoredJob } from "./records.ts";

export function checkTakesInput(record: StoredJob): void {
  if (hasEnded(record)) throw stateError(record, "takes no more inputs");
  if (record.total !== undefined) throw stateError(record, `takes no more inputs: it was closed at ${record.total}`);
}

/** Undefined when its input is closed at this number already. */
export function closed(
  id: RunId,
  record: StoredJob | undefined,
  { accepted, inputs }: JobIndex,
  total: number,
): StoredJob | undefined {
  if (!record) throw unknown(id);
  if (record.total === total) return undefined;
  if (hasEnded(record)) throw stateError(record, "cannot be closed");
  if (record.total === undefined && accepted === total && inputs.end === total) return { ...record, total };
  const has =
    record.total === undefined
      ? `has ${accepted} without a gap, and the last ends at ${inputs.end}`
      : `was closed at ${record.total}`;
  throw new FarcallError("run.mismatch", `The run ${id} cannot be closed at ${total} inputs: it ${has}.`);
}

export function moved(
  id: RunId,
  record: StoredJob | undefined,
  { to, revision, note }: { to: JobState; revision: number; note: string | undefined },
): StoredJob {
  if (!record) throw unknown(id);
  if (hasEnded(record)) throw stateError(record, `cannot become ${to}`);
  if (record.revision !== revision) {
    throw stateError(record, `cannot become ${to}: it is at revision ${record.revision}, not ${revision}`);
  }
  return { ...record, state: to, revision: revision + 1, note };
}

export function checkDeletable(record: StoredJob): void {
  if (!hasEnded(record)) throw stateError(record, "cannot be deleted before it has ended");
}

function unknown(id: RunId): FarcallError {
  return new FarcallError("run.unknown", `There is no run ${id} in the queue.`);
}

function stateError({ id, state }: StoredJob, what: string): FarcallError {
  return new FarcallError("run.state", `The run ${id} (state ${state}) ${what}.`);
}
