import type { RunRecord } from "../protocol/messages/runs.ts";
import { hasEnded } from "../protocol/runState.ts";
import type { Incoming } from "../protocol/served.ts";
import type { RunId } from "../spec/names.ts";
import { type Changes, replicasKey } from "./changes.ts";

const everyMs = 250;
const recordEveryMs = 100;
/** An item travels in the header of a frame, which is capped at 1 MiB; a record has two paths of up to 4 KiB. */
const maxRecords = 100;
/** Runs that wait to be told of; beyond it, calls are left out, as there are too many for anyone to watch. */
const maxWaiting = 1_000;

export interface ChangeSource {
  record(run: RunId): Promise<RunRecord>;
  replicaCount(): number;
}

/** Sends what changes on the node, until the one who asked leaves. */
export async function followChanges(
  changes: Changes,
  source: ChangeSource,
  incoming: Incoming<{ runs: RunRecord[]; replicas: number }>,
): Promise<void> {
  const { signal } = incoming;
  /** Runs to tell of, and whether they may be left out. */
  const waiting = new Map<RunId, boolean>();
  let replicas = -1;
  let wake: (() => void) | undefined;
  const stop = changes.onAny((key, passing) => {
    if (key !== replicasKey) waiting.set(key, passing);
    if (waiting.size > maxWaiting) dropPassing(waiting);
    wake?.();
  });
  const onAbort = () => wake?.();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    while (!signal.aborted) {
      const some = [...waiting.keys()].slice(0, maxRecords);
      for (const run of some) waiting.delete(run);
      // A run that is gone meanwhile is no news.
      const records = await Promise.all(some.map((run) => source.record(run).catch(() => undefined)));
      const runs = records.filter((record) => record !== undefined);
      const now = source.replicaCount();
      if (runs.length > 0 || now !== replicas) await incoming.send({ runs, replicas: now });
      replicas = now;
      await new Promise((resolve) => setTimeout(resolve, everyMs));
      if (signal.aborted || waiting.size > 0 || source.replicaCount() !== replicas) continue;
      await new Promise<void>((resolve) => (wake = resolve));
      wake = undefined;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    stop();
  }
}

/** Sends the record of a run whenever it changed, no more often than `recordEveryMs`, until the run has ended. */
export async function followRecord(
  changes: Changes,
  source: Pick<ChangeSource, "record">,
  run: RunId,
  incoming: Incoming<{ record: RunRecord }>,
): Promise<void> {
  const { signal } = incoming;
  while (!signal.aborted) {
    const version = changes.version(run);
    const record = await source.record(run);
    await incoming.send({ record });
    if (hasEnded(record.state)) return;
    await changes.wait(run, version, signal);
    await new Promise((resolve) => setTimeout(resolve, recordEveryMs));
  }
}

function dropPassing(waiting: Map<RunId, boolean>): void {
  for (const [run, passing] of waiting) {
    if (waiting.size <= maxWaiting / 2) return;
    if (passing) waiting.delete(run);
  }
}
