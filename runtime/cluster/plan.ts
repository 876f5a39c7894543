import { join } from "node:path";
import type { ClusterSpec } from "../spec/cluster.ts";
import type { BootstrapOptions } from "./bootstrap/node.ts";
import type { Keys } from "./keys.ts";
import type { Reach } from "./machines.ts";
import { isNew, wasUp } from "./recordChanges.ts";
import type { ClusterRecord, NodeRecord, Registry } from "./registry.ts";
import { nodeFileOf, targetsOf } from "./seats.ts";

export interface PlanOptions {
  /** `FARCALL_HOME`. */
  home: string;
  registry: Registry;
  spec: ClusterSpec;
}

/** What each node of a cluster is to be given. `onTouch` is told of a host before anything is changed there. */
export async function planOf(
  record: ClusterRecord,
  { home, registry, spec }: PlanOptions,
  { signal, onProgress }: Reach,
  onTouch?: (host: string) => void,
): Promise<(node: NodeRecord) => BootstrapOptions> {
  const keys = await keysOf(record, registry);
  // Whoever joined a cluster changes of it what it was told to.
  const isSaid = !record.joined || spec.autostopMs !== undefined;
  const autostopMs = isSaid ? (record.spec.autostopMs ?? 0) : undefined;
  const grows = wasUp(record) && record.nodes.some(isNew);
  return (node) => ({
    cacheFolder: join(home, "cache", "machines"),
    signal,
    onProgress,
    onTouch: onTouch && (() => onTouch(node.host)),
    nodeFile: record.joined ? undefined : keys ? nodeFileOf(record, node, keys) : { number: node.number },
    autostopMs,
    isAwaited: grows && record.seats.includes(node.number),
    reach: record.joined ? [] : targetsOf(record, node),
  });
}

/** Of a cluster that was begun from here and whose queue is on seats. */
async function keysOf(record: ClusterRecord, registry: Registry): Promise<Keys | undefined> {
  if (record.joined || record.seats.length === 0) return undefined;
  // What makes them is large, and needed by nothing else that is done from here.
  const { ensureKeys } = await import("./keys.ts");
  return ensureKeys(registry.keysFile(record.name), record);
}
