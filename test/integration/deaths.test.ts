import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Cluster } from "farcall";
import { isAlive, TestHome, until } from "../support/home.ts";

/** Worker processes that end in every way they can, and what becomes of the inputs they were working on. */

let home: TestHome;
let local: Cluster;
// oxlint-disable-next-line typescript/no-explicit-any -- the functions under test are written as text
let f: Record<string, any>;

const source = `
import { spawn } from "node:child_process";
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
export const exits = (x: number) => { if (x === 5) process.exit(0); return x; };
export const aborts = (x: number) => { if (x === 5) process.abort(); return x; };
export const killed = (x: number) => { if (x === 5) process.kill(process.pid, "SIGKILL"); return x; };
export const rejects = async (x: number) => { if (x === 5) { void Promise.reject(new TypeError("nobody waits")); await sleep(1000); } return x; };
export const timer = async (x: number) => { if (x === 5) { setTimeout(() => { throw new Error("from a timer"); }, 1); await sleep(1000); } return x; };
export const heap = (x: number) => { if (x === 5) { const all: unknown[] = []; for (;;) all.push(new Array(10_000).fill(x)); } return x; };
export const buffers = async (x: number) => { if (x === 5) { const all: Buffer[] = []; for (;;) { all.push(Buffer.alloc(16 * 2 ** 20, 1)); await sleep(1); } } return x; };
export const leak = (() => { const all: Buffer[] = []; return async (x: number) => { all.push(Buffer.alloc(2 ** 20, 1)); await sleep(2); return process.pid; }; })();
let tries = 0;
export const once = (x: number) => { if (x === 5 && !globalThis.process.env.NEVER && tries++ === 0 && !require("node:fs").existsSync(process.env.FLAG!)) { require("node:fs").writeFileSync(process.env.FLAG!, ""); process.kill(process.pid, "SIGKILL"); } return x; };
export const children = () => {
  const plain = spawn("sleep", ["300"]);
  const detached = spawn("sh", ["-c", "setsid sleep 300 & exec sleep 300"], { detached: true, stdio: "ignore" });
  detached.unref();
  return [plain.pid, detached.pid];
};
export const spin = () => { for (;;); };
export const pid = () => process.pid;
export const flood = (megabytes: number) => { const line = "x".repeat(1023); for (let i = 0; i < megabytes * 1024; i++) console.log(line); return "done"; };
export const wide = () => { process.stdout.write("y".repeat(5_000_000)); return "done"; };
export const native = () => new Promise((resolve) => spawn("sh", ["-c", "echo from a child; echo oops >&2"], { stdio: "inherit" }).on("exit", resolve));
`;

beforeAll(async () => {
  home = await TestHome.create();
  local = home.cluster();
  f = await local.import(await home.write("f.ts", source), {
    env: { replicas: 2, vars: { FLAG: `${home.project}/flag` }, compute: { memoryMiB: 128 } },
  });
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

const range = (n: number) => Array.from({ length: n }, (_, i) => i);
type Outcome = { index: number; value?: unknown; error?: Error & { code?: string }; attempts: number };

async function mapAll(name: string, options: object = {}): Promise<Outcome[]> {
  return (await Array.fromAsync(f[name].map(range(200), { onError: "collect", ...options }))) as Outcome[];
}

describe("an input whose worker dies each time", () => {
  test.each([
    ["exits", "worker.exited", "process.exit"],
    ["aborts", "worker.killed", "SIGABRT"],
    ["killed", "worker.killed", "SIGKILL"],
    ["rejects", "worker.crashed", "nobody waits"],
    ["timer", "worker.crashed", "from a timer"],
    ["heap", "worker.out-of-memory", "memory"],
    ["buffers", "worker.out-of-memory", "memory"],
  ])("is given up as what it was, and all others are done: %s", async (name, code, message) => {
    const outcomes = await mapAll(name);
    expect(outcomes.map(({ index }) => index)).toEqual(range(200));
    const failed = outcomes.filter((outcome) => outcome.error);
    expect(failed.map(({ index }) => index)).toEqual([5]);
    expect(failed[0]!.error!.code).toBe(code);
    expect(failed[0]!.error!.message).toContain(message);
    expect(failed[0]!.attempts).toBe(3);
    expect(outcomes.filter((outcome) => !outcome.error).every(({ index, value }) => index === value)).toBe(true);
  });

  test("is found among others that run beside it", async () => {
    const outcomes = await mapAll("killed", { concurrency: 8 });
    expect(outcomes.filter((outcome) => outcome.error).map(({ index }) => index)).toEqual([5]);
  });
});

test("an input whose worker dies once is done by another", async () => {
  const outcomes = await mapAll("once");
  expect(outcomes.every(({ index, value }) => index === value)).toBe(true);
});

test("a call whose worker dies rejects with how, and is not made again", async () => {
  await expect(f["exits"](5)).rejects.toMatchObject({ code: "worker.exited" });
  await expect(f["killed"](5)).rejects.toMatchObject({ code: "worker.killed" });
  await expect(f["rejects"](5)).rejects.toMatchObject({ code: "worker.crashed", cause: { message: "nobody waits" } });
  expect(await f["exits"](4)).toBe(4);
});

test("a worker that grows is replaced between inputs, and none is lost", async () => {
  const pids = (await f["leak"].map(range(600), { replicas: 1 }).toArray()) as number[];
  expect(pids.length).toBe(600);
  expect(new Set(pids).size).toBeGreaterThan(1);
});

describe("workers that are killed while they start", () => {
  /** The first one starts and dies of its first input; of those after it so many die while they import. */
  const begin = async (name: string, deaths: number) => {
    const module = await local.import<{ work(x: number): number }>(
      await home.write(
        `${name}.ts`,
        `import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
        const starts = ${JSON.stringify(home.project)} + "/${name}.starts";
        appendFileSync(starts, ".");
        const at = readFileSync(starts).length;
        if (at > 1 && at <= 1 + ${deaths}) process.kill(process.pid, "SIGKILL");
        export const work = (x: number) => {
          if (existsSync(starts + ".died")) return x;
          writeFileSync(starts + ".died", "");
          process.kill(process.pid, "SIGKILL");
        };`,
      ),
      { env: { name, replicas: 3, vars: { OWN: "process" } } },
    );
    return module.work.map(range(200));
  };

  test("a few times at once do not fail the map", async () => {
    expect(await (await begin("few", 6)).toArray()).toEqual(range(200));
  });

  test("again and again fail it, as that will not change", async () => {
    await expect((await begin("all", 1_000)).toArray()).rejects.toMatchObject({ code: "worker.crashed" });
  });
});

test("what a function started ends with its worker, detached or not", async () => {
  const pids = (await f["children"]()) as number[];
  expect(pids.every(isAlive)).toBe(true);
  // A process that becomes another program has no environment for a moment.
  const started = await until(
    () => home.workerPids(),
    (found) => found.length >= 4 && pids.every((pid) => found.includes(pid)),
  );
  expect(started.length).toBeGreaterThanOrEqual(4);
  expect(started).toEqual(expect.arrayContaining(pids));
  process.kill(home.agentPid()!, "SIGKILL");
  expect(
    await until(
      () => started.filter(isAlive),
      (left) => left.length === 0,
    ),
  ).toEqual([]);
});

test("a worker in an endless loop does not outlive its agent", async () => {
  const workerPid = (await f["pid"]()) as number;
  f["spin"]().catch(() => undefined);
  f["spin"]().catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(isAlive(workerPid)).toBe(true);
  process.kill(home.agentPid()!, "SIGKILL");
  expect(
    await until(
      () => isAlive(workerPid),
      (alive) => !alive,
    ),
  ).toBe(false);
});

describe("output", () => {
  test("of 1 GB is kept up to a limit and says what was left out, and the result still comes", async () => {
    const run = f["flood"].map([1024]);
    expect(await run.toArray()).toEqual(["done"]);
    let lines = 0;
    let last = "";
    for await (const batch of (await local.runs.open(run.id)).logs()) {
      lines += batch.length;
      last = batch.at(-1)!.text;
    }
    expect(lines).toBeGreaterThan(50_000);
    expect(lines).toBeLessThan(80_000);
    expect(last).toMatch(/^\d+ lines were left out/);
  });

  test("in one endless line is cut into pieces", async () => {
    const run = f["wide"].map([0]);
    await run.toArray();
    const lines = (await Array.fromAsync((await local.runs.open(run.id)).logs())).flat();
    expect(lines.reduce((sum, { text }) => sum + text.length, 0)).toBe(5_000_000);
    expect(Math.max(...lines.map(({ text }) => text.length))).toBeLessThanOrEqual(64 * 1024);
  });

  test("of a process that the function starts is kept as well", async () => {
    const run = f["native"].map([0]);
    await run.toArray();
    const opened = await local.runs.open(run.id);
    const texts = await until(
      async () => (await Array.fromAsync(opened.logs())).flat().map(({ stream, text }) => `${stream}: ${text}`),
      (found) => found.length >= 2,
    );
    expect(texts.sort()).toEqual(["stderr: oops", "stdout: from a child"]);
  });
});
