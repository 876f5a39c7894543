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

interface Room {
  number: number;
  /** How many replicas fit at the same time; 0 where the node lacks what they need at all. */
  room: number;
  /** How many there may be in any case: more than fit share cores and memory, but no GPU. */
  most: number;
}

function roomOf(node: Capacity, need: Need): Room {
  const { number } = node;
  if (need.node !== null && need.node !== number) return { number, room: 0, most: 0 };
  const most = need.gpus ? gpuRoom(node.gpus, need.gpus) : Number.POSITIVE_INFINITY;
  const fits = [Math.max(node.cpus / (need.cpus ?? 1), 0), most];
  if (need.memoryMiB) fits.push(node.memoryMiB / need.memoryMiB);
  // A replica that asks for more cores than there are runs more slowly; one without its memory or GPU does not run.
  const lacks = (need.memoryMiB !== null && node.memoryMiB < need.memoryMiB) || most === 0;
  return { number, room: lacks ? 0 : Math.max(1, Math.floor(Math.min(...fits) + tolerance)), most };
}

/** What is less than one is of one device; what is more is so many whole ones. */
function gpuRoom(devices: number, each: number): number {
  return each < 1 ? devices * Math.floor(1 / each + tolerance) : Math.floor(devices / Math.ceil(each));
}

const tolerance = 1e-9;

/**
 * Replicas for each node, by its number. With `total` null as many as fit. Otherwise so many in all, as evenly as the
 * nodes' room allows; more than fit share the nodes, except where what they need is counted, which GPUs are.
 */
export function share(total: number | null, need: Need, nodes: readonly Capacity[]): Map<number, number> {
  const rooms = nodes.map((node) => roomOf(node, need));
  if (total === null) return new Map(rooms.map(({ number, room: all }) => [number, all]));
  const counts = new Map(rooms.map(({ number }) => [number, 0]));
  const usable = rooms.filter(({ room: all }) => all > 0).sort((a, b) => a.number - b.number);
  for (let left = total; left > 0; left--) {
    let best: { number: number; load: number } | undefined;
    for (const { number, room: all, most } of usable) {
      const count = counts.get(number)!;
      if (count >= most) continue;
      const load = (count + 1) / all;
      if (!best || load < best.load) best = { number, load };
    }
    if (!best) break;
    counts.set(best.number, counts.get(best.number)! + 1);
  }
  return counts;
}
