import { decodeValue } from "../protocol/codec.ts";
import { unpackOutcomes } from "../protocol/pack.ts";
import type { RunRecord } from "../protocol/messages/runs.ts";
import { type RemoteOrigin, reviveError } from "./remoteErrors.ts";
import type { Asking } from "./asking.ts";
import type { StackMapper } from "./stacks.ts";

/** What became of one input. */
export type MapOutcome<T> =
  | { index: number; value: T; attempts: number }
  | { index: number; error: Error; attempts: number };

export interface ReadOutcomesOptions {
  order: "index" | "settled";
  /** First index, or with `settled` the sequence number to start behind. Default 0. */
  from?: number;
  errorsOnly?: boolean;
  /** Waits for outcomes that are still to come. */
  follow: boolean;
  signal?: AbortSignal | undefined;
  /** Told, before the outcomes of a batch are given, the `from` with which a reader would go on behind it. */
  onBatch?: (next: number) => void;
  /** Told the record when the reading reached the end of the run. */
  onEnd?: (record: RunRecord) => void;
}

/** Reads the outcomes of a run in batches, across lost connections. */
export async function* readOutcomes<T>(
  session: Asking,
  run: string,
  mapper: StackMapper,
  options: ReadOutcomesOptions,
): AsyncGenerator<MapOutcome<T>[], void, undefined> {
  const { order, errorsOnly = false, follow, signal } = options;
  let from = options.from ?? 0;
  const patience = session.patience(signal);
  for (;;) {
    const stream = session.stream("map.outcomes", { run, order, from, errorsOnly, follow }, { signal });
    try {
      for (;;) {
        const next = await stream.next();
        if (next.done) {
          options.onEnd?.(next.value.value.record);
          return;
        }
        const { lo, sequence, count } = next.value.value;
        const batch: MapOutcome<T>[] = [];
        let index = lo;
        for (const { ok, attempts, bytes } of unpackOutcomes(next.value.body)) {
          // Stored ranges come whole, also to those who go on in the middle of one.
          if (order === "index" && index < from) {
            index++;
            continue;
          }
          if (ok) {
            if (!errorsOnly) batch.push({ index, value: decodeValue(bytes) as T, attempts });
          } else {
            const origin: RemoteOrigin = { run, index, attempts };
            batch.push({ index, error: await reviveError(bytes, origin, mapper), attempts });
          }
          index++;
        }
        from = order === "index" ? lo + count : sequence;
        patience.renew();
        options.onBatch?.(from);
        yield batch;
      }
    } catch (error) {
      await patience.bear(error);
    } finally {
      await stream.return(undefined as never);
    }
  }
}
