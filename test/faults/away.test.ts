import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { describeInLab } from "../lab/describeInLab.ts";
import { TestFleet } from "../support/fleet.ts";
import { outcomeOf, until } from "../support/home.ts";
import { roadsTo } from "../support/throughProxy.ts";
import { FaultyMap } from "./faultyMap.ts";
import { checkInvariants } from "./invariants.ts";

const awayMs = process.env["CI"] ? 60_000 : 180_000;
const replicas = 6;
/** Replicas work four inputs of 200 ms at once, so this is more than they get done meanwhile. */
const inputs = Math.ceil((replicas * 4 * awayMs * 1.4) / 200);

describeInLab("clients that are away for minutes", (lab) => {
  it("are given all that they missed, once, by a map that went on without them", async () => {
    await using fleet = await TestFleet.up({ lab: lab(), nodes: 3 });
    await using roads = await roadsTo(lab(), fleet.machines);
    // Clients in this process go by it from now on; the command line of the fleet goes past it.
    Object.assign(process.env, roads.env);
    const map = await FaultyMap.begin(fleet, { inputs, replicas, work: "slower" });
    await map.accepted;
    const record = async () => {
      const { stdout } = await fleet.cli(["runs", "--on", "lab", "--json", "--limit", "1"]);
      return (JSON.parse(stdout) as { id: string; state: string; done: number }[])[0]!;
    };
    const { id } = await record();
    // One whose link is cut, as a laptop's without a network, and one that is stopped, as a laptop's that sleeps.
    const stopped = fleet.home.spawnCli(["results", "--on", "lab", id, "--follow"], {
      env: { ...fleet.environment, ...roads.env },
    });
    const results = outcomeOf(stopped, awayMs + 360_000);
    let printed = "";
    stopped.stdout!.on("data", (text: string) => (printed += text));
    await until(
      () => printed.length,
      (length) => length > 1_000,
    );
    stopped.kill("SIGSTOP");
    await Promise.all(roads.proxies.map((proxy) => proxy.refuse()));
    for (const proxy of roads.proxies) proxy.cut();
    await sleep(1_000);
    const [seen, printedBefore, before] = [map.seen.length, printed.length, await record()];
    await sleep(awayMs);
    const after = await record();
    expect([map.seen.length, printed.length]).toEqual([seen, printedBefore]);
    // It went on all the time, and still does.
    expect(after).toMatchObject({ id, state: "running" });
    expect(after.done - before.done).toBeGreaterThan(inputs / 4);

    await Promise.all(roads.proxies.map((proxy) => proxy.accept()));
    stopped.kill("SIGCONT");
    await until(
      () => Math.min(map.seen.length - seen, printed.length - printedBefore),
      (more) => more > 0,
      30_000,
    );
    const { status, stdout } = await results;
    expect(status).toBe(0);
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { index: number; value: [number] });
    expect(lines).toHaveLength(inputs);
    expect(lines.findIndex(({ index, value }, at) => index !== at || value[0] !== at * 3)).toBe(-1);
    await checkInvariants(fleet, map, { endsWithinMs: 240_000 });
  }, 900_000);
});
