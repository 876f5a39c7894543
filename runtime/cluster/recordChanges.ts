import type { ClusterSpec, ResolvedClusterSpec } from "../spec/cluster.ts";
import { FarcallError } from "../spec/errors.ts";
import { type ClusterRecord, newClusterId, type NodeRecord } from "./registry.ts";

/** The record of a cluster that is to be begun. */
export function newRecord(spec: ResolvedClusterSpec): ClusterRecord {
  const nowMs = Date.now();
  return {
    schema: 1,
    name: spec.name,
    id: newClusterId(),
    provider: "ssh",
    spec,
    state: "launching",
    nodes: spec.hosts.map((host, at) => newNode(at + 1, host)),
    seats: [],
    ports: null,
    createdAtMs: nowMs,
    sinceMs: nowMs,
  };
}

function newNode(number: number, host: string): NodeRecord {
  return {
    number,
    host,
    address: null,
    home: null,
    nodePath: null,
    platform: null,
    cpus: null,
    memoryMiB: null,
    build: null,
  };
}

/** Whether a node has never come up. */
export function isNew({ build }: NodeRecord): boolean {
  return build === null;
}

/** Whether a cluster is up or was, whatever has been added to it since. */
export function wasUp({ nodes }: ClusterRecord): boolean {
  return !nodes.every(isNew);
}

/** The record as a changed spec would have it. Throws `cluster.changed` for what cannot be. */
export function changed(before: ClusterRecord, spec: ClusterSpec): ClusterRecord {
  const { name, nodes } = before;
  const { hosts = before.spec.hosts, relay = before.spec.relay ?? false } = spec;
  const known = before.spec.hosts;
  const missing = known.filter((host) => !hosts.includes(host));
  const added = hosts.filter((host) => !known.includes(host));
  const refuse = (why: string, hint: string) =>
    new FarcallError("cluster.changed", `The cluster ${name} ${why}`, { hint });
  if (missing.length > 0) {
    throw refuse(
      `has ${missing.join(", ")} as well, and no host can be taken out of it: what its runs left there would be lost.`,
      `Name all of its hosts (${known.join(", ")}), or take it down first.`,
    );
  }
  if (added.length > 0 && nodes.length === 1 && !before.joined) {
    throw refuse(
      `has the queue of its maps in a file of its one machine, which ${added.join(", ")} cannot share.`,
      `Take it down first, then bring it up with all of its hosts; \`farcall down ${name}\` keeps its runs on this machine.`,
    );
  }
  const last = Math.max(...nodes.map(({ number }) => number));
  return {
    ...before,
    spec: { ...before.spec, hosts: [...known, ...added], relay },
    nodes: [...nodes, ...added.map((host, at) => newNode(last + 1 + at, host))],
  };
}

/** Without the nodes that never came up. */
export function withoutNew(record: ClusterRecord): ClusterRecord {
  const nodes = record.nodes.filter((node) => !isNew(node));
  const hosts = new Set(nodes.map(({ host }) => host));
  return { ...record, nodes, spec: { ...record.spec, hosts: record.spec.hosts.filter((host) => hosts.has(host)) } };
}

/** With other facts on some of its nodes. */
export function withNodes(record: ClusterRecord, nodes: readonly NodeRecord[]): ClusterRecord {
  const byNumber = new Map(nodes.map((node) => [node.number, node]));
  return { ...record, nodes: record.nodes.map((node) => byNumber.get(node.number) ?? node) };
}

export function enter(record: ClusterRecord, state: ClusterRecord["state"]): ClusterRecord {
  return record.state === state ? record : { ...record, state, sinceMs: Date.now() };
}
