import type { RunState } from "./messages/runs.ts";

/** Whether nothing more comes of a run. An interrupted one can be gone on with. */
export function hasEnded(state: RunState): boolean {
  return state === "done" || state === "failed" || state === "cancelled";
}
