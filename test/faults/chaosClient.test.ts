import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeInLab } from "../lab/describeInLab.ts";
import type { Machine } from "../lab/machine.ts";
import { outcomeOf, TestHome, until } from "../support/home.ts";
import { type Road, roadTo } from "../support/throughProxy.ts";

/** A client whose link to the cluster is as bad as links are, or that is away, or dies. */
describeInLab("a client of a cluster", (lab) => {
  let machine: Machine;
  let home: TestHome;
  let road: Road;

  beforeAll(async () => {
    machine = await lab().machine();
    home = await TestHome.create();
    road = await roadTo(lab(), machine);
    await home.write(
      "slow.ts",
      `import { setTimeout as sleep } from "node:timers/promises";
       export async function slow(n: number) { console.log("line " + n); await sleep(50); return n; }
       export const where = () => "there";`,
    );
    const up = await home.cli(["up", "lab", "--host", machine.name], { env: road.env });
    expect(up).toMatchObject({ status: 0 });
  });
  afterAll(async () => {
    await home.cli(["down", "lab", "--force"], { env: road.env });
    await home[Symbol.asyncDispose]();
    await road[Symbol.asyncDispose]();
  });

  const inputs = (count: number) => Array.from({ length: count }, (_, at) => at);
  const map = (count: number, env: Record<string, string>, extra: string[] = []) => {
    const child = home.spawnCli(["map", "--on", "lab", "slow.ts#slow", "--input", "-", ...extra], { env });
    child.stdin!.end(inputs(count).join("\n"));
    return child;
  };
  /** The numbers of the inputs in outcomes, as they were printed. */
  const indices = (stdout: string) =>
    stdout
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { index: number }).index);
  const linesIn = (text: string) => [...text.matchAll(/line (\d+)/g)].map(([, number]) => Number(number));
  const sorted = (numbers: number[]) => numbers.toSorted((a, b) => a - b);
  const runId = async (env: Record<string, string>) => {
    const listed = await home.cli(["runs", "--on", "lab", "--json", "--limit", "1"], { env });
    return (JSON.parse(listed.stdout) as { id: string }[])[0]!.id;
  };

  it("has every outcome and every line once although its link is cut every other second", async () => {
    await using bad = await roadTo(lab(), machine, { cutAfterMs: 1_300 });
    const ordered = outcomeOf(map(600, bad.env), 60_000);
    await sleep(2_000);
    const id = await runId(road.env);
    const others = [
      ["results", id, "--follow", "--unordered"],
      ["logs", id, "--follow"],
    ].map((args) => home.cli([...args, "--on", "lab"], { env: bad.env, timeoutMs: 60_000 }));
    const [mapped, results, logs] = await Promise.all([ordered, ...others]);
    expect(mapped).toMatchObject({ status: 0 });
    expect(indices(mapped.stdout)).toEqual(inputs(600));
    expect(sorted(linesIn(mapped.stderr))).toEqual(inputs(600));
    expect(sorted(indices(results!.stdout))).toEqual(inputs(600));
    expect(sorted(linesIn(logs!.stdout))).toEqual(inputs(600));
    expect(bad.proxy.accepted).toBeGreaterThan(8);
  });

  it("works over a link that takes 150 ms each way", async () => {
    await using slow = await roadTo(lab(), machine, { delayMs: 150 });
    const done = await outcomeOf(map(40, slow.env), 60_000);
    expect(indices(done.stdout)).toEqual(inputs(40));
    expect(sorted(linesIn(done.stderr))).toEqual(inputs(40));
  });

  it("sends code again from where the link was cut, and never runs half of it", async () => {
    for (const part of inputs(8)) await home.write(`part${part}.bin`, randomBytes(400_000));
    await home.write(
      "large.ts",
      `import { readFileSync } from "node:fs";
       ${inputs(8)
         .map((part) => `const p${part} = new URL("./part${part}.bin", import.meta.url);`)
         .join("\n")}
       export const size = () => [${inputs(8)
         .map((part) => `p${part}`)
         .join(", ")}].reduce((sum, url) => sum + readFileSync(url).length, 0);`,
    );
    await using short = await roadTo(lab(), machine, { cutAfterBytes: 1_100_000 });
    const run = await home.cli(["run", "--on", "lab", "large.ts#size"], { env: short.env });
    expect(run).toMatchObject({ stdout: "3200000\n", status: 0 });
    expect(short.proxy.accepted).toBeGreaterThan(2);
  });

  it("brings a machine up although the link is cut while the agent is sent", async () => {
    await using mine = await TestHome.create();
    const fresh = await lab().machine();
    await using short = await roadTo(lab(), fresh, { cutAfterBytes: 150_000 });
    const up = mine.cli(["up", "lab2", "--host", fresh.name], { env: short.env });
    await until(
      () => short.proxy.accepted,
      (accepted) => accepted >= 2,
    );
    short.proxy.set({});
    expect(await up).toMatchObject({ status: 0 });
    expect(fresh.processes().filter(({ command }) => /node .*agent\.js/.test(command))).toHaveLength(1);
    expect(await mine.cli(["down", "lab2"], { env: short.env })).toMatchObject({ status: 0 });
    expect(await fresh.do(`ls -A ${fresh.home}`)).not.toMatch(/farcall/);
    await fresh.kill();
  });

  it("may die: another one has everything that it missed", async () => {
    await using other = await TestHome.create();
    const first = map(300, road.env);
    await printed(first, 20);
    const id = await runId(road.env);
    first.kill("SIGKILL");
    expect(await other.cli(["up", "lab", "--host", machine.name], { env: road.env })).toMatchObject({ status: 0 });
    const [results, logs] = await Promise.all(
      ["results", "logs"].map((what) => other.cli([what, id, "--follow", "--on", "lab"], { env: road.env })),
    );
    expect(indices(results!.stdout)).toEqual(inputs(300));
    expect(sorted(linesIn(logs!.stdout))).toEqual(inputs(300));
  });

  it("notices within 20 s that a link fell silent, and may be away for a while", async () => {
    await using hole = await roadTo(lab(), machine);
    await using away = await roadTo(lab(), machine);
    // Longer than both are away, so that they come back to a map that runs.
    const silent = map(650, hole.env);
    const stopped = map(650, away.env);
    const ends = [silent, stopped].map((child) => outcomeOf(child, 80_000));
    await Promise.all([printed(silent, 5), printed(stopped, 5)]);
    stopped.kill("SIGSTOP");
    const before = hole.proxy.accepted;
    hole.proxy.blackHole();
    await until(
      () => hole.proxy.accepted,
      (accepted) => accepted > before,
      20_000,
    );
    hole.proxy.heal();
    await sleep(6_000);
    stopped.kill("SIGCONT");
    for (const end of ends) {
      const { status, stdout, stderr } = await end;
      expect(status).toBe(0);
      expect(indices(stdout)).toEqual(inputs(650));
      expect(sorted(linesIn(stderr))).toEqual(inputs(650));
    }
  });

  /** Waits until the child has printed so many lines. */
  async function printed(child: ChildProcess, lines: number): Promise<void> {
    let text = "";
    while (text.split("\n").length <= lines) text += String((await once(child.stdout!, "data"))[0]);
  }
});
