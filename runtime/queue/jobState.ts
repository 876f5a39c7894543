import type { JobState } from "./mapQueue.ts";

/** Whether nothing more comes of a job. */
export function hasEnded({ state }: { state: JobState }): boolean {
  return state !== "run" && state !== "pause";
}
