import { FarcallError } from "../spec/errors.ts";
import type { Machine } from "./machines.ts";
import { isNew } from "./recordChanges.ts";
import type { ClusterRecord } from "./registry.ts";

/**
 * The record with the id of a cluster of its name that another client of the user brought up on these machines, and
 * the numbers that its nodes have there; undefined when there is none. Its keys stay with whoever began it, and what
 * its nodes are as well. Throws `cluster.changed` when it is of other machines.
 */
export function adopted(record: ClusterRecord, found: readonly Machine[]): ClusterRecord | undefined {
  const ofName = new Map(
    found.map(({ node, probe }) => [node.host, probe.clusters.find(({ name }) => name === record.name)]),
  );
  const first = [...ofName.values()].find((each) => each && (!record.joined || each.id === record.id));
  const id = record.joined ? record.id : first?.id;
  // What is there may be left of an earlier try of this client.
  const isOwn = !record.joined && [...ofName.values()].some((each) => each?.id === record.id);
  if (id === undefined || isOwn) return undefined;
  const hosts = first?.hosts ?? [];
  const strangers = record.nodes.filter((node) => isNew(node) && ofName.get(node.host)?.id !== id);
  if (strangers.length > 0 || hosts.length !== record.nodes.length) {
    const differs =
      strangers.length > 0
        ? `${strangers.map(({ host }) => host).join(", ")} is not of it`
        : `it has ${hosts.length} nodes`;
    throw new FarcallError(
      "cluster.changed",
      `There is a cluster ${record.name} on these machines already, and ${differs}.`,
      {
        hint: `Name all of its hosts to join it (it has ${hosts.join(", ")}), or choose another name. Only where it was begun it can be given others.`,
      },
    );
  }
  const nodes = record.nodes
    .map((node) => ({ ...node, number: ofName.get(node.host)?.number ?? node.number }))
    .sort((a, b) => a.number - b.number);
  return { ...record, id, nodes, joined: true };
}
