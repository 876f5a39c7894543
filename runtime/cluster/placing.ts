import type { ClusterRecord, NodeRecord } from "./registry.ts";
import type { Machine } from "./machines.ts";
import { arrange, type ArrangeOptions } from "./roads.ts";
import { newPorts, seatCount } from "./seats.ts";

type Places = Pick<ClusterRecord, "nodes" | "seats" | "ports">;

/**
 * By which addresses the nodes that were found are reached, which nodes hold the queue where there are several, and
 * whose traffic is carried by clients.
 */
export async function place(
  record: ClusterRecord,
  found: readonly Machine[],
  options: ArrangeOptions,
): Promise<Places> {
  const { joined, spec } = record;
  const nodes = record.nodes.map((node) => {
    const here = found.find((each) => each.node.number === node.number);
    if (!here) return node;
    const { connection, probe } = here;
    const address = connection.target.host;
    if (!joined) return { ...node, address };
    // What the machine was told by whoever began the cluster.
    return { ...node, address, relay: probe.clusters.find(({ id }) => id === record.id)?.relay };
  });
  const count = seatCount(nodes.length);
  if (joined || count === 0) return { nodes, seats: record.seats, ports: record.ports };
  const ports = record.ports ?? newPorts();
  if (!spec.relay) {
    const seats = record.seats.length > 0 ? record.seats : nodes.slice(0, count).map(({ number }) => number);
    return { nodes, seats, ports };
  }
  const { seats, closed } = await arrange({ ...record, nodes, ports }, found, options);
  const withRelay = (node: NodeRecord): NodeRecord => {
    const missing = closed.get(node.number);
    return { ...node, relay: missing && { seats: missing, port: ports.client } };
  };
  return { nodes: nodes.map(withRelay), seats, ports };
}

/** Whether other nodes are to hold the queue than was said before. */
export function isMoved(before: ClusterRecord, after: ClusterRecord): boolean {
  return before.seats.length > 0 && before.seats.join() !== after.seats.join();
}

/** Those that have an agent which does not know yet that its traffic is carried. */
export function newlyRelayed(before: ClusterRecord, after: ClusterRecord): NodeRecord[] {
  return after.nodes.filter(
    ({ number, relay, build }) =>
      relay && build !== null && !before.nodes.find((node) => node.number === number)?.relay,
  );
}
