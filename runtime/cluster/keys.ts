import { readFileSync } from "node:fs";
import { makeUser } from "../queue/jetstream/brokerConfig.ts";
import { type Certified, makeAuthority, makeCertificate } from "../queue/jetstream/certificates.ts";
import { FarcallError, messageOf } from "../spec/errors.ts";
import { writeDurably } from "./durable.ts";
import type { ClusterRecord } from "./registry.ts";
import { addressOf, seatName } from "./seats.ts";

/** By what nodes of a cluster and the servers of its queue know each other. */
export interface Keys {
  /** Signs the certificates of nodes. Never leaves this machine. */
  authority: Certified;
  /** By number of the node. */
  nodes: Record<string, { nkey: string; seed: string; certified: Certified; names: string[] }>;
}

/** The cluster's keys, with those of nodes that are new made and kept. `file` is readable by its owner alone. */
export function ensureKeys(file: string, record: ClusterRecord): Keys {
  const keys = readKeys(file) ?? { authority: makeAuthority(`farcall ${record.name}`), nodes: {} };
  let changed = false;
  for (const node of record.nodes) {
    const isSeat = record.seats.includes(node.number);
    const names = [addressOf(node), ...(isSeat ? [seatName] : [])];
    const known = keys.nodes[node.number];
    if (known && known.names.join() === names.join()) continue;
    changed = true;
    const user = known ?? makeUser();
    keys.nodes[node.number] = {
      nkey: user.nkey,
      seed: user.seed,
      certified: makeCertificate(keys.authority, `node ${node.number}`, names),
      names,
    };
  }
  if (changed) writeDurably(file, JSON.stringify(keys));
  return keys;
}

function readKeys(file: string): Keys | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Keys;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new FarcallError("registry.corrupt", `The keys ${file} cannot be read: ${messageOf(cause)}.`, {
      cause,
      hint: "Without them the cluster cannot be changed from here: take it down with --force and bring it up anew.",
    });
  }
}
