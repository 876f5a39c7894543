/** What callers may hand to a queue, checked the same way before every adapter. */
import { FarcallError } from "../spec/errors.ts";
import type { NewChunk, Settlement } from "./mapQueue.ts";

interface Range {
  lo: number;
  count: number;
}

function isRange({ lo, count }: Range): boolean {
  return (
    Number.isSafeInteger(lo) && lo >= 0 && Number.isSafeInteger(count) && count > 0 && Number.isSafeInteger(lo + count)
  );
}

/** Throws `input.invalid` for a chunk that is none. */
export function checkChunks(chunks: readonly NewChunk[]): void {
  for (const chunk of chunks) {
    const { deaths = 0 } = chunk;
    if (isRange(chunk) && chunk.body instanceof Uint8Array && Number.isSafeInteger(deaths) && deaths >= 0) continue;
    throw new FarcallError(
      "input.invalid",
      `A chunk of inputs from ${chunk.lo}, ${chunk.count} of them, cannot be stored: it needs whole numbers and a body of bytes.`,
    );
  }
}

/** Throws `internal` unless results and children together are the chunk: every input of it once, and no other. */
export function checkSettlement(chunk: Range, { results, children }: Settlement): void {
  const parts: Range[] = [...results, ...children];
  parts.sort((a, b) => a.lo - b.lo);
  let covered = chunk.lo;
  for (const part of parts) {
    if (!isRange(part) || part.lo !== covered) throw uncovered(chunk, `a part begins at ${part.lo}, not ${covered}`);
    covered += part.count;
  }
  if (covered !== chunk.lo + chunk.count) throw uncovered(chunk, `its parts end at ${covered}`);
  for (const { lo, count, errors, body } of results) {
    if (Number.isSafeInteger(errors) && errors >= 0 && errors <= count && body instanceof Uint8Array) continue;
    throw uncovered(chunk, `the result at ${lo} has ${errors} errors in ${count} inputs`);
  }
  checkChunks(children);
}

function uncovered({ lo, count }: Range, why: string): FarcallError {
  return new FarcallError("internal", `The settlement of the ${count} inputs from ${lo} does not fit them: ${why}.`);
}
