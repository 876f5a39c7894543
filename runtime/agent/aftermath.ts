import { encodeError } from "../protocol/codec.ts";
import { packOutcomes } from "../protocol/pack.ts";
import type { Lease, NewChunk, ResultRange, Settlement } from "../queue/mapQueue.ts";
import type { FarcallError } from "../spec/errors.ts";
import { gaps, piece, remainder } from "./chunks.ts";
import { type Death, describeDeath } from "./death.ts";

/** Workers that die over one input before it is given up. */
const maxDeaths = 3;

/**
 * What becomes of a slice whose worker died.
 *
 * Inputs that were being worked on, as the worker's journal has it, are blamed: tried again alone, with their
 * count of deaths raised, or given up at `maxDeaths` with an error as their outcome. When the journal is not
 * exact, or does not know the slice although it had begun, the real culprit may be among the others, so those
 * carry one more death as well; that alone makes the next worker keep an exact journal, and the culprit is
 * found there. A slice that only waited in the worker goes back as it was.
 *
 * An input that was ended for its time needs no second try to be known, unless several were being worked on
 * and any of them may have held up the worker; then each is tried alone.
 */
export function aftermath(
  slice: { lease: Lease; results: readonly ResultRange[] },
  death: Death,
  retries: number,
): Settlement {
  const { lease, results } = slice;
  const { chunk } = lease;
  const active = death.journal.slices.get(lease.token);
  const begun = active !== undefined || results.length > 0;
  const innocent = death.killedFor === "stopped" || death.killedFor === "cancelled";
  if (!begun || innocent) return { results, children: remainder(chunk, results) };

  const blamed = new Set(chunk.count === 1 ? [chunk.lo] : active);
  const exact = active !== undefined && (death.journal.exact || death.killedFor === "timeout");
  const deaths = chunk.deaths + 1;
  const overTime = death.killedFor === "timeout" && blamed.size === 1;
  const givenUp = overTime ? deaths > retries : deaths >= maxDeaths;

  const outcomes = [...results];
  const children: NewChunk[] = [];
  for (const gap of gaps(chunk, results)) {
    let from = gap.from;
    const keepUpTo = (to: number) => {
      if (to > from) children.push(piece(chunk, from, to, exact ? chunk.deaths : deaths));
    };
    for (let index = gap.from; index < gap.to; index++) {
      if (!blamed.has(index)) continue;
      keepUpTo(index);
      from = index + 1;
      if (givenUp) outcomes.push(errorRange(index, describeDeath(death, deaths), deaths));
      else children.push(piece(chunk, index, index + 1, deaths));
    }
    keepUpTo(gap.to);
  }
  return { results: outcomes, children };
}

function errorRange(index: number, error: FarcallError, attempts: number): ResultRange {
  return { lo: index, count: 1, errors: 1, body: packOutcomes([{ ok: false, attempts, bytes: encodeError(error) }]) };
}
