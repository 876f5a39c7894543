import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { Cluster } from "farcall";
import { afterEach, beforeEach, expect, it } from "vitest";
import { describeInLab } from "../lab/describeInLab.ts";
import type { Machine } from "../lab/machine.ts";
import { TestHome } from "../support/home.ts";

/** Runs that outlive the machines that they ran on. */
describeInLab("what is kept of the runs of a cluster", (lab) => {
  let machine: Machine;
  let home: TestHome;
  const env = () => ({ FARCALL_SSH_CONFIG: lab().sshConfigFile });
  const farcall = (args: string[], input = "") => home.cli(args, { env: env(), input });
  const kept = () => readdir(join(home.path, "mirror/lab")).catch(() => [] as string[]);
  const inputs = Array.from({ length: 2_000 }, (_, at) => at).join("\n");
  const listed = async () =>
    JSON.parse((await farcall(["runs", "--on", "lab", "--json"])).stdout) as { id: string; kind: string }[];
  /** What a person can see of a run. */
  const seen = async (id: string) => {
    const [results, unordered, logs, tail] = await Promise.all([
      farcall(["results", id, "--on", "lab"]),
      farcall(["results", id, "--on", "lab", "--unordered", "--errors-only"]),
      farcall(["logs", id, "--on", "lab"]),
      farcall(["logs", id, "--on", "lab", "--tail", "3"]),
    ]);
    return [results.status, results.stdout, unordered.stdout, logs.stdout, tail.stdout];
  };

  beforeEach(async () => {
    machine = await lab().machine();
    home = await TestHome.create();
    await home.write(
      "work.ts",
      `export function work(n: number) {
         if (n % 100 === 0) console.log("at " + n);
         if (n === 700) throw new RangeError("too far");
         return { n, text: "é" };
       }`,
    );
    expect(await farcall(["up", "lab", "--host", machine.name])).toMatchObject({ status: 0 });
  });
  afterEach(async () => {
    await machine.kill();
    await home[Symbol.asyncDispose]();
  });

  it(
    "is the same as what the cluster says, when that is stopped, away and taken down",
    { timeout: 180_000 },
    async () => {
      const map = await farcall(["map", "--on", "lab", "work.ts#work", "--input", "-"], inputs);
      expect(map.status).toBe(1);
      const [{ id } = { id: "" }] = await listed();
      expect(await kept()).toEqual([id]);
      // One that nobody followed, and a call: they are kept before the machine is given up.
      const detached = await farcall(["map", "--on", "lab", "work.ts#work", "--input", "-", "--detach"], inputs);
      const other = detached.stdout.trim();
      await farcall(["logs", other, "--on", "lab", "--follow"]);
      expect((await kept()).toSorted()).toEqual([id, other].toSorted());
      await farcall(["run", "--on", "lab", "work.ts#work", "[5]"]);
      const before = await listed();
      expect(before).toHaveLength(3);
      const call = before.find(({ kind }) => kind === "call")!.id;
      const live = [await seen(id), await seen(call)];
      expect(live[0]![1]!).toMatch(/"index":1999/);
      expect(live[0]![2]!).toMatch(/RangeError/);
      expect(live[1]![1]!).toBe('{"n":5,"text":"é"}\n');

      expect((await farcall(["stop", "lab"])).status).toBe(0);
      expect((await kept()).length).toBe(3);
      const agents = () => machine.processes().filter(({ command }) => command.includes("agent.js"));
      expect(await listed()).toEqual(before);
      expect([await seen(id), await seen(call)]).toEqual(live);
      expect(agents()).toEqual([]);
      expect((await farcall(["start", "lab"])).status).toBe(0);

      await machine.kill();
      const away = await farcall(["results", id, "--on", "lab"]);
      expect([away.status, away.stdout]).toEqual(live[0]!.slice(0, 2));
      expect(away.stderr).toMatch(/^from what was kept here of lab: /);
      await machine.boot();

      expect(await farcall(["down", "lab"])).toMatchObject({ status: 0 });
      expect(await listed()).toEqual(before);
      expect([await seen(id), await seen(call)]).toEqual(live);
      const unknown = await farcall(["results", "r-none", "--on", "lab"]);
      expect(unknown.stderr).toMatch(/error (cluster|run)\.unknown/);
      expect((await farcall(["run", "--on", "lab", "work.ts#work", "[5]"])).stderr).toMatch(/error cluster\.unknown/);
    },
  );

  it("is there for programs, which are told", async () => {
    expect(await farcall(["map", "--on", "lab", "work.ts#work", "--input", "-"], inputs)).toMatchObject({ status: 1 });
    expect(await farcall(["run", "--on", "lab", "work.ts#work", "[5]"])).toMatchObject({ status: 0 });
    expect(await farcall(["down", "lab"])).toMatchObject({ status: 0 });
    const why: string[] = [];
    await using cluster = new Cluster("lab", { home: home.path, logs: "ignore", onMirror: (text) => why.push(text) });
    const records = await cluster.runs.list();
    expect(records).toHaveLength(2);
    const map = await cluster.runs.open(records.find(({ kind }) => kind === "map")!.id);
    const outcomes = await Array.fromAsync(map.outcomes({ from: 1_990 }));
    expect(outcomes.map(({ index }) => index)).toEqual(Array.from({ length: 10 }, (_, at) => 1_990 + at));
    const picked = await map.pick([3, 700, 1_999, 1_999_999, 5]);
    expect(
      picked.map((each) => [each.index, "error" in each ? each.error.name : "value" in each && each.value]),
    ).toEqual([
      [3, { n: 3, text: "é" }],
      [5, { n: 5, text: "é" }],
      [700, "RangeError"],
      [1_999, { n: 1_999, text: "é" }],
    ]);
    const [first] = await map.pick([3], { maxBytes: 4 });
    expect(first).toMatchObject({ index: 3, withheld: "value" });
    expect(map.kept).toEqual({ failure: undefined, cut: { outcomes: false, log: false } });
    await expect(cluster.runs.open(map.id, { start: false })).rejects.toMatchObject({ code: "cluster.unknown" });
    const looked = await cluster.runs.open(map.id, { start: false, kept: true });
    expect(looked.kept).toBeDefined();
    expect(await Array.fromAsync(map.watch())).toEqual([map.record]);
    expect((await map.timeline()).done.reduce((sum, done) => sum + done, 0)).toBe(2_000);
    await expect(map.cancel()).rejects.toMatchObject({ code: "run.state" });
    expect(why).toEqual(["it is down", "it is down", "it is down"]);
  });
});
