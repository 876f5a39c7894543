import { FarcallError } from "../../spec/errors.ts";
import type { ResultRange } from "../../queue/mapQueue.ts";

/** Outcomes of several ranges as one message has them: what they are in its header, their packs one after another. */

interface RangeHead {
  lo: number;
  count: number;
  errors: number;
  bytes: number;
}

export function joinRanges(results: readonly ResultRange[]): { ranges: RangeHead[]; body: Uint8Array } {
  return {
    ranges: results.map(({ lo, count, errors, body }) => ({ lo, count, errors, bytes: body.byteLength })),
    body: results.length === 1 ? results[0]!.body : Buffer.concat(results.map(({ body }) => body)),
  };
}

/** Throws `protocol.invalid` when the body is not as long as the heads say. */
export function cutRanges(ranges: readonly RangeHead[], body: Uint8Array): ResultRange[] {
  let at = 0;
  const results = ranges.map(({ lo, count, errors, bytes }) => ({
    lo,
    count,
    errors,
    body: body.subarray(at, (at += bytes)),
  }));
  if (at === body.byteLength) return results;
  throw new FarcallError("protocol.invalid", `The outcomes of a chunk are ${body.byteLength} bytes, not ${at}.`);
}
