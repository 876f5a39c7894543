import { afterAll, beforeAll, expect, it } from "vitest";
import { Cluster, newRunId } from "farcall";
import { describeInLab } from "../lab/describeInLab.ts";
import { TestFleet } from "../support/fleet.ts";
import { TestHome, until } from "../support/home.ts";

/** Clusters of several machines on a broker, from the command line and from the library. */
describeInLab("a cluster of three machines", (lab) => {
  let fleet: TestFleet;
  const env = (spec: object = {}) => ["--env", JSON.stringify({ replicas: 3, ...spec })];
  const names = () => fleet.machines.map(({ name }) => name);
  const ids = (count: number) => Array.from({ length: count }, (_, at) => at).join("\n");

  beforeAll(async () => {
    fleet = await TestFleet.up({ lab: lab(), nodes: 3 });
  });
  afterAll(() => fleet[Symbol.asyncDispose]());

  it("comes up with a node for each machine, and again without doing anything", async () => {
    const again = await fleet.bringUp();
    expect(again.stderr).toMatch(/^lab is up: 3 nodes, after [\d.]+ s\.\n$/);
    const { stdout } = await fleet.cli(["status", "lab"]);
    for (const name of names()) expect(stdout).toMatch(new RegExp(` ${name} +linux x64`));
  });

  it("maps on all machines at once, each input once and in order", async () => {
    const map = await fleet.cli(["map", "--on", "lab", ...env(), "functions.ts#slow", "--input", "-"], {
      input: ids(3_000),
    });
    expect(map.stderr).not.toMatch(/error/);
    const lines = map.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { index: number; value: [number, string] });
    expect(lines.map(({ index }) => index)).toEqual(Array.from({ length: 3_000 }, (_, at) => at));
    expect(lines.every(({ index, value }) => value[0] === index * 3)).toBe(true);
    const shares = new Map<string, number>();
    for (const { value } of lines) shares.set(value[1], (shares.get(value[1]) ?? 0) + 1);
    expect([...shares.keys()].sort()).toEqual(names());
    expect(Math.min(...shares.values())).toBeGreaterThan(100);
  });

  it("runs calls at the same time on several machines, and pinned ones on one", async () => {
    const cluster = fleet.open();
    const spread = await cluster.import<{ where(ms: number): Promise<string> }>(fleet.functionsFile, {
      env: { replicas: 3 },
    });
    const hosts = await Promise.all(Array.from({ length: 6 }, () => spread.where(300)));
    expect([...new Set(hosts)].sort()).toEqual(names());
    const pinned = await cluster.import<{ where(ms: number): Promise<string> }>(fleet.functionsFile, {
      env: { name: "pinned", replicas: 1, compute: { node: 2 } },
    });
    expect(await Promise.all([pinned.where(1), pinned.where(1), pinned.where(1)])).toEqual(Array(3).fill("m2"));
    const map = pinned.where.map(Array(30).fill(1) as number[]);
    expect(new Set(await map.toArray())).toEqual(new Set(["m2"]));
  });

  it("shows what replicas on all machines print, while they do and later", async () => {
    const map = await fleet.cli(["map", "--on", "lab", ...env(), "functions.ts#where", "--input", "-"], {
      input: Array(60).fill(20).join("\n"),
    });
    for (const name of names()) expect(map.stderr).toMatch(new RegExp(`on ${name}`));
    const [{ id }] = JSON.parse((await fleet.cli(["runs", "--on", "lab", "--json", "--limit", "1"])).stdout) as [
      { id: string },
    ];
    const { stdout } = await fleet.cli(["logs", "--on", "lab", id]);
    for (const name of names()) expect(stdout).toMatch(new RegExp(`on ${name}`));
    expect(stdout.trim().split("\n")).toHaveLength(60);
  });

  it("shows what all machines print to whoever sends the rest of a map's inputs", async () => {
    const first = fleet.open();
    const module = await first.openModule(fleet.functionsFile, { env: { replicas: 3 } });
    const run = newRunId();
    async function* stalling() {
      yield 1;
      await new Promise(() => undefined);
    }
    const map = module.map("where", stalling(), { run });
    map.accepted.catch(() => undefined);
    await until(
      () => map.progress.accepted,
      (accepted) => accepted === 1,
    );
    first.close();
    const lines: string[] = [];
    await using next = new Cluster("lab", { home: fleet.home.path, logs: ({ text }) => lines.push(text) });
    const open = await next.runs.open(run);
    await until(
      () => open.feed(() => Array(60).fill(20) as number[]),
      (fed) => fed === "sent",
      20_000,
    );
    expect(await Array.fromAsync(open.outcomes())).toHaveLength(60);
    for (const name of names()) expect(lines).toContain(`on ${name}`);
  });

  it("pauses, goes on and is cancelled on all machines", async () => {
    const cluster = fleet.open();
    const module = await cluster.import<{ slow(n: number): Promise<[number, string]> }>(fleet.functionsFile, {
      env: { replicas: 3 },
    });
    const map = module.slow.map(Array.from({ length: 6_000 }, (_, at) => at));
    await map.accepted;
    await until(
      async () => (await cluster.runs.open(map.id)).record,
      ({ done, replicas }) => done > 200 && replicas === 3,
      30_000,
    );
    const run = await cluster.runs.open(map.id);
    await run.pause();
    // What is in workers' hands is finished; then nothing moves.
    const rested = await until(
      async () => (await cluster.runs.open(map.id)).record,
      ({ active }) => active === 0,
      20_000,
    );
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect((await cluster.runs.open(map.id)).record).toMatchObject({ state: "paused", done: rested.done });
    await run.resume();
    await until(
      async () => (await cluster.runs.open(map.id)).record,
      ({ done, replicas }) => done > rested.done + 300 && replicas === 3,
      20_000,
    );
    const { replicas } = await run.timeline();
    expect(new Set(replicas.map(({ id }) => Math.floor(id / 10_000)))).toEqual(new Set([0, 1, 2]));
    expect(await fleet.cli(["cancel", "--on", "lab", map.id])).toMatchObject({ status: 0 });
    expect((await cluster.runs.open(map.id)).record.state).toBe("cancelled");
    await until(
      async () => (await cluster.status())!.nodes.flatMap(({ maps }) => maps),
      (maps) => maps.length === 0,
      10_000,
    );
  });

  it("says the same of why a map ended, whichever node is asked", async () => {
    const map = await fleet.cli(
      ["map", "--on", "lab", ...env(), "--on-error", "stop", "functions.ts#fail", "--input", "-"],
      {
        input: ids(2_000),
      },
    );
    expect(map.status).toBe(1);
    expect(map.stderr).toMatch(/RangeError: too far/);
    const [{ id }] = JSON.parse((await fleet.cli(["runs", "--on", "lab", "--json", "--limit", "1"])).stdout) as [
      { id: string },
    ];
    const knows = () =>
      Promise.all(fleet.machines.map((each) => each.do(`cat ${each.home}/.farcall-node/*/node.json`)));
    const before = await knows();
    for (const machine of fleet.machines) {
      // Another client of the same machines, which asks that node first.
      await using other = await TestHome.create();
      const order = [machine, ...fleet.machines.filter((each) => each !== machine)];
      const joined = await fleet.cli(["up", "lab", ...order.flatMap(({ name }) => ["--host", name])], { home: other });
      expect(joined.stderr).toMatch(/joining the cluster lab/);
      const runs = JSON.parse((await fleet.cli(["runs", "--on", "lab", "--json"], { home: other })).stdout) as {
        id: string;
      }[];
      expect(runs.find((run) => run.id === id)).toMatchObject({
        state: "failed",
        error: { code: "item.failed", message: expect.stringMatching(/An input failed/) as string },
      });
    }
    // Who joined left the nodes as they were: it has none of the keys.
    expect(await knows()).toEqual(before);
  });

  it("leaves nothing on any machine when it is taken down", async () => {
    const down = await fleet.cli(["down", "lab"]);
    expect(down).toMatchObject({ status: 0, stderr: "lab is down.\n" });
    for (const machine of fleet.machines) expect(await machine.do(`ls -A ${machine.home}`)).not.toMatch(/farcall|npm/);
    expect(fleet.farcallProcesses()).toEqual([]);
  });
});

describeInLab("a cluster of two machines", (lab) => {
  it("maps on both and leaves nothing", async () => {
    await using fleet = await TestFleet.up({ lab: lab(), nodes: 2 });
    const cluster = fleet.open();
    const module = await cluster.import<{ slow(n: number): Promise<[number, string]> }>(fleet.functionsFile, {
      env: { replicas: 2 },
    });
    const values = await module.slow.map(Array.from({ length: 1_000 }, (_, at) => at)).toArray();
    expect(values.map(([value]) => value)).toEqual(Array.from({ length: 1_000 }, (_, at) => at * 3));
    expect([...new Set(values.map(([, host]) => host))].sort()).toEqual(fleet.machines.map(({ name }) => name));
    expect(await fleet.cli(["down", "lab"])).toMatchObject({ status: 0 });
    expect(fleet.farcallProcesses()).toEqual([]);
  });
});
