import type { ClusterRecord } from "../../runtime/cluster/registry.ts";

/** What the registry has of a cluster that was only just begun. */
export function clusterRecord(change: Partial<ClusterRecord> = {}): ClusterRecord {
  const name = change.name ?? "lab";
  return {
    schema: 1,
    name,
    id: "0123456789ab",
    provider: "ssh",
    spec: { name, hosts: ["me@a"], autostopMs: null },
    state: "launching",
    nodes: [],
    seats: [],
    ports: null,
    createdAtMs: 1,
    sinceMs: 1,
    ...change,
  };
}
