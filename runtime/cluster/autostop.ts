import type { ClusterSpec } from "../spec/cluster.ts";
import type { Machine } from "./machines.ts";
import type { ClusterRecord } from "./registry.ts";

/**
 * After how long without work agents end: what was said of it last, by whichever client. Nodes keep it with when that
 * was, so that clients need not know of each other, and a node that was away meanwhile hears of it later.
 */
export interface Autostop {
  /** 0 for never. */
  ms: number;
  /** By the clock of whoever said it; 0 where nobody said anything, and it is the default. */
  saidAtMs: number;
}

export function autostopOf({ spec, autostopSaidAtMs = 0 }: ClusterRecord): Autostop {
  return { ms: spec.autostopMs ?? 0, saidAtMs: autostopSaidAtMs };
}

/** The record with what a spec says of it, if it does. */
export function withSaid(record: ClusterRecord, { autostopMs }: ClusterSpec): ClusterRecord {
  return autostopMs === undefined ? record : withAutostop(record, { ms: autostopMs ?? 0, saidAtMs: Date.now() });
}

/** The record with what nodes were told by others since it was said here. What the spec says counts in any case. */
export function withHeard(record: ClusterRecord, spec: ClusterSpec, found: readonly Machine[]): ClusterRecord {
  const mine = autostopOf(record);
  const last = found
    .flatMap(({ probe }) => probe.autostop ?? [])
    .reduce((latest, each) => (each.saidAtMs > latest.saidAtMs ? each : latest), { ms: 0, saidAtMs: -1 });
  if (last.saidAtMs < mine.saidAtMs) return record;
  // Clocks of clients differ.
  return withAutostop(record, spec.autostopMs === undefined ? last : { ms: mine.ms, saidAtMs: last.saidAtMs + 1 });
}

function withAutostop(record: ClusterRecord, { ms, saidAtMs }: Autostop): ClusterRecord {
  return { ...record, spec: { ...record.spec, autostopMs: ms === 0 ? null : ms }, autostopSaidAtMs: saidAtMs };
}
