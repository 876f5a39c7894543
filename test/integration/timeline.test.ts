import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Cluster, newRunId, type Timeline } from "farcall";
import { TestHome, until } from "../support/home.ts";

/** How a map went over time, as the agent noted it. */

let home: TestHome;
let local: Cluster;
let file: string;

beforeAll(async () => {
  home = await TestHome.create();
  local = home.cluster();
  file = await home.write(
    "f.ts",
    `export const slow = async (ms: number) => { await new Promise((r) => setTimeout(r, ms)); if (ms === 51) throw new Error("51"); return ms; };`,
  );
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

function expectWhole({ done, failed, active, replicas }: Timeline): void {
  expect(failed).toHaveLength(done.length);
  expect(active).toHaveLength(done.length);
  for (const { busy } of replicas) {
    expect(busy).toHaveLength(done.length);
    for (const share of busy) expect(share >= 0 && share <= 1).toBe(true);
  }
}

test("a timeline adds up to the map's record, and knows who was busy", async () => {
  const module = await local.openModule(file, { env: { replicas: 2 } });
  const begunMs = Date.now();
  const map = module.map(
    "slow",
    Array.from({ length: 40 }, (_, i) => (i % 4 === 0 ? 51 : 50)),
    { onError: "collect" },
  );
  await map.finished();
  const timeline = await (await local.runs.open(map.id)).timeline();
  expectWhole(timeline);
  expect(timeline.startMs).toBeGreaterThanOrEqual(begunMs);
  expect(timeline.stepMs).toBe(250);
  expect(sum(timeline.done)).toBe(40);
  expect(sum(timeline.failed)).toBe(10);
  // Forty times 50 ms by two replicas is a second and more.
  expect(timeline.done.length).toBeGreaterThan(3);
  expect(Math.max(...timeline.active)).toBeGreaterThan(0);
  expect(timeline.replicas).toHaveLength(2);
  for (const { busy } of timeline.replicas) expect(Math.max(...busy)).toBeGreaterThan(0.5);
});

test("a call has none", async () => {
  const run = newRunId();
  await (await local.openModule(file)).call("slow", [1], { run });
  const timeline = await (await local.runs.open(run)).timeline();
  expect(timeline).toMatchObject({ done: [], failed: [], active: [], replicas: [] });
});

test("a timeline goes on where the last agent left it, with zeros for the time between", async () => {
  await using own = await TestHome.create();
  await own.write("f.ts", await readFile(file, "utf8"));
  await own.write("in.jsonl", "50\n".repeat(120));
  const { stdout } = await own.cli(["map", "f.ts#slow", "--input", "in.jsonl", "--replicas", "1", "--detach"]);
  const id = stdout.trim();
  const watching = own.cluster();
  const watched = await watching.runs.open(id);
  await until(
    async () => (await watched.timeline()).done,
    (done) => sum(done) > 10,
  );
  watching.close();
  // One that ends in order writes what it has; one that is killed loses five seconds at most.
  process.kill(own.agentPid()!, "SIGTERM");
  await until(
    () => own.agentPid(),
    (pid) => pid === undefined,
  );
  await sleep(1_500);
  const run = await own.cluster().runs.open(id);
  for await (const record of run.watch()) expect(record.done).toBeLessThanOrEqual(120);
  expect(run.record).toMatchObject({ state: "done", done: 120 });
  const timeline = await run.timeline();
  expectWhole(timeline);
  expect(sum(timeline.done)).toBe(120);
  const gap = timeline.done.findIndex((_count, i) => sum(timeline.done.slice(i, i + 4)) === 0);
  expect(gap).toBeGreaterThan(0);
  expect(sum(timeline.done.slice(0, gap))).toBeGreaterThan(10);
  expect(sum(timeline.done.slice(gap))).toBeGreaterThan(0);
});
