import type { AgentMethods } from "./messages/agent.ts";
import type { Params, Result } from "./messages/catalogue.ts";
import { type Outcome, unpackOutcomes } from "./pack.ts";
import type { Answer } from "./rpc.ts";

const maxBodyBytes = 16 * 1024 * 1024;

type Picked = Result<AgentMethods["map.pick"]>["picked"];

/** Neighbouring outcomes as they are stored: the index of the first, and a pack of them. */
export interface StoredRange {
  lo: number;
  body: Uint8Array;
}

/**
 * Answers `map.pick` out of ranges that are stored. Those of neighbours lie together, so each range is read once;
 * `readRange` gives the one that holds an index, or the first behind it.
 */
export async function pickStored(
  readRange: (index: number) => Promise<StoredRange | undefined>,
  { indices, maxBytes }: Pick<Params<AgentMethods["map.pick"]>, "indices" | "maxBytes">,
  signal?: AbortSignal,
): Promise<Answer<{ picked: Picked }>> {
  const picked: Picked = [];
  const bodies: Uint8Array[] = [];
  let bodyBytes = 0;
  let range: { lo: number; outcomes: Outcome[] } | undefined;
  for (const index of [...new Set(indices)].sort((a, b) => a - b)) {
    if (signal?.aborted) break;
    if (!range || index >= range.lo + range.outcomes.length) {
      const stored = await readRange(index);
      if (!stored) break;
      range = { lo: stored.lo, outcomes: unpackOutcomes(stored.body) };
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
