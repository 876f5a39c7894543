import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { RunRecord } from "farcall";
import { describeInLab } from "../lab/describeInLab.ts";
import { TestFleet } from "../support/fleet.ts";
import { until } from "../support/home.ts";

/** One map on this machine and on a cluster of two others, from the command line. */
describeInLab("a map on this machine and two others", (lab) => {
  let fleet: TestFleet;
  const leases = { FARCALL_LEASE_MS: "4000" };
  const env = ["--env", '{"replicas":2}'];
  const ids = (count: number) => Array.from({ length: count }, (_, at) => at).join("\n");
  const linesOf = (text: string) =>
    text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { index: number; value: [number, string] });
  const begin = (on: string, count: number) => {
    const args = ["map", "--on", on, ...env, "functions.ts#slow", "--input", "-"];
    const child = fleet.home.spawnCli(args, { env: { ...fleet.environment, ...leases } });
    const said = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const)
      child[stream]!.setEncoding("utf8").on("data", (text: string) => (said[stream] += text));
    child.stdin!.end(ids(count));
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    return { child, said, ended };
  };
  const newest = async (on: string) =>
    (
      JSON.parse((await fleet.cli(["runs", "--json", "--limit", "1", "--on", on])).stdout) as (RunRecord | undefined)[]
    )[0];
  /** The id of the map that was just begun, once it has all inputs and each of the two machines works on it. */
  const shared = async () => {
    const isShared = (run: RunRecord | undefined) =>
      run?.state === "running" && run.total !== null && (run.guests ?? []).filter(({ done }) => done > 25).length === 2;
    return (await until(() => newest("local"), isShared, 30_000))!.id;
  };
  const doneOn = (name: string, run: RunRecord | undefined) =>
    (run?.guests ?? []).reduce((sum, { cluster, done }) => sum + (cluster === name ? done : 0), 0);
  const expectWhole = (stdout: string, count: number) => {
    const lines = linesOf(stdout);
    expect(lines.map(({ index }) => index)).toEqual(Array.from({ length: count }, (_, at) => at));
    expect(lines.every(({ index, value }) => value[0] === index * 3)).toBe(true);
    return new Set(lines.map(({ value }) => value[1]));
  };

  beforeAll(async () => {
    fleet = await TestFleet.up({ lab: lab(), nodes: 2 });
    // The local agent's leases are as short as this says; it stays for all tests.
    await fleet.home.cli(["run", "functions.ts#square", "[1]"], { env: leases });
  });
  afterAll(() => fleet[Symbol.asyncDispose]());

  it("is worked on all of them, and shows what is printed where", async () => {
    const args = ["map", "--on", "local,lab", ...env, "functions.ts#where", "--input", "-"];
    const map = await fleet.cli(args, { input: Array(300).fill(40).join("\n") });
    expect(map.status).toBe(0);
    expect(map.stdout.trim().split("\n")).toHaveLength(300);
    for (const name of ["m1", "m2"]) {
      expect(map.stdout).toContain(`"${name}"`);
      expect(map.stderr).toMatch(new RegExp(`^lab .*on ${name}$`, "m"));
    }
    expect(map.stderr).toMatch(new RegExp(`^(?!lab ).*on ${hostname()}$`, "m"));
    const there = Number(/300 done, .*, of them (\d+) on lab/.exec(map.stderr)?.[1]);
    const record = (await newest("local"))!;
    expect(record.guests!.map(({ cluster, node }) => `${cluster}:${node}`).sort()).toEqual(["lab:1", "lab:2"]);
    expect(record.guests!.reduce((sum, { done }) => sum + done, 0)).toBe(there);
    const logs = await fleet.cli(["logs", record.id, "--on", "lab"]);
    expect(logs.stdout.trim().split("\n")).toHaveLength(there);
    const all = await fleet.cli(["logs", record.id]);
    expect(all.stdout.trim().split("\n")).toHaveLength(300);
    expect(all.stdout.match(/^lab .*on m[12]$/gm)).toHaveLength(there);
    expect(all.stderr).toBe("");
    const results = await fleet.cli(["results", record.id, "--on", "lab"]);
    expect(results).toMatchObject({ status: 2, stderr: expect.stringContaining("--on local") as string });
  });

  it("may have its home on the machines, and this one as the guest", async () => {
    const map = begin("lab,local", 2_000);
    expect(await map.ended).toBe(0);
    expect(expectWhole(map.said.stdout, 2_000)).toEqual(new Set(["m1", "m2", hostname()]));
    expect(map.said.stderr).toMatch(/of them [\d,]+ on local/);
  });

  it("goes on everywhere when the client is killed and another one follows it", async () => {
    const { child, said } = begin("local,lab", 4_000);
    const id = await shared();
    child.kill("SIGKILL");
    await sleep(500);
    const before = doneOn("lab", await newest("local"));
    const results = await fleet.cli(["results", id, "--follow", "--on", "local,lab"], { timeoutMs: 60_000 });
    expect(expectWhole(results.stdout, 4_000)).toContain(hostname());
    expect(results.stdout.startsWith(said.stdout.slice(0, said.stdout.lastIndexOf("\n")))).toBe(true);
    expect(results.stderr).toBe("");
    expect(doneOn("lab", await newest("local"))).toBeGreaterThan(before + 100);
  });

  it("is not disturbed by who follows it and goes, nor ended for who follows it when the client is killed", async () => {
    const { child, said } = begin("local,lab", 40_000);
    const id = await shared();
    const expectGrowth = async () => {
      await sleep(500);
      const before = doneOn("lab", await newest("local"));
      await until(
        () => newest("local"),
        (run) => doneOn("lab", run) > before + 100,
        15_000,
      );
    };
    const follow = ["results", id, "--follow", "--on", "local,lab"];
    const follower = fleet.home.spawnCli(follow, { env: fleet.environment });
    await sleep(1_500);
    follower.kill("SIGKILL");
    await expectGrowth();
    const following = fleet.cli(follow, { timeoutMs: 60_000 });
    await sleep(1_500);
    expect(child.exitCode).toBeNull();
    child.kill("SIGKILL");
    await expectGrowth();
    expect((await fleet.cli(["cancel", id])).status).toBe(0);
    await following;
    expect(said.stderr).not.toContain("lab ");
  });

  it("runs nothing here that comes from machines, whoever they say helps them", async () => {
    const { child } = begin("lab,local", 2_000);
    const isShared = (run: RunRecord | undefined) => doneOn("local", run) > 25;
    const { id } = (await until(() => newest("lab"), isShared, 30_000))!;
    child.kill("SIGKILL");
    const named = await fleet.cli(["results", id, "--follow", "--on", "lab,local"], { timeoutMs: 60_000 });
    expectWhole(named.stdout, 2_000);
    expect(named.stderr).toBe("local does not work on the map: its code would come from lab.\n");
  });

  it("goes on when a machine of the guest loses its power", async () => {
    const { said, ended } = begin("local,lab", 4_000);
    await shared();
    await fleet.machines[1]!.kill();
    expect(await ended).toBe(0);
    expectWhole(said.stdout, 4_000);
  });

  it("shows what was printed on the machines when they are gone", async () => {
    const args = ["map", "--on", "local,lab", ...env, "functions.ts#where", "--input", "-"];
    const map = await fleet.cli(args, { input: Array(300).fill(40).join("\n") });
    const there = map.stderr.match(/^lab .*on m\d$/gm)!.length;
    expect(there).toBeGreaterThan(0);
    const { id } = (await newest("local"))!;
    expect((await fleet.cli(["down", "lab", "--force"], { timeoutMs: 60_000 })).status).toBe(0);
    const { stdout, stderr } = await fleet.cli(["logs", id, "--json"]);
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { cluster?: string; text: string });
    expect(lines).toHaveLength(300);
    expect(lines.filter(({ cluster, text }) => cluster === "lab" && /on m\d$/.test(text))).toHaveLength(there);
    expect(stderr).toBe("");
    const part = await fleet.cli(["logs", id, "--on", "lab"]);
    expect(part.stdout.trim().split("\n")).toHaveLength(there);
    expect(part.stderr).toBe("from what was kept here of lab: it is down\n");
  });

  it.each<[string, string[], RegExp]>([
    ["a cluster that is not there", ["map", "--on", "local,nowhere"], /error cluster\.unknown: .*nowhere/],
    ["a cluster twice", ["map", "--on", "local,lab,local"], /--on names the cluster "local" twice/],
    ["to be left", ["map", "--on", "local,lab", "--detach"], /cannot be left with --detach/],
    ["several for what one has", ["runs", "--on", "local,lab"], /--on names 2 clusters.*\n.*Only `farcall map`/],
  ])("refuses %s", async (_what, args, message) => {
    const about = args[0] === "map" ? ["functions.ts#square", "--input", "-"] : [];
    const { status, stderr, stdout } = await fleet.cli([...args, ...about], { input: "1\n" });
    expect(stderr).toMatch(message);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  });
});
