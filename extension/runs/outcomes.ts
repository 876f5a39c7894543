import type { MapOutcome, Run } from "../../runtime/index.ts";

/** Outcomes of a map, whole ones: what is too large to be picked is read where it lies. */

const pickAtATime = 200;
const noLimit = { maxBytes: Number.MAX_SAFE_INTEGER };

/** The outcome of one input; undefined while it has none. */
export async function wholeOutcome(
  run: Run,
  index: number,
  signal: AbortSignal,
): Promise<MapOutcome<unknown> | undefined> {
  const [picked] = await run.pick([index], { ...noLimit, signal });
  if (!picked || !("withheld" in picked)) return picked;
  // The agent gives no more than 16 MiB at once to who picks; reading has no such limit.
  for await (const batch of run.batches({ order: "index", from: index, follow: false, signal })) {
    const found = batch.find((each) => each.index === index);
    if (found) return found;
    if (batch.some((each) => each.index > index)) break;
  }
  return undefined;
}

/** Those of `order` in that order, or without it all in the order of inputs. */
export async function* outcomesOf(
  run: Run,
  order: Uint32Array | undefined,
  signal: AbortSignal,
): AsyncGenerator<MapOutcome<unknown>, void, undefined> {
  if (!order) {
    yield* run.outcomes({ order: "index", follow: false, signal });
    return;
  }
  for (let at = 0; at < order.length; at += pickAtATime)
    yield* picked(run, [...order.subarray(at, at + pickAtATime)], signal);
}

async function* picked(run: Run, indices: number[], signal: AbortSignal): AsyncGenerator<MapOutcome<unknown>> {
  const answer = new Map((await run.pick(indices, { ...noLimit, signal })).map((each) => [each.index, each]));
  for (const index of indices) {
    const found = answer.get(index);
    answer.delete(index);
    const whole = found && "withheld" in found ? await wholeOutcome(run, index, signal) : found;
    if (whole) yield whole;
  }
}
