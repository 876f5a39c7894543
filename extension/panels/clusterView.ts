import type { ClusterView } from "../../webview/messages/cluster.ts";
import { conditionOf, offersOf } from "../clusters/condition.ts";
import { nodesOf } from "../clusters/nodes.ts";
import type { ClusterState } from "../clusters/following.ts";

/** A cluster as its panel shows it. */
export function clusterView(state: ClusterState): ClusterView {
  const { name, status, record, usdPerHour, error } = state;
  const condition = conditionOf(state);
  const offers = offersOf(name, condition);
  const maps = status?.nodes.flatMap((node) => node.maps) ?? [];
  return {
    name,
    condition,
    problem: condition === "unreachable" || condition === "broken" ? (error ?? "") : "",
    usdPerHour,
    sinceMs: status?.startedAtMs ?? record?.sinceMs ?? null,
    nodes: nodesOf(state).map(({ number, host, platform, cpus, memoryMiB, status: node, away }) => ({
      number,
      host,
      platform: platform ?? null,
      cpus: cpus ?? null,
      memoryMiB: memoryMiB ?? null,
      load: node ? { cpuShare: node.cpuShare, usedMiB: node.usedMiB } : null,
      away: away ?? null,
      replicas: (node?.replicas ?? []).map(({ id, pid, env, bundle, active, residentMiB }) => ({
        id,
        pid,
        env,
        bundle,
        active,
        residentMiB,
      })),
    })),
    helps: [...new Set(maps.flatMap(({ home }) => home ?? []))],
    helpedBy: [...new Set(maps.flatMap(({ guests = [] }) => guests.map((guest) => guest.cluster)))],
    warnings: status?.warnings ?? [],
    offers: [
      ...(offers.includes("startable") ? (["start"] as const) : []),
      ...(offers.includes("stoppable") ? (["stop"] as const) : []),
      ...(offers.includes("removable") ? (["shutDown"] as const) : []),
      "terminal",
      "log",
    ],
  };
}
