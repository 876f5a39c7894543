import type { ClusterRecord } from "../../runtime/cluster/registry.ts";
import type { Absence, AgentStatus, NodeStatus } from "../../runtime/index.ts";

/** A node as it is shown: what the registry has of it, and what it says of itself while it is there. */
export interface ShownNode {
  /** From 1 on. */
  number: number;
  /** As the person wrote it; its own name for the local cluster. */
  host: string;
  address: string | undefined;
  platform: string | undefined;
  cpus: number | undefined;
  memoryMiB: number | undefined;
  /** Undefined while it is not heard of. */
  status: NodeStatus | undefined;
  /** Why it is not heard of, as far as that is known. */
  away: Absence["why"] | undefined;
}

/** The nodes of a cluster by number, those included of which nothing is heard. */
export function nodesOf(known: {
  record: ClusterRecord | undefined;
  status: AgentStatus | undefined;
  absences?: readonly Absence[];
}): ShownNode[] {
  const heard = new Map(known.status?.nodes.map((node) => [node.number, node]));
  const recorded = known.record?.nodes ?? [];
  const numbers = new Set([...recorded.map(({ number }) => number), ...heard.keys()]);
  return [...numbers]
    .sort((a, b) => a - b)
    .map((number) => {
      const record = recorded.find((each) => each.number === number);
      const status = heard.get(number);
      return {
        number,
        host: record?.host ?? status?.name ?? "",
        address: record?.address ?? undefined,
        platform: status?.platform ?? record?.platform ?? undefined,
        cpus: status?.cpus ?? record?.cpus ?? undefined,
        memoryMiB: status?.memoryMiB ?? record?.memoryMiB ?? undefined,
        status,
        away: status ? undefined : known.absences?.find((absence) => absence.number === number)?.why,
      };
    });
}
