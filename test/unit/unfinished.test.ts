import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { UnfinishedRuns } from "../../extension/launch/unfinished.ts";

it("two windows on one workspace add and remove unfinished runs without losing each other's", async () => {
  const folder = await mkdtemp(join(tmpdir(), "farcall-unfinished-"));
  try {
    const [one, other] = [new UnfinishedRuns(join(folder, "runs")), new UnfinishedRuns(join(folder, "runs"))];
    expect(await one.list()).toEqual([]);
    await Promise.all([
      one.add({ run: "aaa-1", cluster: "local" }),
      other.add({ run: "bbb-2", cluster: "lab", guests: ["local", "big"] }),
      one.add({ run: "ccc-3", cluster: "local" }),
    ]);
    await Promise.all([one.remove("ccc-3"), other.remove("never-there")]);
    const both = [
      { run: "aaa-1", cluster: "local" },
      { run: "bbb-2", cluster: "lab", guests: ["local", "big"] },
    ];
    expect(await one.list()).toEqual(both);
    expect(await other.list()).toEqual(both);
  } finally {
    await rm(folder, { recursive: true });
  }
});
