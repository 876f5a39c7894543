import type { AgentMethods, Params, Result } from "../protocol/messages.ts";
import { type Outcome, unpackOutcomes } from "../protocol/pack.ts";
import type { Answer } from "../protocol/rpc.ts";
import type { MapQueue } from "../queue/mapQueue.ts";

const maxBodyBytes = 16 * 1024 * 1024;

type Picked = Result<AgentMethods["map.pick"]>["picked"];

/** The outcomes of some inputs. Those of neighbours are stored together, so each range is read once. */
export async function pickOutcomes(
  queue: MapQueue,
  { run, indices, maxBytes }: Params<AgentMethods["map.pick"]>,
  signal: AbortSignal,
): Promise<Answer<{ picked: Picked }>> {
  const picked: Picked = [];
  const bodies: Uint8Array[] = [];
  let bodyBytes = 0;
  let range: { lo: number; outcomes: Outcome[] } | undefined;
  for (const index of [...new Set(indices)].sort((a, b) => a - b)) {
    if (signal.aborted) break;
    if (!range || index >= range.lo + range.outcomes.length) {
      range = await readRange(queue, run, index);
      if (!range) break;
    }
    const outcome = range.outcomes[index - range.lo];
    if (!outcome) continue;
    const { ok, attempts, bytes } = outcome;
    const sizeBytes = bytes.byteLength;
    const withheld = sizeBytes > maxBytes || bodyBytes + sizeBytes > maxBodyBytes;
    picked.push({ index, ok, attempts, sizeBytes, withheld });
    if (withheld) continue;
    // A copy, so that the range need not be kept for a part of it.
    bodies.push(Buffer.from(bytes));
    bodyBytes += sizeBytes;
  }
  return { result: { picked }, body: Buffer.concat(bodies) };
}

/** The range that holds `index`, or the first behind it. */
async function readRange(queue: MapQueue, run: string, index: number) {
  // In a turn of its own: a thousand scattered indices are a thousand ranges.
  await new Promise((resolve) => setImmediate(resolve));
  const { ranges } = await queue.outcomes(run, { order: "index", from: index, limit: 1, limitBytes: 1 });
  const [first] = ranges;
  return first && { lo: first.lo, outcomes: unpackOutcomes(first.body) };
}
