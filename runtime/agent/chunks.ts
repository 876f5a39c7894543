import { slicePack } from "../protocol/pack.ts";
import type { Chunk, NewChunk, ResultRange } from "../queue/mapQueue.ts";

/** Cutting chunks. */

/** The inputs of a chunk from index `from` up to, not including, `to`, as a chunk of their own. */
export function piece(chunk: Chunk, from: number, to: number, deaths: number = chunk.deaths): NewChunk {
  return { lo: from, count: to - from, body: slicePack(chunk.body, from - chunk.lo, to - chunk.lo), deaths };
}

/** The inputs of a chunk that no range covers. */
export function gaps(chunk: Chunk, ranges: readonly ResultRange[]): { from: number; to: number }[] {
  const found: { from: number; to: number }[] = [];
  let at = chunk.lo;
  for (const range of ranges.toSorted((a, b) => a.lo - b.lo)) {
    if (range.lo > at) found.push({ from: at, to: range.lo });
    at = Math.max(at, range.lo + range.count);
  }
  const end = chunk.lo + chunk.count;
  if (at < end) found.push({ from: at, to: end });
  return found;
}

/** What has no outcome yet of a chunk with these results. */
export function remainder(chunk: Chunk, results: readonly ResultRange[]): NewChunk[] {
  return gaps(chunk, results).map(({ from, to }) => piece(chunk, from, to));
}

/** Up to `pieces` chunks of `size` inputs from the front of a chunk, and the rest in one. */
export function splitFront(chunk: Chunk, size: number, pieces: number): NewChunk[] {
  const end = chunk.lo + chunk.count;
  const children: NewChunk[] = [];
  let from = chunk.lo;
  while (children.length < pieces && from < end) {
    const to = Math.min(end, from + size);
    children.push(piece(chunk, from, to));
    from = to;
  }
  if (from < end) children.push(piece(chunk, from, end));
  return children;
}
