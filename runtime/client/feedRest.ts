import { FarcallError } from "../spec/errors.ts";
import type { Inputs } from "../spec/inputs.ts";
import { Feeder, isEnded, leaveFeed, NotSent, takeFeed, takeFeedAgain } from "./feeder.ts";
import { chunkInputs } from "./inputs.ts";
import type { Asking } from "./asking.ts";

export interface FeedOptions {
  /** Aborting leaves the run as it is, for whoever goes on with it. */
  signal?: AbortSignal;
}

/**
 * What became of sending: `sent` when the cluster has all inputs, `busy` when another process is sending them, `ended`
 * when the run takes none any more.
 */
export type Fed = "sent" | "busy" | "ended";

/**
 * Sends the inputs of a map that the process that began it did not get to send. The agent has the code and the options
 * as they were then. `open` gives all inputs from the first on, and is asked for them only when some are needed.
 */
export async function feedRest(
  session: Asking,
  run: string,
  open: () => Inputs<unknown> | Promise<Inputs<unknown>>,
  { signal = new AbortController().signal }: FeedOptions = {},
): Promise<Fed> {
  const { value } = await session.request("run.get", { run }, { signal });
  const { total, endedAtMs, kind } = value.record;
  if (kind !== "map") throw new FarcallError("run.state", `The run ${run} is a call, which has no inputs.`);
  if (endedAtMs !== null) return "ended";
  if (total !== null) return "sent";
  const rest = await takeFeed(session, run, signal);
  if (typeof rest === "string") return rest;
  session.followed.begin(run);
  try {
    const chunks = chunkInputs(await open(), rest.accepted, rest.stored);
    await new Feeder(session, run, () => takeFeedAgain(session, run, signal), signal).send(chunks);
    return "sent";
  } catch (error) {
    if (isEnded(error)) return "ended";
    // What the cluster has stays, and so does the run: it may be gone on with when the cause is mended.
    await leaveFeed(session, run);
    throw error instanceof NotSent ? error.cause : error;
  }
}
