import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeInLab } from "../lab/describeInLab.ts";
import type { Machine } from "../lab/machine.ts";
import { kinds, TestFleet } from "../support/fleet.ts";
import { TestHome, until } from "../support/home.ts";

/** Machines that do not get through to the queue work through clients, while there are some. */
const numbers = (count: number) => Array.from({ length: count }, (_, at) => at);
const machine = { sshd: ["SetEnv FARCALL_LEASE_MS=4000"] };

/** The ports on which something listens on a machine. */
async function listening(at: Machine): Promise<string[]> {
  const rows = (await at.do("cat /proc/net/tcp")).trim().split("\n").slice(1);
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, , , state]) => state === "0A")
    .map(([, local]) => local!)
    .sort();
}

describeInLab("machines whose traffic goes through clients", (lab) => {
  it("work by themselves once they get through, when nobody would miss them, and others are relayed on", async () => {
    await using fleet = await TestFleet.prepare({ lab: lab(), nodes: 3, machine });
    const [head, opened, apart] = fleet.machines as [Machine, Machine, Machine];
    for (const each of [opened, apart]) await each.block(head.address);
    await opened.block(apart.address);
    const nodesThere = async () => {
      const { stdout } = await fleet.cli(["status", "lab", "--json"]);
      return (JSON.parse(stdout) as { nodes: { number: number }[] }).nodes.map(({ number }) => number);
    };
    expect(await fleet.bringUp("--relay")).toMatchObject({ status: 0 });

    // Busy with a map, by way of this process.
    const cluster = fleet.open();
    const module = await cluster.import<{ where(ms: number): Promise<string> }>(fleet.functionsFile, {
      env: { replicas: 3 },
    });
    const map = module.where.map(Array(150).fill(200) as number[]);
    await map.accepted;
    const agentOf = (each: Machine) => each.processes().find(({ command }) => kinds.agent.test(command))?.hostPid;
    await until(
      async () => (await cluster.runs.open(map.id)).record,
      ({ done, replicas }) => done > 10 && replicas === 3,
      30_000,
    );
    const before = agentOf(opened);
    await opened.allow(head.address);
    const up = await fleet.bringUp();
    expect(up.stderr).toMatch(new RegExp(`^${opened.name} gets through to the queue by itself now$`, "m"));
    expect(up.stderr).toMatch(new RegExp(`^${apart.name} does not get through to ${head.name}: it works while`, "m"));
    expect(up.stderr).toMatch(/lab is up: 3 nodes/);
    expect(agentOf(opened)).toBe(before);
    const where = new Set(await map.toArray());
    expect(where).toEqual(new Set([head.name, opened.name, apart.name]));

    // Who has used it a moment ago may go on to; when that client goes, so does the old way.
    cluster.close();
    await until(
      () => agentOf(opened),
      (pid) => pid !== undefined && pid !== before,
      30_000,
    );
    await until(nodesThere, (there) => String(there) === "1,2", 30_000);
    const { stdout } = await fleet.cli(["status", "lab"]);
    expect(stdout.match(/^node \d+ is .*$/gm)).toEqual([
      "node 3 is relayed and away: no client that carries its traffic is connected",
    ]);

    // One that nobody carries at the moment cannot be missed.
    const cutOff = agentOf(apart);
    await apart.allow(head.address);
    expect((await fleet.bringUp()).stderr).toMatch(new RegExp(`^${apart.name} gets through`, "m"));
    expect(agentOf(apart)).not.toBe(cutOff);
    expect(await nodesThere()).toEqual([1, 2, 3]);
    expect(await fleet.cli(["down", "lab"])).toMatchObject({ status: 0 });
    expect(fleet.farcallProcesses()).toEqual([]);
  }, 240_000);
});

describeInLab("a machine whose traffic goes through clients", (lab) => {
  let fleet: TestFleet;
  let apart: Machine;
  let atRest: string[][];
  const nodesThere = async () => {
    const { stdout } = await fleet.cli(["status", "lab", "--json"]);
    return (JSON.parse(stdout) as { nodes: { number: number }[] }).nodes.map(({ number }) => number);
  };

  beforeAll(async () => {
    fleet = await TestFleet.prepare({ lab: lab(), nodes: 4, machine });
    apart = fleet.machines[3]!;
    for (const seat of fleet.machines.slice(0, 3)) await apart.block(seat.address);
    atRest = await Promise.all(fleet.machines.map(listening));
  });
  afterAll(() => fleet[Symbol.asyncDispose]());

  it("is named without --relay, and comes up with it", async () => {
    const without = await fleet.bringUp();
    expect(without.stderr).toMatch(new RegExp(`error node\\.unreachable: ${apart.name} does not get through`));
    expect(without.stderr).toMatch(/With --relay its traffic goes through this client/);
    expect(without.status).toBe(2);
    const up = await fleet.bringUp("--relay");
    expect(up.stderr).toMatch(/m4 does not get through to m1, m2, m3: it works while a client is connected/);
    expect(up.stderr).toMatch(/lab is up: 4 nodes/);
    expect(up.status).toBe(0);
    const again = await fleet.bringUp();
    expect(again).toMatchObject({ status: 0 });
  }, 180_000);

  it("is away while no client is there, which the status says, and whoever only looks changes nothing", async () => {
    await until(nodesThere, (there) => there.length === 3, 20_000);
    const { stdout } = await fleet.cli(["status", "lab"]);
    expect(stdout).toMatch(/node 4 is relayed and away: no client that carries its traffic is connected/);
    await using cluster = fleet.open();
    await cluster.upIfNot();
    await until(nodesThere, (there) => there.length === 4, 20_000);
    expect((await fleet.cli(["status", "lab"])).stdout).toMatch(/node 4 is relayed while a client is connected/);
  }, 120_000);

  it("is not taken for one that is dead, or whose agent is", async () => {
    await until(nodesThere, (there) => there.length === 3, 20_000);
    const away = async () => {
      const [lines, json] = await Promise.all([fleet.cli(["status", "lab"]), fleet.cli(["status", "lab", "--json"])]);
      const found = JSON.parse(json.stdout) as { away: { number: number; why: string }[] };
      return [/^node 4 is relayed and away: (.*)$/m.exec(lines.stdout)?.[1], ...found.away.map(({ why }) => why)];
    };
    expect(await away()).toEqual(["no client that carries its traffic is connected", "uncarried"]);
    apart.signal(/supervise\.sh/, "SIGKILL");
    apart.signal(kinds.agent, "SIGKILL");
    expect(await away()).toEqual(["no agent answers there. `farcall up lab` starts it", "silent"]);
    await apart.kill();
    expect(await away()).toEqual([expect.stringMatching(/^it cannot be reached\. .*m4/), "unreachable"]);
    await apart.boot();
    for (const seat of fleet.machines.slice(0, 3)) await apart.block(seat.address);
    expect(await fleet.bringUp()).toMatchObject({ status: 0 });
    expect(await nodesThere()).toEqual([1, 2, 3, 4]);
  }, 120_000);

  it("works on maps, with several clients at once and when the one that carried is killed", async () => {
    const { home } = fleet;
    // It comes as the map begins, and asks for the code before it knows whom.
    await until(nodesThere, (there) => there.length === 3, 20_000);
    const count = 8_000;
    await home.write(
      "paced.ts",
      `import { hostname } from "node:os";
       import { setTimeout as sleep } from "node:timers/promises";
       export async function paced(n: number) { await sleep(20); return [n * 3, hostname()]; }`,
    );
    await home.write("inputs.txt", numbers(count).join("\n"));
    const command = [join(import.meta.dirname, "../../dist/cli.js"), "map", "--on", "lab", "paced.ts#paced"];
    const options = ["--env", JSON.stringify({ replicas: 4 }), "--input", "inputs.txt", "--output", "out.txt"];
    const client = spawn(process.execPath, [...command, ...options], {
      cwd: home.project,
      env: { ...process.env, ...fleet.environment, FARCALL_HOME: home.path },
      stdio: "ignore",
    });
    const watching = fleet.open();
    const [run] = await until(
      () => watching.runs.list({ limit: 1 }),
      ([first]) => first !== undefined && first.state === "running" && first.accepted === count,
      30_000,
    );
    const { id } = run!;
    const record = async () => (await watching.runs.open(id)).record;
    await until(
      async () => (await record()).replicas,
      (count) => count === 4,
      30_000,
    );
    client.kill("SIGKILL");
    await once(client, "exit");
    watching.close();
    // Nobody is there any more: what the machine had in its hands is given to others, and it goes on waiting.
    await until(nodesThere, (there) => there.length === 3, 30_000);
    await sleep(6_000);
    // A client of another home, which joins what is there.
    await using other = await TestHome.create();
    const joined = await fleet.cli(["up", "lab", ...fleet.machines.flatMap(({ name }) => ["--host", name])], {
      home: other,
    });
    expect(joined.stderr).toMatch(/joining the cluster lab/);
    const [one, two] = await Promise.all([
      fleet.cli(["results", "--on", "lab", id, "--follow"], { timeoutMs: 90_000 }),
      fleet.cli(["results", "--on", "lab", id, "--follow"], { timeoutMs: 90_000, home: other }),
    ]);
    expect(two.stdout).toBe(one.stdout);
    const outcomes = one.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { index: number; value: [number, string] });
    expect(outcomes.map(({ index }) => index)).toEqual(numbers(count));
    expect(outcomes.every(({ index, value }) => value[0] === index * 3)).toBe(true);
    const here = outcomes.filter(({ value }) => value[1] === apart.name).map(({ index }) => index);
    expect(here.length).toBeGreaterThan(400);
    // Before and after.
    expect(here.at(-1)! - here[0]!).toBeGreaterThan(count / 2);
  }, 200_000);

  it("is stopped with the cluster though nobody carries what is said to it, and started", async () => {
    await until(nodesThere, (there) => there.length === 3, 30_000);
    expect(await fleet.cli(["stop", "lab"])).toMatchObject({ status: 0 });
    await until(
      () => fleet.farcallProcesses(),
      (left) => left.length === 0,
      5_000,
    );
    expect(await fleet.cli(["start", "lab"])).toMatchObject({ status: 0 });
    expect(await nodesThere()).toContain(4);
  }, 120_000);

  it("leaves nothing behind, whoever carried", async () => {
    const cluster = fleet.open();
    await cluster.upIfNot();
    await until(nodesThere, (there) => there.length === 4, 20_000);
    expect(await fleet.cli(["down", "lab"])).toMatchObject({ status: 0 });
    cluster.close();
    for (const each of fleet.machines) expect(await each.do(`ls -A ${each.home}`)).not.toMatch(/farcall|npm/);
    expect(fleet.farcallProcesses()).toEqual([]);
    await until(
      async () => JSON.stringify(await Promise.all(fleet.machines.map(listening))),
      (ports) => ports === JSON.stringify(atRest),
    );
  });
});
