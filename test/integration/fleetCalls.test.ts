import { afterAll, beforeAll, expect, it } from "vitest";
import type { Cluster, RunRecord } from "farcall";
import { describeInLab } from "../lab/describeInLab.ts";
import { TestFleet } from "../support/fleet.ts";
import { TestHome, until } from "../support/home.ts";
import { roadsTo } from "../support/throughProxy.ts";

/** Calls that one node of a cluster is asked for, and what others know of them. */
describeInLab("calls on a cluster of three machines", (lab) => {
  let fleet: TestFleet;
  let cluster: Cluster;
  let other: TestHome;
  let roads: Awaited<ReturnType<typeof roadsTo>>;

  beforeAll(async () => {
    fleet = await TestFleet.up({ lab: lab(), nodes: 3 });
    cluster = fleet.open();
    // Another client, which reaches the second machine alone.
    other = await TestHome.create();
    await other.write("there.ts", functions);
    const hosts = fleet.machines.flatMap(({ name }) => ["--host", name]);
    expect(await fleet.cli(["up", "lab", ...hosts], { home: other })).toMatchObject({ status: 0 });
    roads = await roadsTo(lab(), fleet.machines);
    for (const at of [0, 2]) await roads.proxies[at]!.refuse();
  }, 120_000);
  afterAll(async () => {
    await roads?.[Symbol.asyncDispose]();
    await other?.[Symbol.asyncDispose]();
    await fleet?.[Symbol.asyncDispose]();
  });

  const onSecond = { name: "second", replicas: 1, compute: { node: 2 } };
  const throughSecond = () => ({ env: { ...fleet.environment, ...roads.env } });
  const beginThroughSecond = (name: string, args: unknown[]) =>
    other.spawnCli(
      ["run", "--on", "lab", "--env", JSON.stringify(onSecond), `there.ts#${name}`, JSON.stringify(args)],
      throughSecond(),
    );
  const newestThroughSecond = () =>
    until(
      async () => {
        const { stdout } = await other.cli(["runs", "--on", "lab", "--json"], throughSecond());
        return (JSON.parse(stdout || "[]") as RunRecord[])[0];
      },
      (record) => record?.state === "running",
    );

  it("keep their env from being rebuilt or removed, whichever node is asked", async () => {
    const { where } = await cluster.import<{ where(ms: number): Promise<string> }>(fleet.functionsFile, {
      env: onSecond,
    });
    expect(await where(1)).toBe("m2");
    const call = beginThroughSecond("stay", [60_000]);
    await newestThroughSecond();
    await expect(cluster.envs.rebuild("second")).rejects.toMatchObject({ code: "run.state" });
    await expect(cluster.envs.remove("second")).rejects.toMatchObject({ code: "run.state" });
    call.kill("SIGKILL");
    await until(
      () => cluster.envs.rebuild("second").catch((error: unknown) => error),
      (error) => error === undefined,
    );
    await cluster.envs.remove("second");
    expect((await other.cli(["envs", "--on", "lab"], throughSecond())).stdout).not.toMatch(/second/);
  });
});

const functions = `
import { setTimeout as sleep } from "node:timers/promises";
export const stay = async (ms: number) => { await sleep(ms); return ms; };
`;
