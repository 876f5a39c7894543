import type { GuestPart } from "../../protocol/messages/runs.ts";

/** How many inputs of a map each other cluster has done. */
export function doneByCluster(guests: readonly GuestPart[]): Map<string, number> {
  const done = new Map<string, number>();
  for (const part of guests) done.set(part.cluster, (done.get(part.cluster) ?? 0) + part.done);
  return done;
}
