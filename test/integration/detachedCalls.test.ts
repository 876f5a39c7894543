import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, type FarcallError, newRunId, type RunRecord } from "farcall";
import { isAlive, TestHome, until } from "../support/home.ts";

/** Calls that outlive their client, what is kept of them, and how others end them. */

let home: TestHome;
let local: Cluster;
let file: string;

beforeAll(async () => {
  home = await TestHome.create();
  local = home.cluster();
  file = await home.write(
    "f.ts",
    `import { existsSync, writeFileSync } from "node:fs";
     import { context } from "farcall";
     const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
     export async function when(flag: string, value: unknown) {
       writeFileSync(flag + ".begun", String(process.pid));
       while (!existsSync(flag)) { await sleep(10); context().signal.throwIfAborted(); }
       return value;
     }
     export const big = async (flag: string, bytes: number) => "x".repeat(bytes - ((await when(flag, 0)) as number));
     export async function* count(to: number, flag?: string) {
       for (let i = 0; i < to; i++) yield i;
       if (flag) await when(flag, 0);
     }
     export function* large(n: number) { for (let i = 0; i < n; i++) yield "y".repeat(1024 * 1024); }
     export async function* breaks() { yield 1; throw new RangeError("broke"); }
     export const spin = (flag: string) => { writeFileSync(flag + ".begun", String(process.pid)); for (;;); };
     export const fail = () => { throw new RangeError("no"); };
     export const add = (a: number, b: number) => a + b;`,
  );
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

const flagOf = (name: string) => join(home.project, `${name}.flag`);
const begun = (flag: string) => until(() => existsSync(`${flag}.begun`), Boolean);
const raise = (flag: string) => home.write(flag.slice(home.project.length + 1), "");

/** Begins a call from a client of its own, and takes the client away when the function runs. */
async function leave(name: string, args: unknown[], flag: string, options: object): Promise<string> {
  const client = home.cluster();
  const module = await client.openModule(file);
  const run = newRunId();
  const call = module.call(name, args, { run, ...options });
  const ended = call.then(
    () => undefined,
    (error: unknown) => error,
  );
  await begun(flag);
  client.close();
  expect(await ended).toMatchObject({ code: "connection.lost" });
  return run;
}

async function ended(run: string): Promise<RunRecord> {
  let last: RunRecord | undefined;
  for await (const record of (await local.runs.open(run)).watch()) last = record;
  return last!;
}

const errorOf = (promise: Promise<unknown>) => promise.catch((error: unknown) => error) as Promise<FarcallError>;

describe("a detached call", () => {
  test("goes on when its client is gone, and its result waits", async () => {
    const flag = flagOf("goes-on");
    const run = await leave("when", [flag, { answer: [42n] }], flag, { detached: true });
    const running = await local.runs.open(run);
    expect(running.record).toMatchObject({ state: "running", endedAtMs: null });
    expect(await errorOf(running.result())).toMatchObject({ code: "run.state" });
    const watched = ended(run);
    await raise(flag);
    expect(await watched).toMatchObject({ state: "done", done: 1 });
    expect(await running.result()).toEqual({ answer: [42n] });
  });

  test("has results kept that are larger than those of other calls", async () => {
    const bytes = 5 * 1024 * 1024;
    const flag = flagOf("large");
    const run = await leave("big", [flag, bytes], flag, { detached: true });
    await raise(flag);
    await ended(run);
    expect(await (await local.runs.open<string>(run)).result()).toHaveLength(bytes);
    const attached = newRunId();
    await (await local.openModule(file)).call("big", [flag, bytes], { run: attached });
    expect(await errorOf((await local.runs.open(attached)).result())).toMatchObject({ code: "value.too-large" });
  });

  test("that yields keeps what it yielded for whoever comes later", async () => {
    const flag = flagOf("yields");
    const run = await leave("count", [500, flag], flag, { detached: true });
    await raise(flag);
    await ended(run);
    expect(await (await local.runs.open(run)).result()).toEqual(Array.from({ length: 500 }, (_, i) => i));
  });

  test("is cancelled by its own signal all the same", async () => {
    const flag = flagOf("signal");
    const stop = new AbortController();
    const run = newRunId();
    const module = await local.openModule(file);
    const call = module.call("when", [flag, 1], { run, detached: true, signal: stop.signal });
    call.catch(() => undefined);
    await begun(flag);
    stop.abort(new Error("enough"));
    await expect(call).rejects.toThrow("enough");
    expect(await ended(run)).toMatchObject({ state: "cancelled" });
  });

  test("keeps the agent from ending for want of clients", async () => {
    await using own = await TestHome.create();
    const flag = join(own.project, "idle.flag");
    process.env["FARCALL_IDLE_MS"] = "300";
    const client = own.cluster();
    delete process.env["FARCALL_IDLE_MS"];
    const module = await client.openModule(file);
    const run = newRunId();
    module.call("when", [flag, "late"], { run, detached: true }).catch(() => undefined);
    await begun(flag);
    client.close();
    const agent = own.agentPid()!;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(isAlive(agent)).toBe(true);
    await own.write("idle.flag", "");
    expect(
      await until(
        () => isAlive(agent),
        (alive) => !alive,
      ),
    ).toBe(false);
    expect(await (await own.cluster().runs.open(run)).result()).toBe("late");
  });

  test("whose agent died is on record as failed, and says so", async () => {
    await using own = await TestHome.create();
    const flag = join(own.project, "died.flag");
    const run = newRunId();
    const module = await own.cluster().openModule(file);
    const call = module.call("when", [flag, 1], { run, detached: true });
    call.catch(() => undefined);
    await begun(flag);
    // A record of a call that lasts is written after a second.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    process.kill(own.agentPid()!, "SIGKILL");
    await errorOf(call);
    const found = await own.cluster().runs.open(run);
    expect(found.record).toMatchObject({ state: "failed", active: 0, error: { code: "worker.killed" } });
    expect(await errorOf(found.result())).toMatchObject({ code: "worker.killed" });
    expect((await found.request()).args).toEqual([flag, 1]);
  });
});

describe("a call", () => {
  test("that is not detached is cancelled with its client", async () => {
    const flag = flagOf("attached");
    const run = await leave("when", [flag, 1], flag, {});
    expect(await ended(run)).toMatchObject({ state: "cancelled" });
    expect(await errorOf((await local.runs.open(run)).result())).toMatchObject({ code: "run.cancelled" });
  });

  test("is cancelled by another client, also when its function never looks up", async () => {
    for (const name of ["when", "spin"]) {
      const flag = flagOf(`cancel-${name}`);
      const run = newRunId();
      const call = (await local.openModule(file)).call(name, [flag, 1], { run });
      call.catch(() => undefined);
      await begun(flag);
      const { status, stderr } = await home.cli(["cancel", run]);
      expect({ status, stderr }).toEqual({ status: 0, stderr: `${run} is cancelled.\n` });
      expect(await errorOf(call)).toBeInstanceOf(Error);
    }
  });

  test("that waits for a replica is cancelled at once", async () => {
    const [first, second] = [flagOf("first"), flagOf("second")];
    const module = await local.openModule(file, { env: { name: "one", replicas: 1 } });
    const works = module.call("when", [first, "worked"]);
    await begun(first);
    const run = newRunId();
    const waits = module.call("when", [second, 1], { run });
    waits.catch(() => undefined);
    await until(
      () => local.runs.list(),
      (records) => records.some(({ id }) => id === run),
    );
    await (await local.runs.open(run)).cancel();
    await expect(waits).rejects.toMatchObject({ code: "run.cancelled" });
    await raise(first);
    expect(await works).toBe("worked");
    expect(existsSync(`${second}.begun`)).toBe(false);
  });

  test("can be neither paused nor resumed", async () => {
    const run = newRunId();
    await (await local.openModule(file)).call("add", [1, 2], { run });
    const opened = await local.runs.open(run);
    await expect(opened.pause()).rejects.toMatchObject({ code: "run.state" });
    await expect(opened.resume()).rejects.toMatchObject({ code: "run.state" });
    await opened.cancel();
    expect(opened.record).toMatchObject({ state: "done" });
  });

  test("that yields has its values on record, with its error where it threw, and none above 8 MiB", async () => {
    const module = await local.openModule(file);
    const result = async (name: string, args: unknown[]) => {
      const run = newRunId();
      await module.call(name, args, { run }).catch(() => undefined);
      return (await local.runs.open(run)).result();
    };
    expect(await result("count", [3])).toEqual([0, 1, 2]);
    expect(await result("count", [0])).toBeUndefined();
    await expect(result("breaks", [])).rejects.toThrow("broke");
    expect(await result("large", [7])).toHaveLength(7);
    await expect(result("large", [9])).rejects.toMatchObject({ code: "value.too-large" });
  });

  test("takes no id that is none, or that of a call that runs", async () => {
    const flag = flagOf("twice");
    const module = await local.openModule(file);
    await expect(module.call("add", [1, 2], { run: "../up" })).rejects.toMatchObject({ code: "name.invalid" });
    const run = newRunId();
    const first = module.call("when", [flag, "first"], { run });
    await begun(flag);
    await expect(module.call("when", [flag, "second"], { run })).rejects.toMatchObject({ code: "run.mismatch" });
    await raise(flag);
    expect(await first).toBe("first");
  });
});
