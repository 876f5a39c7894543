import { join } from "node:path";
import type { SetupTarget } from "../setup/messages.ts";
import type { ClusterSpec } from "../spec/cluster.ts";
import { autostopOf } from "./autostop.ts";
import type { BootstrapOptions } from "./bootstrap/node.ts";
import type { Keys } from "./keys.ts";
import type { Reach } from "./machines.ts";
import type { Relay } from "./relay.ts";
import { isNew, wasUp } from "./recordChanges.ts";
import type { ClusterRecord, NodeRecord, Registry } from "./registry.ts";
import { nodeFileOf, targetsOf } from "./seats.ts";

export interface PlanOptions {
  /** `FARCALL_HOME`. */
  home: string;
  registry: Registry;
  spec: ClusterSpec;
  relay: Relay;
}

/** Where what machines are given is kept on this one. */
export function machinesCache(home: string): string {
  return join(home, "cache", "machines");
}

/**
 * What each node of a cluster is to be given. `onTouch` is told of a host before anything is changed there. For nodes
 * that need it their traffic is carried from then on.
 */
export async function planOf(
  record: ClusterRecord,
  { home, registry, relay }: PlanOptions,
  { signal, onProgress }: Reach,
  onTouch?: (host: string) => void,
): Promise<(node: NodeRecord) => Promise<BootstrapOptions>> {
  const keys = await keysOf(record, registry);
  const grows = wasUp(record) && record.nodes.some(isNew);
  return async (node) => ({
    cacheFolder: machinesCache(home),
    signal,
    onProgress,
    onTouch: onTouch && (() => onTouch(node.host)),
    nodeFile: record.joined ? undefined : keys ? nodeFileOf(record, node, keys) : { number: node.number },
    autostop: autostopOf(record),
    isAwaited: grows && record.seats.includes(node.number),
    reach: [...(record.joined ? [] : targetsOf(record, node)), ...(await relayed(relay, record, node))],
  });
}

async function relayed(relay: Relay, record: ClusterRecord, node: NodeRecord): Promise<SetupTarget[]> {
  const port = await relay.ready(record, node);
  return port === undefined ? [] : [{ host: "127.0.0.1", port, name: "this client" }];
}

/** Of a cluster that was begun from here and whose queue is on seats. */
async function keysOf(record: ClusterRecord, registry: Registry): Promise<Keys | undefined> {
  if (record.joined || record.seats.length === 0) return undefined;
  // What makes them is large, and needed by nothing else that is done from here.
  const { ensureKeys } = await import("./keys.ts");
  return ensureKeys(registry.keysFile(record.name), record);
}
