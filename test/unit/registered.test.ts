import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Registered } from "../../extension/clusters/registered.ts";
import { type ClusterRecord, Registry } from "../../runtime/cluster/registry.ts";

const record = (name: string, change: Partial<ClusterRecord> = {}): ClusterRecord => ({
  schema: 1,
  name,
  id: "0123456789ab",
  provider: "ssh",
  spec: { name, hosts: ["a"], autostopMs: null },
  state: "launching",
  nodes: [],
  seats: [],
  ports: null,
  createdAtMs: 1,
  sinceMs: 1,
  ...change,
});

it("sees clusters that others make, change, damage and take down, and says when there is nothing new", async () => {
  const home = await mkdtemp(join(tmpdir(), "farcall-test-"));
  try {
    const registered = new Registered(home);
    expect(registered.names).toEqual([]);
    await registered.look();
    const others = new Registry(home);
    await others.change("lab", () => record("lab"));
    expect(await registered.look()).toBe(true);
    expect(registered.names).toEqual(["lab"]);
    expect(registered.of("lab").record?.state).toBe("launching");
    expect(await registered.look()).toBe(false);
    await others.change("lab", (before) => before && { ...before, state: "up" });
    expect(await registered.look()).toBe(true);
    expect(registered.of("lab").record?.state).toBe("up");
    await others.change("big", () => record("big"));
    await writeFile(join(home, "clusters/lab.json"), "{");
    await registered.look();
    expect(registered.names).toEqual(["big", "lab"]);
    expect(registered.of("lab").record).toBeUndefined();
    expect(registered.of("lab").problem).toMatch(/lab\.json is damaged: it is not JSON/);
    await others.change("big", () => undefined);
    expect(await registered.look()).toBe(true);
    expect(registered.names).toEqual(["lab"]);
    expect(registered.of("big")).toEqual({});
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});
