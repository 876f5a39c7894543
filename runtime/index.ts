/**
 * The library. `cluster(name)` is where to run; `Cluster.import` brings a module there; what it returns is
 * called like the original, or mapped over many inputs; `runs` finds again what was begun.
 */
import { Cluster, type ClusterOptions } from "./cluster/cluster.ts";
import type { ClusterSpec } from "./spec/cluster.ts";
import type { Run } from "./client/run.ts";
import type { ListOptions, Runs } from "./client/runs.ts";

/**
 * The cluster of this name, or the one that is to be as the spec says. `local`, this machine, is always there. Nothing
 * is started before it is needed.
 */
export function cluster(spec: string | ClusterSpec, options?: ClusterOptions): Cluster {
  return new Cluster(spec, options);
}

let local: Cluster | undefined;

/** The record of runs on the local cluster. `cluster(name).runs` is that of another. */
export const runs: { list: Runs["list"]; open<T = unknown>(id: string): Promise<Run<T>> } = {
  list: (options?: ListOptions) => (local ??= cluster("local")).runs.list(options),
  open: (id) => (local ??= cluster("local")).runs.open(id),
};

export { context, type Context } from "./client/context.ts";
export { Cluster, type ClusterChanges, type ClusterOptions, type ImportOptions } from "./cluster/cluster.ts";
export type { Absence } from "./cluster/absence.ts";
export type { CallOptions } from "./client/module.ts";
export { MapRun, type Progress } from "./client/mapRun.ts";
export type { Fed, FeedOptions } from "./client/feedRest.ts";
export type { MapOutcome } from "./client/outcomes.ts";
export type { Remote, RemoteFunction, RemoteResult, MappedValue } from "./client/remote.ts";
export { originOf, type RemoteOrigin } from "./client/remoteErrors.ts";
export { Envs } from "./client/envs.ts";
export type { PickedOutcome, PickOptions } from "./client/pick.ts";
export { type LogOptions, Run, type RunKept, type RunRequest } from "./client/run.ts";
export { type ListOptions, Runs } from "./client/runs.ts";
export type { AgentStatus, NodeMetrics, NodeStatus } from "./protocol/messages/nodes.ts";
export type { EnvStatus } from "./protocol/messages/envs.ts";
export type { GuestPart, RunRecord, RunState, Timeline } from "./protocol/messages/runs.ts";
export type { LogLine } from "./protocol/messages/logs.ts";
export type { ClusterSpec } from "./spec/cluster.ts";
export type { Compute, EnvSpec } from "./spec/env.ts";
export { type ErrorCode, FarcallError } from "./spec/errors.ts";
export type { MapOptions } from "./spec/map.ts";
export { newRunId } from "./spec/names.ts";
