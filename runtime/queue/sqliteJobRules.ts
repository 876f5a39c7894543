/** What may become of a job: each function checks and then changes it, inside a transaction. */
import { FarcallError } from "../spec/errors.ts";
import type { JobState, NewChunk } from "./mapQueue.ts";
import { hasEnded } from "./jobState.ts";
import type { Job } from "./sqliteJobs.ts";
import type { SqliteStore } from "./sqliteStore.ts";

export function addChunks(
  { jobs, inputs, work }: SqliteStore,
  job: Job,
  chunks: readonly NewChunk[],
  maxPendingBytes: number,
): void {
  if (hasEnded(job.tally)) throw stateError(job, "takes no more inputs");
  if (job.tally.total !== undefined) throw stateError(job, `takes no more inputs: it was closed at ${job.tally.total}`);
  const fresh = inputs.fresh(job, chunks);
  if (fresh.length === 0) return;
  const waitingBytes = jobs.workBytes;
  // A chunk larger than the limit has to get in at some time.
  if (waitingBytes > 0 && waitingBytes + byteLength(fresh) > maxPendingBytes) {
    throw new FarcallError("queue.back-pressure", `Too many inputs are waiting: ${waitingBytes} bytes of them.`, {
      retryable: true,
      hint: "Send them again when some are done.",
    });
  }
  work.add(job, fresh);
  inputs.count(job, jobs.touch(job), fresh);
}

export function closeInput({ jobs }: SqliteStore, job: Job, total: number): void {
  const { accepted, inputEnd, total: before } = job.tally;
  if (before === total) return;
  if (hasEnded(job.tally)) throw stateError(job, "cannot be closed");
  if (before === undefined && accepted === total && inputEnd === total) {
    jobs.touch(job).total = total;
    return;
  }
  const has =
    before === undefined
      ? `has ${accepted} without a gap, and the last ends at ${inputEnd}`
      : `was closed at ${before}`;
  throw new FarcallError("run.mismatch", `The run ${job.id} cannot be closed at ${total} inputs: it ${has}.`);
}

/** Returns the new revision. */
export function setState(
  { jobs, sweep }: SqliteStore,
  job: Job,
  { to, revision, note }: { to: JobState; revision: number; note: string | undefined },
): number {
  if (hasEnded(job.tally)) throw stateError(job, `cannot become ${to}`);
  if (job.tally.revision !== revision) {
    throw stateError(job, `cannot become ${to}: it is at revision ${job.tally.revision}, not ${revision}`);
  }
  const tally = jobs.touch(job);
  tally.revision++;
  jobs.note(job, note);
  if (to === "run" || to === "pause") {
    tally.state = to;
  } else {
    jobs.end(job, to);
    sweep.add(job.key, false);
  }
  return tally.revision;
}

export function deleteJob({ jobs, credits, sweep }: SqliteStore, job: Job): void {
  if (!hasEnded(job.tally)) throw stateError(job, "cannot be deleted before it has ended");
  credits.remove(job);
  jobs.remove(job);
  sweep.add(job.key, true);
}

export function byteLength(parts: readonly { body: Uint8Array }[]): number {
  return parts.reduce((sum, { body }) => sum + body.byteLength, 0);
}

function stateError({ id, tally: { state } }: Job, what: string): FarcallError {
  return new FarcallError("run.state", `The run ${id} (state ${state}) ${what}.`);
}
