import { toFailure } from "../protocol/failure.ts";
import type { MapSpec } from "../protocol/messages/maps.ts";
import type { GuestPart, RunRecord } from "../protocol/messages/runs.ts";
import type { JobCounts, JobRecord } from "../queue/mapQueue.ts";
import type { ActiveMap } from "./activeMap.ts";
import { errorOf, stateOfJob } from "./mapEnd.ts";
import { label } from "./runWords.ts";

/** What a record of a map is made of. */
export interface MapFacts {
  job: JobRecord;
  spec: MapSpec;
  counts: JobCounts;
  /** Undefined for a map that has ended. */
  active: ActiveMap | undefined;
  /** The record as it was last written down. */
  stored: RunRecord | undefined;
  /** What other nodes of this cluster do of it. */
  elsewhere: readonly { active: number; replicas: number }[];
  /** What other clusters did and do of it. */
  guests: GuestPart[];
}

export function mapRecord({ job, spec, counts, active, stored, elsewhere, guests }: MapFacts): RunRecord {
  const { feed } = active ?? {};
  const unsettled = feed?.unsettled ?? { done: 0, failed: 0 };
  const others = active ? [...elsewhere, ...guests] : [];
  const error = active?.error ?? errorOf(job);
  let state = stateOfJob[job.state];
  const starved = job.total === undefined && counts.pending + counts.leased === 0;
  if (state === "running" && starved && (active?.feeders.size ?? 0) === 0) state = "interrupted";
  return {
    id: job.id,
    kind: "map",
    label: label(spec),
    env: spec.module.env.name,
    state,
    createdAtMs: job.createdAtMs,
    endedAtMs: stored?.endedAtMs ?? null,
    total: job.total ?? null,
    accepted: job.accepted,
    done: counts.settled + unsettled.done,
    failed: counts.errors + unsettled.failed,
    active: (feed?.activeInputs ?? 0) + others.reduce((sum, each) => sum + each.active, 0),
    replicas: (feed?.replicas ?? 0) + others.reduce((sum, each) => sum + each.replicas, 0),
    error: error ? toFailure(error) : (stored?.error ?? null),
    costUsd: 0,
    source: spec.module.source,
    bundle: spec.module.bundle.hash,
    ...(guests.length > 0 ? { guests } : {}),
  };
}
