/**
 * How the replicas of an env spread over the nodes of a cluster. Every node works this out by itself from what all
 * nodes say of themselves, so they agree without asking anybody.
 */
export interface Capacity {
  /** Number of the node in its cluster. */
  number: number;
  cpus: number;
  memoryMiB: number;
  gpus: number;
}

/** What one replica is to have. */
export interface Need {
  cpus: number | null;
  memoryMiB: number | null;
  gpus: number | null;
  /** The only node it may be on. */
  node: number | null;
}

/** How many replicas fit on a node at the same time; 0 where it lacks what they need at all. */
function room(node: Capacity, need: Need): number {
  if (need.node !== null && need.node !== node.number) return 0;
  const fits = [Math.max(node.cpus / (need.cpus ?? 1), 0)];
  if (need.memoryMiB) fits.push(node.memoryMiB / need.memoryMiB);
  if (need.gpus) fits.push(node.gpus / need.gpus);
  const most = Math.floor(Math.min(...fits) + 1e-9);
  // A replica that asks for more cores than there are runs more slowly; one without its memory or GPU does not run.
  const lacks = (need.memoryMiB !== null && node.memoryMiB < need.memoryMiB) || (need.gpus ?? 0) > node.gpus;
  return lacks ? 0 : Math.max(1, most);
}

/**
 * Replicas for each node, by its number. With `total` null as many as fit. Otherwise so many in all, as evenly as the
 * nodes' room allows; more than fit share the nodes, except where what they need is counted, which GPUs are.
 */
export function share(total: number | null, need: Need, nodes: readonly Capacity[]): Map<number, number> {
  const rooms = nodes.map((node) => ({ number: node.number, room: room(node, need) }));
  if (total === null) return new Map(rooms.map(({ number, room: all }) => [number, all]));
  const counts = new Map(rooms.map(({ number }) => [number, 0]));
  const usable = rooms.filter(({ room: all }) => all > 0).sort((a, b) => a.number - b.number);
  for (let left = total; left > 0; left--) {
    let best: { number: number; load: number } | undefined;
    for (const { number, room: all } of usable) {
      const count = counts.get(number)!;
      if (need.gpus && count >= all) continue;
      const load = (count + 1) / all;
      if (!best || load < best.load) best = { number, load };
    }
    if (!best) break;
    counts.set(best.number, counts.get(best.number)! + 1);
  }
  return counts;
}
