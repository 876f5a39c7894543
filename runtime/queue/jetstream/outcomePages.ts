/** Pages of outcomes, chosen by the index alone, so that only the bodies of the page are read. */
import type { OutcomeQuery, OutcomeRecord } from "../mapQueue.ts";
import type { Job } from "./job.ts";
import { firstSequenceOf, type IndexedRange, type JobIndex } from "./jobIndex.ts";
import type { OutcomeBodies } from "./outcomeBodies.ts";

export async function readPage(job: Job, bodies: OutcomeBodies, query: OutcomeQuery): Promise<OutcomeRecord[]> {
  if (query.order === "settled") await job.ordered();
  const { index } = job;
  const ranges = choose(index, query, firstSequenceOf(job.position + 1));
  const read = await bodies.read(job.key, index, ranges);
  return ranges.map(({ lo, count, errors, sequence }, i) => ({ lo, count, errors, sequence, body: read[i]! }));
}

/** `end`: what is settled from this sequence on may still have gaps. */
function choose(index: JobIndex, query: OutcomeQuery, end: number): IndexedRange[] {
  const { order, from, limit, limitBytes, errorsOnly = false } = query;
  const chosen: IndexedRange[] = [];
  let bytes = 0;
  const byIndex = order === "index";
  for (let at = byIndex ? index.outcomes.holding(from) : index.settledAfter(from); ; at++) {
    const range = byIndex ? index.outcomes.at(at) : index.settledOrder[at];
    if (range === undefined || (!byIndex && range.sequence >= end)) break;
    if (errorsOnly && range.errors === 0) continue;
    chosen.push(range);
    bytes += range.bytes;
    if (bytes >= limitBytes || chosen.length >= Math.max(1, limit)) break;
  }
  return chosen;
}
