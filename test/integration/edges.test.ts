import { execFile } from "node:child_process";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Cluster, MapRun } from "farcall";
import { TestHome, until } from "../support/home.ts";

/** Cases that once went wrong. */

let home: TestHome;
let local: Cluster;
const root = join(import.meta.dirname, "../..");
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

// oxlint-disable-next-line typescript/no-explicit-any -- the functions under test are written as text
type Functions = Record<string, any>;

beforeAll(async () => {
  home = await TestHome.create();
  local = home.cluster();
  await mkdir(join(home.project, "node_modules"));
  for (const name of ["valibot", "farcall"]) {
    await symlink(
      name === "farcall" ? root : join(root, "node_modules", name),
      join(home.project, "node_modules", name),
    );
  }
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

async function load(name: string, text: string, env: object = {}): Promise<Functions> {
  return await local.import(await home.write(name, text), { env });
}

test("a text in user code that looks like an import of third-party code harms nobody", async () => {
  const { f } = await load(
    "text.ts",
    `import { string } from "valibot"; export const f = () => [typeof string, 'import x from "./vendor/jquery.js"'];`,
  );
  await f!();
  const pid = home.agentPid();
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect(home.agentPid()).toBe(pid);
  expect((await f!())[0]).toBe("function");
});

test("long log lines from many replicas arrive, and the map with them", async () => {
  const lines: string[] = [];
  const loud = home.cluster({ logs: ({ text }) => lines.push(text) });
  const file = await home.write(
    "long.ts",
    "export const f = (x: number) => { for (let i = 0; i < 40; i++) console.log('\\u0001'.repeat(4000) + x); return x; };",
  );
  const { f } = (await loud.import(file, { env: { name: "long", replicas: 3 } })) as Functions;
  expect(await f!.map(range(60)).toArray()).toEqual(range(60));
  expect(lines.length).toBe(60 * 40);
});

test("a line of control characters does not hide the lines behind it", async () => {
  const { f } = await load(
    "nul.ts",
    "export const f = () => { process.stdout.write(Buffer.alloc(70_000)); console.log('\\nafter'); };",
  );
  const run: MapRun<void> = f!.map([0]);
  await run.toArray();
  const lines = (await Array.fromAsync((await local.runs.open(run.id)).logs())).flat();
  expect(lines.at(-1)?.text).toBe("after");
});

test("the workers of an agent that follows a dead one at once are left in peace", async () => {
  const { f } = await load(
    "peace.ts",
    "export const f = async (x: number) => { await new Promise((r) => setTimeout(r, 40)); return x; };",
  );
  for (let round = 0; round < 6; round++) {
    process.kill(home.agentPid()!, "SIGKILL");
    // A call that the dead connection still takes is lost with it; what follows must not be.
    await f!(0).catch(() => undefined);
    expect(await Promise.all(range(4).map((x) => f!(x)))).toEqual(range(4));
  }
});

describe("a module", () => {
  test("that ends its process while it is imported is refused at once, with the reason", async () => {
    await expect(load("exits.ts", "process.exit(3); export const f = () => 1;")).rejects.toMatchObject({
      code: "bundle.import-failed",
      message: expect.stringContaining("process.exit(3)"),
    });
  });

  test("whose worker is killed while it imports it is imported by another", async () => {
    const flag = join(home.project, "died");
    const { f } = await load(
      "once.ts",
      `import { existsSync, writeFileSync } from "node:fs";
       if (existsSync(process.env.FLAG!) && !existsSync(process.env.FLAG! + ".done")) { writeFileSync(process.env.FLAG! + ".done", ""); process.kill(process.pid, "SIGKILL"); }
       export const f = async (x: number) => { await new Promise((r) => setTimeout(r, 30)); return x; };`,
      { name: "once", replicas: 2, vars: { FLAG: flag } },
    );
    await writeFile(flag, "");
    expect(await f!.map(range(40)).toArray()).toEqual(range(40));
  });
});

test("a reader that stopped inside a stored range goes on with the next input", async () => {
  const { f } = await load("half.ts", "export const f = (x: number) => x;");
  const run: MapRun<number> = f!.map(range(500));
  await run.finished();
  for await (const { index } of await local.runs.open<number>(run.id)) if (index === 19) break;
  const rest: number[] = [];
  for await (const { index } of await local.runs.open<number>(run.id)) rest.push(index);
  expect(rest).toEqual(range(500).slice(20));
});

test("a paused run survives `down`, and goes on with the next agent", async () => {
  const { f } = await load(
    "pause.ts",
    "export const f = async (x: number) => { await new Promise((r) => setTimeout(r, 20)); return x; };",
  );
  const run: MapRun<number> = f!.map(range(100));
  await run.accepted;
  await run.pause();
  await until(
    () => run.progress,
    ({ state, active }) => state === "paused" && active === 0,
  );
  expect((await home.cli(["down", "local"])).status).toBe(0);
  await run.resume();
  expect(await run.toArray()).toEqual(range(100));
});

test("a program that awaits only the end of a run lives until then", async () => {
  const file = await home.write(
    "main.ts",
    `import { cluster } from "farcall";
     const { f } = await cluster("local").import<typeof import("./half.ts")>("./pause.ts", { from: import.meta.url });
     const { state, done } = await f.map(Array.from({ length: 40 }, (_, i) => i)).finished();
     console.log(state, done);`,
  );
  const { stdout } = await promisify(execFile)(process.execPath, [file], { env: home.environment() });
  expect(stdout).toBe("done 40\n");
});

test("a map whose output is its input is refused, and the file left as it was", async () => {
  await home.write("half.ts", "export const f = (x: number) => x;");
  const file = await home.write("same.jsonl", "1\n2\n");
  const { status, stderr } = await home.cli(["map", "half.ts#f", "--input", file, "--output", "./same.jsonl"]);
  expect(status).toBe(2);
  expect(stderr).toContain("same file");
  expect((await home.cli(["map", "half.ts#f", "--input", file])).stdout.trim().split("\n")).toHaveLength(2);
});

test("tries that are each within their time are not ended for the time they take together", async () => {
  const { f } = await load(
    "tries.ts",
    `import { context } from "farcall";
     let begun = 0;
     export const f = async () => { begun++; await new Promise((r) => setTimeout(r, 350)); if (context().attempt < 4) throw new Error("again"); return [begun, process.pid]; };`,
    { name: "tries", replicas: 1 },
  );
  const [[begun]] = (await f!.map([0], { timeoutMs: 500, retries: 3 }).toArray()) as [[number, number]];
  expect(begun).toBe(4);
});

test("cancelling one call leaves those beside it alone", async () => {
  const { stuck, fine } = await load(
    "beside.ts",
    `export const stuck = () => new Promise(() => {});
     export const fine = async () => { await new Promise((r) => setTimeout(r, 3_500)); return "fine"; };`,
    { name: "beside", replicas: 1, concurrency: 3 },
  );
  const stop = new AbortController();
  const cancelled = stuck!.with({ signal: stop.signal })();
  const beside = fine!();
  setTimeout(() => stop.abort(new Error("enough")), 200);
  await expect(cancelled).rejects.toThrow("enough");
  expect(await beside).toBe("fine");
  expect(await fine!()).toBe("fine");
});

test("many first uses of a cluster at once make one connection", async () => {
  const other = home.cluster();
  await Promise.all([other.upIfNot(), other.status(), other.status(), other.upIfNot()]);
  const before = (await local.status())!.clients;
  other.close();
  expect(
    await until(
      async () => (await local.status())!.clients,
      (clients) => clients < before,
    ),
  ).toBe(before - 1);
});

test("an import's signal is not held against later calls", async () => {
  const file = await home.write("late.ts", "export const f = (x: number) => x;");
  const stop = new AbortController();
  const { f } = (await local.import(file, { signal: stop.signal })) as Functions;
  expect(await f!(1)).toBe(1);
  stop.abort();
  process.kill(home.agentPid()!, "SIGKILL");
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await f!(2)).toBe(2);
});
