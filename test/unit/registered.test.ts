import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Registered } from "../../extension/clusters/registered.ts";
import { Registry } from "../../runtime/cluster/registry.ts";
import { clusterRecord } from "../support/clusterRecord.ts";

it("sees clusters that others make, change, damage and take down, and says when there is nothing new", async () => {
  const home = await mkdtemp(join(tmpdir(), "farcall-test-"));
  try {
    const registered = new Registered(home);
    expect(registered.names).toEqual([]);
    await registered.look();
    const others = new Registry(home);
    await others.change("lab", () => clusterRecord());
    expect(await registered.look()).toBe(true);
    expect(registered.names).toEqual(["lab"]);
    expect(registered.of("lab").record?.state).toBe("launching");
    expect(await registered.look()).toBe(false);
    await others.change("lab", (before) => before && { ...before, state: "up" });
    expect(await registered.look()).toBe(true);
    expect(registered.of("lab").record?.state).toBe("up");
    await others.change("big", () => clusterRecord({ name: "big" }));
    await writeFile(join(home, "clusters/lab.json"), "{");
    await registered.look();
    expect(registered.names).toEqual(["big", "lab"]);
    expect(registered.of("lab").record).toBeUndefined();
    expect(registered.of("lab").problem).toMatch(/lab\.json is damaged: it is not JSON/);
    await others.change("big", () => undefined);
    expect(await registered.look()).toBe(true);
    expect(registered.names).toEqual(["lab"]);
    expect(registered.of("big")).toEqual({});
    // Runs are kept of both, and one of them is there.
    expect(registered.gone).toEqual([]);
    for (const name of ["lab", "big"]) await mkdir(join(home, "mirror", name), { recursive: true });
    await others.change("new", () => clusterRecord({ name: "new" }));
    await registered.look();
    expect(registered.gone).toEqual(["big"]);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});
