import * as v from "valibot";
import type { Catalogue } from "./catalogue.ts";
import { count, nothing, runId } from "./fields.ts";
import { guestWorkSchema } from "./runs.ts";

/** How a cluster, its nodes and their replicas are. */

const replicaSchema = v.object({
  id: count,
  pid: count,
  env: v.string(),
  bundle: v.string(),
  state: v.string(),
  active: count,
  residentMiB: v.number(),
});

const nodeMapSchema = v.object({
  run: runId,
  /** Inputs in the hands of its own replicas, and how many those are. */
  active: count,
  replicas: count,
  /** The cluster that the map belongs to, where that is another one. */
  home: v.optional(v.string()),
  /** Other clusters that this node lends work of the map to. */
  guests: v.optional(v.array(guestWorkSchema)),
});
export type NodeMap = v.InferOutput<typeof nodeMapSchema>;

/** A node of a cluster, as it says of itself every few seconds. */
const nodeStatusSchema = v.object({
  /** From 1 on. */
  number: count,
  name: v.string(),
  platform: v.string(),
  cpus: count,
  memoryMiB: v.number(),
  gpus: count,
  /** Share of its processors' time that is in use, 0 to 1. */
  cpuShare: v.number(),
  usedMiB: v.number(),
  /** Of its agent. */
  startedAtMs: v.number(),
  residentMiB: v.number(),
  clients: count,
  activeRuns: count,
  /** It works, or answers somebody who does more than look. */
  isBusy: v.boolean(),
  /** How long ago more than a look was asked of it. */
  usedAgoMs: v.optional(v.number()),
  /** Clients that are connected to it and would miss it. */
  users: v.optional(count),
  /** Of its agent. */
  build: v.optional(v.string()),
  replicas: v.array(replicaSchema),
  /** Maps that it works on or lends the work of. */
  maps: v.array(nodeMapSchema),
});
export type NodeStatus = v.InferOutput<typeof nodeStatusSchema>;

/** Samples of a node, equally far apart, the last one at `endMs`. */
const nodeMetricsSchema = v.object({
  endMs: v.number(),
  stepMs: v.number(),
  cpuShares: v.array(v.number()),
  usedMiB: v.array(v.number()),
});
export type NodeMetrics = v.InferOutput<typeof nodeMetricsSchema>;

const statusSchema = v.object({
  pid: count,
  version: v.string(),
  build: v.string(),
  nodeVersion: v.string(),
  startedAtMs: v.number(),
  /** 0 for never. */
  idleTimeoutMs: v.number(),
  clients: count,
  activeRuns: count,
  residentMiB: v.number(),
  /** Of all nodes. */
  replicas: v.array(replicaSchema),
  nodes: v.array(nodeStatusSchema),
  warnings: v.array(v.string()),
});
export type AgentStatus = v.InferOutput<typeof statusSchema>;

export const nodeMethods = {
  status: { params: nothing, result: statusSchema },
  /** How busy a node has been. Of the one that is asked unless `node` says otherwise. */
  "node.metrics": {
    params: v.object({ node: v.optional(count) }),
    result: v.object({ metrics: nodeMetricsSchema }),
  },
} as const satisfies Catalogue;
