import type { GuestPart, GuestWork } from "../../protocol/messages/runs.ts";
import type { Credit } from "../../queue/mapQueue.ts";

/** The parts that nodes of other clusters have in a map: what they did is in its queue, what they do is heard of them. */

type Node = Pick<GuestPart, "cluster" | "node">;

/** As a queue knows a node of another cluster. */
export function nameOf({ cluster, node }: Node): string {
  return `${cluster}:${node}`;
}

function nodeOf(name: string): Node {
  const at = name.lastIndexOf(":");
  return { cluster: name.slice(0, at), node: Number(name.slice(at + 1)) };
}

export function partsOf(credits: readonly Credit[], working: readonly GuestWork[]): GuestPart[] {
  const parts = new Map<string, GuestPart>();
  for (const { by, settled, errors } of credits) {
    parts.set(by, { ...nodeOf(by), done: settled, failed: errors, active: 0, replicas: 0 });
  }
  for (const { active, replicas, ...node } of working) {
    const before = parts.get(nameOf(node)) ?? { ...node, done: 0, failed: 0, active: 0, replicas: 0 };
    // A client that came to another node of the map's home is still remembered by the one before.
    const now = { active: Math.max(before.active, active), replicas: Math.max(before.replicas, replicas) };
    parts.set(nameOf(node), { ...before, ...now });
  }
  return [...parts.values()];
}
