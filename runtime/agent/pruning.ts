import { logFault } from "./faults.ts";
import type { RunLogs } from "./logs.ts";
import type { RunStore } from "./runs.ts";

const everyMs = 10_000;

/** Removes the oldest runs beyond those that are kept, and their logs, now and from time to time; returns what ends that. */
export function keepPruned(runs: RunStore, logs: RunLogs): () => void {
  const prune = () => {
    try {
      for (const run of runs.prune()) void logs.remove(run).catch(() => undefined);
    } catch (error) {
      // A full disk, most likely. It is tried again.
      logFault(error);
    }
  };
  prune();
  const timer = setInterval(() => runs.isPruneDue && prune(), everyMs);
  return () => clearInterval(timer);
}
