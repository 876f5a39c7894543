import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { Cluster } from "farcall";
import { TestHome, until } from "../support/home.ts";

/** One map over two clusters, both on this machine: each is another Farcall with an agent of its own. */

let first: TestHome;
let second: TestHome;
let home: Cluster;
let guest: Cluster;
const guestLines: string[] = [];
// oxlint-disable-next-line typescript/no-explicit-any -- the functions under test are written as text
let f: Record<string, any>;

const source = `
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const atHome = process.cwd().startsWith(process.env.FIRST!);
export const where = async (n: number) => { await sleep(5); return [n, process.ppid]; };
export const say = async (n: number) => { console.log("said " + n); await sleep(5); return n; };
export const poison = async (n: number) => {
  await sleep(atHome ? 20 : 1);
  if (n % 100 === 99) { console.log("dying of " + n); await sleep(20); process.kill(process.pid, "SIGKILL"); }
  return n;
};
const tries = new Set<number>();
export const flaky = async (n: number) => {
  await sleep(2);
  if (n % 10 === 3) throw new RangeError("never " + n);
  if (n % 10 === 7 && !tries.has(n)) { tries.add(n); throw new Error("once"); }
  return n;
};
export const failsAsGuest = async (n: number) => { await sleep(5); if (!atHome) throw new RangeError("not here"); return n; };
export const long = async (n: number) => { await sleep(60_000); return n; };
export const slowAtHome = async (n: number) => { await sleep(atHome ? 3_000 : 10); return n; };
`;
const range = (n: number) => Array.from({ length: n }, (_, i) => i);
type Outcome = { index: number; value?: unknown; error?: Error & { code?: string }; attempts: number };

beforeAll(async () => {
  // What a lost guest had in hand must come back at once, not when a lease has run out.
  process.env["FARCALL_LEASE_MS"] = "600000";
  first = await TestHome.create();
  second = await TestHome.create();
  home = first.cluster();
  guest = new Cluster("local", { home: second.path, logs: ({ text }) => guestLines.push(text) });
  f = await home.import(await first.write("f.ts", source), { env: { replicas: 2, vars: { FIRST: first.path } } });
});
afterAll(async () => {
  delete process.env["FARCALL_LEASE_MS"];
  guest.close();
  await first[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
});

it("is worked on both, each input once and in order, and says what was done where", async () => {
  const run = f["where"].map(range(1_000), { on: [home, guest] });
  const values = (await run.toArray()) as [number, number][];
  expect(values.map(([n]) => n)).toEqual(range(1_000));
  const agents = { home: first.agentPid(), guest: second.agentPid() };
  const there = values.filter(([, agent]) => agent === agents.guest).length;
  expect(values.filter(([, agent]) => agent === agents.home)).toHaveLength(1_000 - there);
  expect(there).toBeGreaterThan(100);
  const part = { cluster: "local#2", node: 1, done: there, failed: 0, active: 0 };
  expect(await run.finished()).toMatchObject({ state: "done", done: 1_000 });
  expect((await home.runs.open(run.id)).record).toMatchObject({ state: "done", done: 1_000, guests: [part] });
});

it("keeps on the guest that it helped, with what was printed there, and sends that on", async () => {
  const run = f["say"].map(range(300), { on: [guest] });
  await run.toArray();
  const there = await guest.runs.open(run.id);
  const { done } = there.record;
  expect(there.record).toMatchObject({ kind: "map", label: "f.ts#say", state: "done", home: "local" });
  expect(done).toBeGreaterThan(20);
  const kept = (await Array.fromAsync(there.logs())).flat().map(({ text }) => text);
  expect(kept).toHaveLength(done);
  expect(guestLines.filter((line) => line.startsWith("said")).sort()).toEqual(kept.toSorted());
  const atHome = (await Array.fromAsync((await home.runs.open(run.id)).logs())).flat().map(({ text }) => text);
  expect([...atHome, ...kept].sort()).toEqual(
    range(300)
      .map((n) => `said ${n}`)
      .sort(),
  );
  expect(await Array.fromAsync(there.outcomes())).toEqual([]);
});

it("gives up only the inputs that workers of the guest die over", async () => {
  const run = f["poison"].map(range(600), { on: [guest], onError: "collect" });
  const outcomes = (await Array.fromAsync(run)) as Outcome[];
  expect(outcomes.map(({ index }) => index)).toEqual(range(600));
  expect(guestLines.filter((line) => line.startsWith("dying")).length).toBeGreaterThan(0);
  for (const { index, value, error, attempts } of outcomes) {
    if (index % 100 !== 99) expect(value).toBe(index);
    else expect({ code: error?.code, attempts }).toEqual({ code: "worker.killed", attempts: 3 });
  }
});

it("tries again what failed, and collects what fails for good, on both", async () => {
  const run = f["flaky"].map(range(600), { on: [guest], onError: "collect", retries: 1 });
  const outcomes = (await Array.fromAsync(run)) as Outcome[];
  expect(outcomes.map(({ index }) => index)).toEqual(range(600));
  for (const { index, error, attempts, value } of outcomes) {
    if (index % 10 === 3) expect(error).toMatchObject({ name: "RangeError", message: `never ${index}` });
    else expect(value).toBe(index);
    expect(attempts).toBe(index % 10 === 3 || index % 10 === 7 ? 2 : 1);
  }
  const [part] = run.progress.guests;
  expect(part.failed).toBeGreaterThan(0);
  expect(part.failed).toBeLessThan(60);
});

it("stops at the first input that fails on the guest", async () => {
  const run = f["failsAsGuest"].map(range(2_000), { on: [guest] });
  await expect(run.toArray()).rejects.toMatchObject({ name: "RangeError", message: "not here" });
  await expect(run.finished()).resolves.toMatchObject({ state: "failed" });
  expect(run.progress.done).toBeLessThan(1_900);
});

it("is cancelled on both", async () => {
  const run = f["long"].map(range(20), { on: [guest] });
  await until(
    () => run.progress.replicas as number,
    (replicas) => replicas === 4,
  );
  await run.cancel();
  await until(
    () => guest.status(),
    (status) => status?.activeRuns === 0 && status.replicas.every(({ active }) => active === 0),
  );
  await expect(run.toArray()).rejects.toMatchObject({ code: "run.cancelled" });
});

it("rests on both while it is paused, and goes on with both", async () => {
  const run = f["where"].map(range(3_000), { on: [guest] });
  await until(
    () => run.progress.guests[0]?.done as number | undefined,
    (done) => (done ?? 0) > 100,
  );
  await run.pause();
  const record = async () => (await home.runs.open(run.id)).record;
  // What was begun is finished.
  await until(record, ({ active }) => active === 0);
  await sleep(1_000);
  const before = await record();
  expect(before).toMatchObject({ state: "paused", active: 0 });
  expect(before.done).toBeLessThan(3_000);
  await sleep(1_000);
  expect(await record()).toEqual(before);
  await run.resume();
  expect(((await run.toArray()) as [number, number][]).map(([n]) => n)).toEqual(range(3_000));
  expect(run.progress.guests[0].done).toBeGreaterThan(before.guests![0]!.done + 100);
});

it("is seen on both while it runs, with what is done of it where", async () => {
  const run = f["long"].map(range(20), { on: [guest] });
  const mapsOf = async (cluster: Cluster) => (await cluster.status())!.nodes[0]!.maps;
  const atWork = { active: 2, replicas: 2 };
  await until(
    () => mapsOf(home),
    ([map]) => map?.guests?.[0]?.active === 2,
  );
  expect(await mapsOf(home)).toEqual([
    { run: run.id, ...atWork, guests: [{ cluster: "local#2", node: 1, ...atWork }] },
  ]);
  expect(await mapsOf(guest)).toEqual([{ run: run.id, ...atWork, home: "local" }]);
  const status = async (of: TestHome) => (await of.cli(["status"])).stdout;
  expect(await status(first)).toContain(`\nlocal#2 helps with run ${run.id}: 2 inputs in 2 replicas\n`);
  expect(await status(second)).toContain(`\nhelps with run ${run.id} of local: 2 inputs in 2 replicas\n`);
  await run.cancel();
  await until(
    async () => [...(await mapsOf(home)), ...(await mapsOf(guest))],
    (maps) => maps.length === 0,
  );
});

it("goes on without a guest whose agent is killed, and with it when it is back", async () => {
  const onWarning = vi.fn<(line: string) => void>();
  const run = f["where"].map(range(3_000), { on: [guest], onWarning });
  await until(
    () => run.progress.guests[0]?.done as number | undefined,
    (done) => (done ?? 0) > 100,
  );
  const before = second.agentPid()!;
  process.kill(before, "SIGKILL");
  const values = (await run.toArray()) as [number, number][];
  expect(values.map(([n]) => n)).toEqual(range(3_000));
  expect(new Set(values.map(([, agent]) => agent))).toEqual(new Set([first.agentPid(), before, second.agentPid()]));
  expect(onWarning.mock.calls.map(([line]) => line)).toEqual([
    expect.stringMatching(/^local#2 was lost, and the map goes on without it until it is back: /),
    "local#2 works on the map again",
  ]);
});

it("goes on with both when the agent of its home is killed", async () => {
  const run = f["where"].map(range(3_000), { on: [guest] });
  await until(
    () => run.progress.guests[0]?.done as number | undefined,
    (done) => (done ?? 0) > 100,
  );
  const before = first.agentPid()!;
  process.kill(before, "SIGKILL");
  const values = (await run.toArray()) as [number, number][];
  expect(values.map(([n]) => n)).toEqual(range(3_000));
  const agents = [before, first.agentPid(), second.agentPid()];
  expect(new Set(values.map(([, agent]) => agent))).toEqual(new Set(agents));
  // What was done before is not forgotten with the agent that had the work of it.
  const [part] = (await home.runs.open(run.id)).record.guests!;
  expect(part).toMatchObject({ done: values.filter(([, agent]) => agent === second.agentPid()).length, failed: 0 });
  expect(part!.done).toBeGreaterThan(100);
});

it("gives the next work to whoever is free", async () => {
  const run = f["slowAtHome"].map(range(200), { on: [guest] });
  expect(await run.toArray()).toEqual(range(200));
  // The home begins one in each replica every 3 s, in which the guest does all others unless the computer is busy.
  expect(run.progress.guests[0].done).toBeGreaterThanOrEqual(190);
});

it("refuses a cluster that is named twice, and one that is not there, before anything is begun", async () => {
  const begun = async () => (await home.runs.list()).length;
  const before = await begun();
  expect(() => f["where"].map([1], { on: [guest, guest] })).toThrow(
    expect.objectContaining({ code: "usage" }) as Error,
  );
  expect(() => f["where"].map([1], { on: ["local", home] })).toThrow(
    expect.objectContaining({ code: "usage" }) as Error,
  );
  expect(() => f["where"].map([1], { on: ["nowhere"] })).toThrow(
    expect.objectContaining({ code: "cluster.unknown" }) as Error,
  );
  expect(await begun()).toBe(before);
});
