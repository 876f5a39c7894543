import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ClusterRecord, newClusterId, Registry } from "../../runtime/cluster/registry.ts";
import { clusterRecord } from "../support/clusterRecord.ts";

let home: string;
beforeEach(() => void (home = mkdtempSync(join(tmpdir(), "farcall-registry-"))));
afterEach(() => rmSync(home, { recursive: true, force: true }));

const record = (change: Partial<ClusterRecord> = {}) => clusterRecord({ id: newClusterId(), ...change });
const file = () => join(home, "clusters/lab.json");

describe("the registry of clusters", () => {
  it("keeps a record, for its owner alone, and lists it by name", async () => {
    const registry = new Registry(home);
    expect(registry.names()).toEqual([]);
    expect(registry.get("lab")).toBeUndefined();
    const kept = record();
    await registry.change("lab", () => kept);
    expect(new Registry(home).get("lab")).toEqual(kept);
    expect(new Registry(home).names()).toEqual(["lab"]);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(home, "clusters")).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    await registry.change("lab", () => undefined);
    expect(registry.names()).toEqual([]);
    expect(() => registry.need("lab")).toThrow(expect.objectContaining({ code: "cluster.unknown" }));
  });

  it("loses no change that others make at the same time", async () => {
    await new Registry(home).change("lab", () => record({ sinceMs: 0 }));
    const url = JSON.stringify(new URL("../../runtime/cluster/registry.ts", import.meta.url).href);
    const code = `import(${url}).then(async ({ Registry }) => {
      const registry = new Registry(${JSON.stringify(home)});
      for (let i = 0; i < 25; i++) await registry.change("lab", (before) => ({ ...before, sinceMs: before.sinceMs + 1 }));
    });`;
    const workers = Array.from({ length: 4 }, () => new Worker(code, { eval: true }));
    const statuses = await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once("exit", resolve))));
    expect(statuses).toEqual([0, 0, 0, 0]);
    expect(new Registry(home).get("lab")?.sinceMs).toBe(100);
  });

  it("notices every cut and every changed byte, and says what to do", async () => {
    const registry = new Registry(home);
    await registry.change("lab", () => record());
    const whole = readFileSync(file());
    const seen = new Set<string>();
    for (let at = 0; at < whole.byteLength - 1; at++) {
      const cut = whole.subarray(0, at);
      const flipped = Buffer.from(whole);
      flipped[at]! ^= 1;
      for (const damaged of [cut, flipped]) {
        writeFileSync(file(), damaged);
        try {
          // White space between fields means nothing.
          expect(JSON.stringify(registry.get("lab"))).toBe(JSON.stringify(JSON.parse(whole.toString()).record));
        } catch (error) {
          seen.add((error as { code: string }).code);
          expect(error).toMatchObject({ hint: expect.any(String) });
        }
      }
    }
    expect([...seen]).toEqual(["registry.corrupt"]);
  });

  it("leaves the record of a newer Farcall alone", async () => {
    const registry = new Registry(home);
    await registry.change("lab", () => ({ ...record(), schema: 2 }) as never);
    expect(() => registry.get("lab")).toThrow(expect.objectContaining({ code: "agent.version" }));
  });

  it("lets one at a time change a cluster as a whole, tells others that they wait, and lets them give up", async () => {
    const registry = new Registry(home);
    const order: string[] = [];
    const first = Promise.withResolvers<void>();
    const one = registry.whole("lab", () => first.promise.then(() => order.push("first")), { withinMs: 1_000 });
    const onWait = () => {
      order.push("waits");
      first.resolve();
    };
    const two = new Registry(home).whole("lab", async () => order.push("second"), { withinMs: 5_000, onWait });
    await Promise.all([one, two]);
    expect(order).toEqual(["waits", "first", "second"]);

    const held = Promise.withResolvers<void>();
    const holding = registry.whole("lab", () => held.promise, { withinMs: 1_000 });
    const stop = new AbortController();
    const waiting = registry.whole("lab", async () => 1, { withinMs: 60_000, signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    await expect(registry.whole("lab", async () => 1, { withinMs: 30 })).rejects.toMatchObject({
      code: "cluster.busy",
    });
    held.resolve();
    await holding;
  });

  it("refuses names that are no names", () => {
    const registry = new Registry(home);
    for (const name of ["../x", "", "A", "a/b", "a".repeat(60)])
      expect(() => registry.get(name)).toThrow(expect.objectContaining({ code: "name.invalid" }));
  });
});
