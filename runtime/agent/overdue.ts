import type { Replica } from "./replica.ts";

/** Over the item timeout, for the worker's own timer to act first. */
const overtimeMs = 500;

/**
 * Ends workers that are over an item's time and too busy for their own timer to act. Runs until the timer that it
 * returns is cleared.
 */
export function endOverdue(timeoutMs: number, replicas: () => Iterable<Replica>): NodeJS.Timeout {
  let checkedAtMs = performance.now();
  const check = () => {
    // After a pause of this process or the whole machine, the workers had one as well.
    const now = performance.now();
    const pausedMs = now - checkedAtMs;
    checkedAtMs = now;
    if (pausedMs > overtimeMs + 1_000) return;
    for (const replica of replicas()) {
      const { writtenAtMs, slices } = replica.readJournal();
      const working = [...slices.values()].some((active) => active.length > 0);
      if (working && Date.now() - writtenAtMs > timeoutMs + overtimeMs) replica.kill("timeout");
    }
  };
  return setInterval(check, Math.min(1_000, Math.max(50, timeoutMs / 4)));
}
