import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { describeInLab } from "../lab/describeInLab.ts";
import type { Machine } from "../lab/machine.ts";
import { TestFleet } from "../support/fleet.ts";
import { TestHome, until } from "../support/home.ts";

/** Machines that are given to a cluster that is there, and machines that are not. */
const up = (fleet: TestFleet, machines: readonly (Machine | string)[], home?: TestHome) =>
  fleet.cli(["up", "lab", ...machines.flatMap((each) => ["--host", typeof each === "string" ? each : each.name])], {
    timeoutMs: 150_000,
    ...(home ? { home } : {}),
  });
const recordOf = (fleet: TestFleet) => readFile(join(fleet.home.path, "clusters/lab.json"), "utf8");
const factsOf = (machine: Machine, file: string) =>
  machine.do(`cat ${machine.home}/.farcall-node/*/${file}`, { as: machine.user });

describeInLab("a cluster of two machines that is given a third", (lab) => {
  it("has it take up work of a map that runs, and is left as it was by one that does not come up", async () => {
    await using fleet = await TestFleet.prepare({ lab: lab(), nodes: 4 });
    const [one, two, three, cutOff] = fleet.machines as [Machine, Machine, Machine, Machine];
    expect(await up(fleet, [one, two])).toMatchObject({ status: 0 });
    const before = await recordOf(fleet);

    // A host that is not there, and one that does not get through.
    const absent = await up(fleet, [one, two, "m99"]);
    expect(absent.status).toBe(2);
    expect(absent.stderr).toMatch(/error ssh\.\w+: .*m99/);
    expect(await recordOf(fleet)).toBe(before);
    await cutOff.block(one.address);
    const unheard = await up(fleet, [one, two, cutOff]);
    expect(unheard.stderr).toMatch(new RegExp(`error node\\.unreachable: ${cutOff.name} does not get through`));
    expect(await recordOf(fleet)).toBe(before);
    expect(await cutOff.do(`ls -A ${cutOff.home}`)).not.toMatch(/farcall/);
    expect(await factsOf(one, "cluster.json")).not.toContain(cutOff.name);

    const cluster = fleet.open();
    const module = await cluster.import<{ where(ms: number): Promise<string> }>(fleet.functionsFile, {
      env: { replicas: 6 },
    });
    const map = module.where.map(Array(240).fill(500) as number[]);
    await map.accepted;
    await until(
      async () => (await cluster.runs.open(map.id)).record,
      ({ done }) => done > 5,
      30_000,
    );
    expect(await up(fleet, [one, two, three])).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/lab is up: 3 nodes/) as string,
    });
    const outcomes: { index: number; value: string }[] = [];
    for await (const outcome of map) outcomes.push(outcome as { index: number; value: string });
    expect(outcomes.map(({ index }) => index)).toEqual(Array.from({ length: 240 }, (_, at) => at));
    expect([...new Set(outcomes.map(({ value }) => value))].sort()).toEqual([one, two, three].map(({ name }) => name));

    // The seat stays the one it was, and whoever finds the cluster on its machines finds all of it.
    expect(JSON.parse(await recordOf(fleet))).toMatchObject({ record: { seats: [1] } });
    for (const machine of [one, two, three]) expect(await factsOf(machine, "cluster.json")).toContain(three.name);
    await using other = await TestHome.create();
    const joined = await up(fleet, [three, one, two], other);
    expect(joined.stderr).toMatch(/joining the cluster lab that is there already\nlab is up: 3 nodes/);
    expect((await up(fleet, [one, two, three, cutOff], other)).stderr).toMatch(
      new RegExp(`error cluster\\.changed: .*${cutOff.name} is not of it`),
    );
    const taken = await up(fleet, [one, two]);
    expect(taken.stderr).toMatch(new RegExp(`error cluster\\.changed: The cluster lab has ${three.name} as well`));
  }, 240_000);
});

describeInLab("a cluster with machines that are dead", (lab) => {
  it("comes up with those that are there as long as they are most of the seats, and says who is missing", async () => {
    await using fleet = await TestFleet.up({ lab: lab(), nodes: 4 });
    const [, two, three, four] = fleet.machines as [Machine, Machine, Machine, Machine];
    expect(await fleet.cli(["stop", "lab"])).toMatchObject({ status: 0 });
    await Promise.all([three.kill(), four.kill()]);
    const without = await fleet.bringUp();
    expect(without.stderr).toMatch(/lab is up: 2 of 4 nodes/);
    for (const { name } of [three, four])
      expect(without.stderr).toMatch(new RegExp(`^warning: ${name} is left out: .*\\S`, "m"));
    expect(without.status).toBe(0);
    expect(JSON.parse((await fleet.cli(["run", "--on", "lab", "functions.ts#square", "[7]"])).stdout)).toBe(49);

    const away = (await fleet.cli(["status", "lab"])).stdout.match(/^node \d+ is away: .*$/gm);
    expect(away).toEqual(
      [3, 4].map((number) => expect.stringMatching(`^node ${number} is away: it cannot be reached. m`)),
    );

    await two.kill();
    const headless = await fleet.bringUp();
    expect(headless.status).toBe(2);
    expect(headless.stderr).toMatch(
      new RegExp(
        `error node\\.unreachable: The cluster lab needs 2 of the 3 machines .*${two.name}: .*${three.name}: `,
      ),
    );
    await Promise.all([two.boot(), four.boot()]);
    const again = await fleet.bringUp();
    expect(again.stderr).toMatch(/lab is up: 3 of 4 nodes/);
    expect(again.status).toBe(0);
    for (const seat of fleet.machines.slice(0, 2)) await four.block(seat.address);
    await until(
      async () => (await fleet.cli(["status", "lab"])).stdout,
      (said) => said.includes("node 4 is away: its agent does not get through to the queue\n"),
      60_000,
    );
  }, 240_000);

  it("is told of every host that failed where it never was up, and leaves nothing", async () => {
    await using fleet = await TestFleet.prepare({ lab: lab(), nodes: 3 });
    const [one, two, three] = fleet.machines as [Machine, Machine, Machine];
    await two.kill();
    await three.do(`chmod 500 ${three.home}`);
    const failed = await up(fleet, [one, two, three]);
    expect(failed.status).toBe(2);
    expect(failed.stderr).toMatch(
      new RegExp(`error node\\.unsupported: 2 hosts failed\\. ${two.name}: .* ${three.name}: `),
    );
    expect(await one.do(`ls -A ${one.home}`)).not.toMatch(/farcall/);
    expect((await fleet.cli(["status", "lab"])).stderr).toMatch(/error cluster\.unknown/);
  });

  it("goes on where a client that was killed left off, also when that got to some of its machines only", async () => {
    await using fleet = await TestFleet.prepare({ lab: lab(), nodes: 2 });
    const [one, two] = fleet.machines as [Machine, Machine];
    const child = fleet.home.spawnCli(["up", "lab", "--host", one.name, "--host", two.name], {
      env: fleet.environment,
    });
    await until(
      () => one.run(`ls ${one.home}/.farcall-node/*/cluster.json`),
      ({ status }) => status === 0,
      30_000,
    );
    child.kill("SIGKILL");
    await two.do(`pkill -u ${two.user}; rm -rf ${two.home}/.farcall-node`).catch(() => undefined);
    const again = await up(fleet, [one, two]);
    expect(again.stderr).toMatch(/lab is up: 2 nodes/);
    expect(again.stderr).not.toMatch(/joining/);
  });
});

describeInLab("a machine that does not get through to the others", (lab) => {
  it("is named with what to open", async () => {
    await using fleet = await TestFleet.prepare({ lab: lab(), nodes: 2 });
    const [head, other] = fleet.machines;
    await other!.block(head!.address);
    const up = await fleet.cli(["up", "lab", "--host", head!.name, "--host", other!.name], { timeoutMs: 100_000 });
    expect(up.status).toBe(2);
    expect(up.stderr).toMatch(
      new RegExp(
        `error node\\.unreachable: ${other!.name} does not get through to ${head!.name} \\(${head!.address}, port \\d+\\)`,
      ),
    );
    expect(up.stderr).toMatch(new RegExp(`Open this port for ${other!.name}`));
    // It never was up, so nothing of it stays behind.
    expect(fleet.farcallProcesses()).toEqual([]);
    for (const machine of fleet.machines) expect(await machine.do(`ls -A ${machine.home}`)).not.toMatch(/farcall/);
    expect((await fleet.cli(["status", "lab"])).stderr).toMatch(/error cluster\.unknown/);
  });
});
