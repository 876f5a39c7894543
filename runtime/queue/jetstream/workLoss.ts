/** Notices when the stream of work was lost alone: its inputs are nowhere else, so waiting for them would never end. */
import { FarcallError } from "../../spec/errors.ts";
import type { RunId } from "../../spec/names.ts";
import type { Connection } from "./connection.ts";
import type { Job } from "./job.ts";
import { streams, subjects } from "./streams.ts";

/**
 * Whether an input that was accepted has neither an outcome nor a place in the stream of work, where it stays until its
 * outcome is stored. One that had none before there was no work any more, and has none afterwards, is lost.
 */
export async function isWorkLost(connection: Connection, job: Job): Promise<boolean> {
  await job.sync();
  const open = job.index.firstOpen();
  if (open === undefined) return false;
  const { state } = await connection.persist(() =>
    connection.manager.streams.info(streams.work, { subjects_filter: subjects.work(job.key) }),
  );
  if (Object.keys(state.subjects ?? {}).length > 0) return false;
  await job.sync();
  return job.index.firstOpen() === open;
}

export function workLost(id: RunId): FarcallError {
  return new FarcallError(
    "queue.corrupt",
    `The cluster's queue has lost inputs of the run ${id} that have no outcome.`,
    {
      hint: "Was a disk lost, or a stream deleted? Map the inputs again; the outcomes that there are can still be read.",
    },
  );
}
