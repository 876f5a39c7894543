import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cluster, type ClusterChanges, newRunId, type RunRecord } from "farcall";
import { TestHome, until } from "../support/home.ts";

/** What an editor asks for: some outcomes of many, what a run was, what changes, which envs there are. */

let home: TestHome;
let local: Cluster;
let file: string;

beforeAll(async () => {
  home = await TestHome.create();
  local = home.cluster();
  file = await home.write(
    "f.ts",
    `import { existsSync } from "node:fs";
     export const f = (x: number) => { if (x % 10 === 3) throw new RangeError("bad " + x); return x * 2; };
     export const wide = (x: number) => (x % 2 ? "w".repeat(x * 1000) : x);
     export const fails = (x: number) => { throw new Error("e".repeat(x)); };
     export const add = (a: number, b: number) => a + b;
     export const vars = () => process.env.COLOUR;
     export async function when(flag: string) { while (!existsSync(flag)) await new Promise((r) => setTimeout(r, 10)); return 1; }`,
  );
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

describe("picked outcomes", () => {
  test("are those of the inputs asked for that have one, by rising index", async () => {
    const module = await local.openModule(file);
    const map = module.map<number>("f", range(5_000), { onError: "collect" });
    await map.finished();
    const run = await local.runs.open<number>(map.id);
    const picked = await run.pick([4_999, 3, 0, 17, 17, 70_000, 2_500]);
    expect(picked.map(({ index, attempts }) => [index, attempts])).toEqual([0, 3, 17, 2_500, 4_999].map((i) => [i, 1]));
    expect(picked.map((each) => ("value" in each ? each.value : undefined))).toEqual([0, undefined, 34, 5_000, 9_998]);
    const [, failed] = picked as { error?: Error }[];
    expect(failed!.error).toBeInstanceOf(RangeError);
    expect(failed!.error!.message).toBe("bad 3");
    expect(failed!.error!.stack).toContain(`${home.project}/f.ts:2:`);
    expect(await run.pick([])).toEqual([]);
    const all = await run.pick(range(5_000));
    expect(all.map(({ index }) => index)).toEqual(range(5_000));
  });

  test("are withheld above a size, with the size", async () => {
    const module = await local.openModule(file);
    const map = module.map("wide", range(100));
    await map.finished();
    const run = await local.runs.open(map.id);
    const picked = await run.pick([10, 49, 51], { maxBytes: 50_000 });
    // Two quotes and the byte for the format.
    expect(picked).toMatchObject([
      { index: 10, value: 10 },
      { index: 49, value: "w".repeat(49_000), sizeBytes: 49_003 },
      { index: 51, withheld: "value", sizeBytes: 51_003 },
    ]);
    const failing = module.map("fails", [70_000], { onError: "collect" });
    await failing.finished();
    expect(await (await local.runs.open(failing.id)).pick([0])).toMatchObject([{ index: 0, withheld: "error" }]);
  });

  test("are 16 MiB at a time at most", async () => {
    const module = await local.openModule(file);
    const map = module.map(
      "wide",
      range(8).map((i) => 3_001 + 2 * i),
    );
    await map.finished();
    const picked = await (await local.runs.open(map.id)).pick(range(8), { maxBytes: 2 ** 30 });
    expect(picked.map((each) => "withheld" in each)).toEqual([false, false, false, false, false, true, true, true]);
  });

  test("can be had while the map runs, and not of what is no map", async () => {
    const flag = join(home.project, "pick.flag");
    const module = await local.openModule(file);
    const map = module.map("when", [file, flag], { replicas: 1 });
    const run = await until(
      () => local.runs.open(map.id).catch(() => undefined),
      (found) => found !== undefined,
    );
    const picked = await until(
      () => run!.pick([0, 1]),
      (found) => found.length > 0,
    );
    expect(picked).toMatchObject([{ index: 0, value: 1 }]);
    await home.write("pick.flag", "");
    await map.finished();
    const call = newRunId();
    await module.call("add", [1, 2], { run: call });
    await expect((await local.runs.open(call)).pick([0])).rejects.toMatchObject({ code: "run.unknown" });
  });
});

describe("what was asked for", () => {
  const env = {
    name: "asked",
    reqs: [],
    vars: { COLOUR: "red" },
    replicas: 2,
    concurrency: 3,
    compute: { memoryMiB: 200 },
  };

  test("with a call is enough to make it again", async () => {
    const module = await local.openModule(file, { env });
    const run = newRunId();
    await module.call("add", [1, 41], { run, timeoutMs: 5_000 });
    const { reqs: _none, ...written } = env;
    const request = await (await local.runs.open(run)).request();
    expect(request).toEqual({ kind: "call", file, export: "add", env: written, args: [1, 41], timeoutMs: 5_000 });
    const again = await local.openModule(request.file, { env: request.env });
    expect(await again.call(request.export, request.args!)).toBe(42);
    expect(await again.call("vars", [])).toBe("red");
  });

  test("with a map is its options, and how its inputs were come by", async () => {
    await home.write("numbers.jsonl", "1\n2\n");
    const { stdout } = await home.cli(["map", "f.ts#f", "--input", "numbers.jsonl", "--detach", "--retries", "2"]);
    const run = await local.runs.open(stdout.trim());
    expect(await run.request()).toEqual({
      kind: "map",
      file,
      export: "f",
      env: { name: "default" },
      options: { onError: "collect", retries: 2 },
      input: join(home.project, "numbers.jsonl"),
    });
  });

  test("leaves arguments above 256 KiB out", async () => {
    const module = await local.openModule(file);
    const run = newRunId();
    await module.call("add", ["x".repeat(300_000), ""], { run });
    expect(await (await local.runs.open(run)).request()).not.toHaveProperty("args");
  });

  test("is on record when another agent asks", async () => {
    const module = await local.openModule(file);
    const run = newRunId();
    await module.call("add", [2, 3], { run });
    await local.down({ force: true });
    expect(await (await home.cluster().runs.open(run)).request()).toMatchObject({ export: "add", args: [2, 3] });
  });
});

test("nothing is started for those who only look, and a home may be named", async () => {
  await using fresh = await TestHome.create();
  using named = new Named(fresh.path);
  const { cluster } = named;
  expect(await cluster.runs.list({ start: false })).toBeUndefined();
  expect(await cluster.envs.list({ start: false })).toBeUndefined();
  for await (const _change of cluster.changes({ start: false })) expect.fail("nothing can change");
  expect(fresh.agentPid()).toBeUndefined();
  // Whoever looks must not keep another from starting it.
  const [looked, listed] = await Promise.all([cluster.runs.list({ start: false }), cluster.runs.list()]);
  expect([[], undefined]).toContainEqual(looked);
  expect(listed).toEqual([]);
  expect(fresh.agentPid()).toBeGreaterThan(0);
  expect(await cluster.runs.list({ start: false })).toEqual([]);
});

class Named implements Disposable {
  readonly cluster: Cluster;
  constructor(home: string) {
    this.cluster = new Cluster("local", { home, logs: "ignore" });
  }
  [Symbol.dispose](): void {
    this.cluster.close();
  }
}

test("changes tell of runs as they begin, get on and end, of replicas, and end with the agent", async () => {
  await using own = await TestHome.create();
  const cluster = own.cluster();
  const seen: ClusterChanges[] = [];
  const following = (async () => {
    for await (const change of cluster.changes()) seen.push(change);
  })();
  await until(
    () => seen.length,
    (length) => length > 0,
  );
  expect(seen[0]).toEqual({ runs: [], replicas: 0 });
  const statesOf = (run: string): RunRecord["state"][] =>
    seen.flatMap(({ runs }) => runs.filter(({ id }) => id === run).map(({ state }) => state));
  const other = own.cluster();
  const module = await other.openModule(file, { env: { replicas: 1 } });
  const flag = join(own.project, "changes.flag");
  const run = newRunId();
  const call = module.call("when", [flag], { run });
  await until(
    () => statesOf(run),
    (states) => states.includes("running"),
  );
  await own.write("changes.flag", "");
  await call;
  const map = module.map("f", range(20_000), { onError: "collect", replicas: 1 });
  await map.finished();
  await until(
    () => [statesOf(run).at(-1), statesOf(map.id).at(-1)],
    (states) => states.every((state) => state === "done"),
  );
  expect(statesOf(run)).toEqual(["running", "done"]);
  expect(statesOf(map.id).at(-1)).toBe("done");
  expect(statesOf(map.id)[0]).toBe("running");
  expect(seen.at(-1)!.replicas).toBe(1);
  expect(seen.every(({ runs }) => new Set(runs.map(({ id }) => id)).size === runs.length)).toBe(true);
  await other.down({ force: true });
  await following;
});

describe("envs", () => {
  const named = async (name: string) => (await local.envs.list()).find((env) => env.name === name);

  test("are listed as they were last used, with names of variables and no values", async () => {
    local = home.cluster();
    const env = { name: "listed", vars: { SECRET: "canary" }, replicas: 1, concurrency: 2 };
    const module = await local.openModule(file, { env });
    await module.call("add", [1, 2]);
    const found = await named("listed");
    expect(found).toMatchObject({
      name: "listed",
      reqs: [],
      dependencies: {},
      replicas: 1,
      concurrency: 2,
      varNames: ["SECRET"],
      state: "ready",
      liveReplicas: 1,
    });
    expect(JSON.stringify(found)).not.toContain("canary");
    expect(found!.usedAtMs).toBeGreaterThan(Date.now() - 60_000);
    const { stdout } = await home.cli(["envs", "--json"]);
    expect(JSON.parse(stdout)).toContainEqual(expect.objectContaining({ name: "listed", varNames: ["SECRET"] }));
    expect((await home.cli(["envs"])).stdout).toMatch(/^ENV +STATE[^\n]*\n(?:.*\n)*listed +ready/);
  });

  test("are rebuilt with new replicas, but not while a run uses them", async () => {
    const flag = join(home.project, "rebuild.flag");
    const module = await local.openModule(file, { env: { name: "rebuilt", replicas: 1 } });
    const map = module.map("when", [flag]);
    await map.accepted;
    await until(
      () => map.progress.active,
      (active) => active > 0,
    );
    await expect(local.envs.rebuild("rebuilt")).rejects.toMatchObject({ code: "run.state" });
    await expect(local.envs.remove("rebuilt")).rejects.toMatchObject({ code: "run.state" });
    await home.write("rebuild.flag", "");
    await map.finished();
    const before = (await local.status())!.replicas.find((replica) => replica.env === "rebuilt")!.pid;
    await local.envs.rebuild("rebuilt");
    expect(await named("rebuilt")).toMatchObject({ state: "ready", liveReplicas: 0 });
    expect(existsSync(`/proc/${before}`)).toBe(false);
    expect(await module.call("add", [2, 2])).toBe(4);
  });

  test("are rebuilt under a paused map, which then goes on", async () => {
    const module = await local.openModule(file, { env: { name: "paused", replicas: 1 } });
    const flag = join(home.project, "paused.flag");
    const map = module.map("when", [file, flag]);
    await until(
      () => map.progress,
      ({ done, active }) => done === 1 && active === 1,
    );
    await map.pause();
    await expect(local.envs.rebuild("paused")).rejects.toMatchObject({ code: "run.state" });
    await home.write("paused.flag", "");
    await until(
      () => local.envs.rebuild("paused").catch((error: unknown) => error),
      (error) => error === undefined,
    );
    await map.resume();
    expect(await map.finished()).toMatchObject({ state: "done", done: 2 });
  });

  test("are forgotten when removed, and come back when used", async () => {
    const module = await local.openModule(file, { env: { name: "removed", replicas: 1 } });
    await module.call("add", [1, 2]);
    await local.envs.remove("removed");
    expect(await named("removed")).toBeUndefined();
    expect((await local.status())!.replicas.filter(({ env }) => env === "removed")).toEqual([]);
    await expect(local.envs.remove("removed")).rejects.toMatchObject({ code: "env.unknown" });
    await expect(local.envs.rebuild("removed")).rejects.toMatchObject({ code: "env.unknown" });
    expect(await module.call("add", [1, 2])).toBe(3);
    expect(await named("removed")).toMatchObject({ state: "ready" });
  });
});
