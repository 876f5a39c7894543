import { decodeValue } from "../protocol/codec.ts";
import { maxPicked } from "../protocol/messages/maps.ts";
import { reviveError } from "./remoteErrors.ts";
import type { Asking } from "./asking.ts";
import type { StackMapper } from "./stacks.ts";

/** What became of one input, or, where that is too large to be read along the way, which of the two it is. */
export type PickedOutcome<T = unknown> = {
  index: number;
  attempts: number;
  /** Of the encoded value or error. */
  sizeBytes: number;
} & ({ value: T } | { error: Error } | { withheld: "value" | "error" });

export interface PickOptions {
  /** Larger outcomes are withheld. Default 64 KiB. */
  maxBytes?: number;
  signal?: AbortSignal;
}

const defaultMaxBytes = 64 * 1024;

/** The outcomes of some inputs of a map, by rising index; those without one are left out. */
export async function pickOutcomes<T>(
  session: Asking,
  run: string,
  mapper: StackMapper,
  indices: readonly number[],
  { maxBytes = defaultMaxBytes, signal }: PickOptions,
): Promise<PickedOutcome<T>[]> {
  const wanted = [...new Set(indices)].sort((a, b) => a - b);
  const outcomes: PickedOutcome<T>[] = [];
  for (let from = 0; from < wanted.length; from += maxPicked) {
    const some = wanted.slice(from, from + maxPicked);
    const { value, body } = await session.request("map.pick", { run, indices: some, maxBytes }, { signal });
    let at = 0;
    for (const { index, ok, attempts, sizeBytes, withheld } of value.picked) {
      if (withheld) {
        outcomes.push({ index, attempts, sizeBytes, withheld: ok ? "value" : "error" });
        continue;
      }
      const bytes = body.subarray(at, (at += sizeBytes));
      if (ok) outcomes.push({ index, attempts, sizeBytes, value: decodeValue(bytes) as T });
      else {
        const error = await reviveError(bytes, { run, index, attempts }, mapper);
        outcomes.push({ index, attempts, sizeBytes, error });
      }
    }
  }
  return outcomes;
}
