import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { ensureKeys } from "../../runtime/cluster/keys.ts";
import { newlyRelayed } from "../../runtime/cluster/placing.ts";
import type { ClusterRecord } from "../../runtime/cluster/registry.ts";
import { nodeFileOf, targetsOf } from "../../runtime/cluster/seats.ts";

/** What a node is told that gets through to some seats of the queue only. */
const folder = mkdtempSync(join(tmpdir(), "farcall-relayed-"));
afterAll(() => rmSync(folder, { recursive: true }));

const record: ClusterRecord = {
  schema: 1,
  name: "lab",
  id: "0123456789ab",
  provider: "ssh",
  spec: { name: "lab", hosts: ["a", "b", "c", "d"], autostopMs: null, relay: true },
  state: "up",
  nodes: ["a", "b", "c", "d"].map((host, at) => ({
    number: at + 1,
    host,
    address: `10.0.0.${at + 1}`,
    home: null,
    nodePath: null,
    platform: null,
    cpus: null,
    memoryMiB: null,
    build: "b",
    ...(host === "d" ? { relay: { seats: [1, 3], port: 20_000 } } : {}),
  })),
  seats: [1, 2, 3],
  ports: { client: 20_000, cluster: 20_001 },
  createdAtMs: 1,
  sinceMs: 1,
};

it("dials the seat it gets through to before the ports at which clients carry, and is not asked to reach others", () => {
  const relayed = record.nodes[3]!;
  const { broker } = nodeFileOf(record, relayed, ensureKeys(join(folder, "keys"), record));
  expect(broker!.servers).toEqual([
    "tls://10.0.0.2:20000",
    ...[20_000, 20_001, 20_002, 20_003].map((port) => `tls://127.0.0.1:${port}`),
  ]);
  expect(broker!.inOrder).toBe(true);
  expect(targetsOf(record, relayed)).toEqual([{ host: "10.0.0.2", port: 20_000, name: "b" }]);
});

it("is told anew when it has an agent that does not know yet", () => {
  const direct = { ...record, nodes: record.nodes.map((node) => ({ ...node, relay: undefined })) };
  expect(newlyRelayed(direct, record).map(({ host }) => host)).toEqual(["d"]);
  expect(newlyRelayed(record, record)).toEqual([]);
  const fresh = { ...record, nodes: record.nodes.map((node) => ({ ...node, build: null })) };
  expect(newlyRelayed(direct, fresh)).toEqual([]);
});
