import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { describeInLab } from "../lab/describeInLab.ts";
import { TestFleet } from "../support/fleet.ts";
import { until } from "../support/home.ts";
import { share } from "./chance.ts";
import { FaultyMap } from "./faultyMap.ts";
import { checkInvariants } from "./invariants.ts";

const machine = { sshd: ["SetEnv FARCALL_LEASE_MS=4000"] };

describeInLab("clients and disks", (lab) => {
  it("goes on when the client is killed, and gives another all that there is", async () => {
    await using fleet = await TestFleet.up({ lab: lab(), nodes: 3, machine });
    const inputs = 20_000;
    const child = fleet.home.spawnCli(
      ["map", "--on", "lab", "--env", '{"replicas":6,"concurrency":4}', "functions.ts#slow", "--input", "-"],
      { env: fleet.environment },
    );
    let printed = "";
    child.stdout!.setEncoding("utf8").on("data", (text: string) => (printed += text));
    child.stdin!.end(Array.from({ length: inputs }, (_, at) => at).join("\n"));
    const cluster = fleet.open();
    const latest = async () => (await cluster.runs.list({ limit: 1 }))[0];
    const record = await until(latest, (run) => run?.total === inputs && printed.length > 1_000, 60_000);
    child.kill("SIGKILL");
    const results = await fleet.cli(["results", "--on", "lab", "--follow", record!.id], { timeoutMs: 120_000 });
    const lines = results.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { index: number; value: [number] });
    expect(lines).toHaveLength(inputs);
    expect(lines.every(({ index, value }, at) => index === at && value[0] === at * 3)).toBe(true);
    // What the first one was given is what the second is.
    const before = printed.slice(0, printed.lastIndexOf("\n"));
    expect(results.stdout.startsWith(before)).toBe(true);
    expect(await latest()).toMatchObject({ id: record!.id, state: "done", done: inputs, failed: 0 });
    expect(await fleet.cli(["down", "lab"])).toMatchObject({ status: 0 });
    expect(fleet.farcallProcesses()).toEqual([]);
  });

  it("goes on when the disk of a node is full for a while", async () => {
    await using fleet = await TestFleet.up({ lab: lab(), nodes: 3, machine: { ...machine, diskMiB: 2_048 } });
    const map = await FaultyMap.begin(fleet, { inputs: 60_000 * share, replicas: 6 });
    const full = fleet.machines[1]!;
    await full.fillDisk();
    await sleep(10_000);
    await full.freeDisk();
    await checkInvariants(fleet, map);
  });
});
