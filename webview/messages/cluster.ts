import * as v from "valibot";
import { count, shortText, text } from "./fields.ts";

/** What the panel of a cluster shows. */

const clusterNodeSchema = v.object({
  /** From 1 on. */
  number: count,
  host: shortText,
  /** Such as `linux x64`; null when it is not known. */
  platform: v.nullable(shortText),
  cpus: v.nullable(count),
  memoryMiB: v.nullable(v.number()),
  /** Null while the node is not heard of. */
  load: v.nullable(v.object({ cpuShare: v.number(), usedMiB: v.number() })),
  /** Why it is not heard of, as far as that is known. */
  away: v.nullable(v.picklist(["unreachable", "silent", "uncarried", "cut-off"])),
  replicas: v.array(
    v.object({ id: count, pid: count, env: shortText, bundle: shortText, active: count, residentMiB: v.number() }),
  ),
});
export type ClusterNode = v.InferOutput<typeof clusterNodeSchema>;

export const clusterViewSchema = v.object({
  name: shortText,
  condition: v.picklist(["up", "idle", "stopped", "launching", "ending", "unreachable", "broken", "unknown"]),
  /** Why nothing is known, or empty. */
  problem: text,
  usdPerHour: v.number(),
  /** When it came to be as it is; null when that is not known. */
  sinceMs: v.nullable(v.number()),
  nodes: v.array(clusterNodeSchema),
  /** Clusters whose maps it works on now, and those that work on its own. */
  helps: v.array(shortText),
  helpedBy: v.array(shortText),
  warnings: v.array(text),
  /** What can be done with it now. */
  offers: v.array(v.picklist(["start", "stop", "shutDown", "terminal", "log"])),
});
export type ClusterView = v.InferOutput<typeof clusterViewSchema>;

/** Samples of a node, equally far apart, the last one the newest. */
export const metricsSchema = v.object({
  node: count,
  stepMs: v.number(),
  cpuShares: v.pipe(v.array(v.number()), v.maxLength(10_000)),
  usedMiB: v.pipe(v.array(v.number()), v.maxLength(10_000)),
});
export type ClusterMetrics = v.InferOutput<typeof metricsSchema>;
