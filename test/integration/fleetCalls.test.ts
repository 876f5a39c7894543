import { afterAll, beforeAll, expect, it } from "vitest";
import { type Cluster, newRunId, type RunRecord } from "farcall";
import { describeInLab } from "../lab/describeInLab.ts";
import { kinds, TestFleet } from "../support/fleet.ts";
import { TestHome, until } from "../support/home.ts";
import { roadsTo } from "../support/throughProxy.ts";

/** Calls that one node of a cluster is asked for, and what others know of them. */
describeInLab("calls on a cluster of three machines", (lab) => {
  let fleet: TestFleet;
  let cluster: Cluster;
  let other: TestHome;
  let roads: Awaited<ReturnType<typeof roadsTo>>;
  /** Those of `cluster`, which lead to the first machine alone. */
  let firstRoads: Awaited<ReturnType<typeof roadsTo>>;

  beforeAll(async () => {
    fleet = await TestFleet.up({ lab: lab(), nodes: 3 });
    // Another client, which reaches the second machine alone.
    other = await TestHome.create();
    await other.write("there.ts", functions);
    const hosts = fleet.machines.flatMap(({ name }) => ["--host", name]);
    expect(await fleet.cli(["up", "lab", ...hosts], { home: other })).toMatchObject({ status: 0 });
    roads = await roadsTo(lab(), fleet.machines);
    for (const at of [0, 2]) await roads.proxies[at]!.refuse();
    firstRoads = await roadsTo(lab(), fleet.machines);
    for (const at of [1, 2]) await firstRoads.proxies[at]!.refuse();
    Object.assign(process.env, firstRoads.env);
    cluster = fleet.open();
  }, 120_000);
  afterAll(async () => {
    await roads?.[Symbol.asyncDispose]();
    await firstRoads?.[Symbol.asyncDispose]();
    await other?.[Symbol.asyncDispose]();
    await fleet?.[Symbol.asyncDispose]();
  });

  const onSecond = { name: "second", replicas: 1, compute: { node: 2 } };
  const throughSecond = () => ({ env: { ...fleet.environment, ...roads.env } });
  const callThroughSecond = (name: string, args: unknown[]) =>
    other.cli(
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
    const call = callThroughSecond("stay", [60_000]);
    const { id } = (await newestThroughSecond())!;
    await expect(cluster.envs.rebuild("second")).rejects.toMatchObject({ code: "run.state" });
    await expect(cluster.envs.remove("second")).rejects.toMatchObject({ code: "run.state" });
    await other.cli(["cancel", "--on", "lab", id], throughSecond());
    expect((await call).stderr).toMatch(/run\.cancelled/);
    await cluster.envs.rebuild("second");
    await cluster.envs.remove("second");
    expect((await other.cli(["envs", "--on", "lab"], throughSecond())).stdout).not.toMatch(/second/);
  });

  it("are listed, followed and cancelled through any node", async () => {
    const changed: RunRecord[] = [];
    const watching = new AbortController();
    const { signal } = watching;
    const changes = (async () => {
      for await (const { runs } of cluster.changes({ signal })) changed.push(...runs);
    })().catch(() => undefined);
    const call = callThroughSecond("stay", [60_000]);
    const { id } = (await newestThroughSecond())!;
    expect((await cluster.runs.list()).find((record) => record.id === id)).toMatchObject({ state: "running" });
    const run = await cluster.runs.open(id);
    expect(await run.request()).toMatchObject({ export: "stay", args: [60_000], env: onSecond });
    const ended = (async () => {
      for await (const record of run.watch()) if (record.state !== "running") return record;
    })();
    expect((await run.cancel(), await ended)).toMatchObject({ state: "cancelled" });
    expect((await call).stderr).toMatch(/run\.cancelled/);
    await until(
      () => new Set(changed.filter((record) => record.id === id).map(({ state }) => state)),
      (states) => states.has("cancelled"),
    );
    watching.abort();
    await changes;
    await expect(cluster.runs.open(newRunId())).rejects.toMatchObject({ code: "run.unknown" });
  });

  it("that have ended are known with their results when the node is dead that they ran on", async () => {
    const results = [await callThroughSecond("stay", [7]), await callThroughSecond("fails", [])];
    expect(results.map(({ status }) => status)).toEqual([0, 1]);
    // The record follows the result, and the source of a failure the record.
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    await fleet.machines[1]!.kill();
    const begunMs = performance.now();
    const [failed, done] = await cluster.runs.list({ limit: 2 });
    expect(performance.now() - begunMs).toBeLessThan(10_000);
    expect([failed, done]).toMatchObject([
      { state: "failed", label: "there.ts#fails" },
      { state: "done", label: "there.ts#stay" },
    ]);
    const run = await cluster.runs.open(done!.id);
    expect(await run.result()).toBe(7);
    expect(await run.request()).toMatchObject({ export: "stay", args: [7], env: onSecond });
    const error: Error = await (await cluster.runs.open(failed!.id)).result().then(
      () => undefined,
      (thrown) => thrown,
    );
    expect(error).toEqual(new RangeError("too far"));
    // Its code was on that node alone.
    expect(error.stack).toMatch(/^RangeError: too far\n +at fails \(.*\/project\/there\.ts:3:\d+\)$/);
  });

  it("that are detached go on when the agent ends that forwarded them", async () => {
    const run = newRunId();
    const module = await cluster.openModule(fleet.functionsFile, {
      env: { name: "third", replicas: 1, compute: { node: 3 } },
    });
    const refusal = module.call("where", [8_000], { run, detached: true }).then(() => undefined, String);
    const record = async () => (await cluster.runs.open(run).catch(() => undefined))?.record;
    // The connection is lost later; before, a refusal says why nothing runs.
    const begun = () => until(record, (found) => found?.state === "running", 30_000);
    expect(await Promise.race([begun().then(() => "running"), refusal])).toBe("running");
    expect(fleet.machines[0]!.signal(kinds.agent, "SIGTERM")).toBe(1);
    await firstRoads.proxies[2]!.accept();
    await until(record, (found) => found?.state === "done", 40_000);
    expect(await (await cluster.runs.open(run)).result()).toBe("m3");
  });
});

const functions = `
import { setTimeout as sleep } from "node:timers/promises";
export const fails = () => { throw new RangeError("too far"); };
export const stay = async (ms: number) => { await sleep(ms); return ms; };
`;
