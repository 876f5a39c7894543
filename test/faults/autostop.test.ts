import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster } from "farcall";
import { expect, it } from "vitest";
import { describeInLab } from "../lab/describeInLab.ts";
import { TestFleet, kinds } from "../support/fleet.ts";
import { TestHome, until } from "../support/home.ts";

/** When agents of machines end by themselves. */
describeInLab("agents of a cluster", (lab) => {
  it("take another idle time while they run, keep it when they are started again, and show it", async () => {
    await using fleet = await TestFleet.up({ lab: lab(), nodes: 2 });
    const agents = () =>
      fleet.machines.map((machine) => machine.processes().find(({ command }) => kinds.agent.test(command))?.hostPid);
    const before = agents();
    const shown = async () => (await fleet.cli(["status", "lab"])).stdout;
    expect(await shown()).toMatch(/^ends after 10m 00s without work$/m);
    expect(await fleet.cli(["up", "lab", "--autostop", "2h"])).toMatchObject({ status: 0 });
    expect(await shown()).toMatch(/^ends after 2h 00m without work$/m);
    // They are the agents that they were.
    expect(agents()).toEqual(before);

    for (const machine of fleet.machines) machine.signal(kinds.agent, "SIGKILL");
    const cluster = fleet.open();
    const statuses = await until(
      async () => (await cluster.status().catch(() => undefined))?.idleTimeoutMs,
      (idleMs) => idleMs !== undefined,
      30_000,
    );
    expect(statuses).toBe(7_200_000);

    await using never = new Cluster({ name: "lab", autostopMs: null }, { home: fleet.home.path, logs: "ignore" });
    await never.up();
    expect((await never.status())!.idleTimeoutMs).toBe(0);
    expect(await shown()).toMatch(/^stays up without work$/m);
    // A later `up` that says nothing of it leaves it.
    expect(await fleet.bringUp()).toMatchObject({ status: 0 });
    expect(await shown()).toMatch(/^stays up without work$/m);
  }, 120_000);

  it("go by what was said last, by whoever has the cluster, also where they were away then", async () => {
    await using fleet = await TestFleet.up({ lab: lab(), nodes: 2 });
    await using other = await TestHome.create();
    const hosts = fleet.machines.flatMap(({ name }) => ["--host", name]);
    const byOwner = (...args: string[]) => fleet.cli(["up", "lab", ...args], { timeoutMs: 60_000 });
    const byOther = (...args: string[]) => fleet.cli(["up", "lab", ...args], { timeoutMs: 60_000, home: other });
    const minutes = async (at: number) => {
      const { home, user } = fleet.machines[at]!;
      return Number(await fleet.machines[at]!.do(`cat ${home}/.farcall-node/*/autostop`, { as: user })) / 60_000;
    };
    const all = async () => [await minutes(0), await minutes(1)];
    const recorded = async (home: TestHome) => {
      const { record } = JSON.parse(await readFile(join(home.path, "clusters/lab.json"), "utf8")) as {
        record: { spec: { autostopMs: number } };
      };
      return record.spec.autostopMs / 60_000;
    };

    expect((await byOther(...hosts)).stderr).toMatch(/joining the cluster lab/);
    expect(await all()).toEqual([10, 10]);
    expect(await byOther("--autostop", "3h")).toMatchObject({ status: 0 });
    expect(await byOwner()).toMatchObject({ status: 0 });
    expect([await all(), await recorded(fleet.home)]).toEqual([[180, 180], 180]);
    expect((await fleet.cli(["status", "lab"])).stdout).toMatch(/^ends after 3h 00m without work$/m);
    expect(await byOwner("--autostop", "30m")).toMatchObject({ status: 0 });
    expect(await byOther()).toMatchObject({ status: 0 });
    expect([await all(), await recorded(other)]).toEqual([[30, 30], 30]);

    await fleet.machines[1]!.kill();
    expect((await byOther("--autostop", "2h")).stderr).toMatch(/lab is up: 1 of 2 nodes/);
    await fleet.machines[1]!.boot();
    expect(await minutes(1)).toBe(30);
    expect(await byOwner()).toMatchObject({ status: 0 });
    expect(await all()).toEqual([120, 120]);
  }, 180_000);

  it("stay while the cluster is used through another node, with calls shorter than a look, and end together", async () => {
    await using fleet = await TestFleet.up({ lab: lab(), nodes: 2 });
    const cluster = fleet.open();
    const { square } = await cluster.import<{ square(n: number): number }>(fleet.functionsFile, {
      env: { name: "first", replicas: 1, compute: { node: 1 } },
    });
    const stop = new AbortController();
    const using = (async () => {
      for (; !stop.signal.aborted; await sleep(300)) expect(await square(3)).toBe(9);
    })();
    expect(await fleet.cli(["up", "lab", "--autostop", "8s"])).toMatchObject({ status: 0 });
    const running = () =>
      fleet.machines.filter((machine) => machine.processes().some(({ command }) => kinds.agent.test(command))).length;
    await sleep(22_000);
    expect(running()).toBe(2);
    stop.abort();
    await using;
    await until(running, (count) => count === 0, 60_000);
  }, 120_000);
});
