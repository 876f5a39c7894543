import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Cluster } from "farcall";
import { newRunId } from "../../runtime/spec/names.ts";
import { TestHome, until } from "../support/home.ts";

/** A map whose inputs were not all sent when the process that began it ended: somebody else sends the rest. */

const source = (by: number) => `export const times = (x: number) => ${by} * x;`;
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

let home: TestHome;
let file: string;
beforeAll(async () => {
  home = await TestHome.create();
  file = await home.write("f.ts", source(2));
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

/** Gives `count` inputs and then waits for ever, as a process does that is about to end. */
async function* stalling(count: number): AsyncGenerator<number> {
  yield* range(count);
  await new Promise(() => undefined);
}

/** Begins a map in a connection of its own, and returns it when some inputs are stored. */
async function begin(count: number, options = {}): Promise<{ run: string; window: Cluster }> {
  const window = home.cluster();
  const run = newRunId();
  const module = await window.openModule(file, { env: { replicas: 1 } });
  const map = module.map("times", stalling(count), { ...options, run, input: "/all.jsonl" });
  map.accepted.catch(() => undefined);
  await until(
    () => map.progress.accepted,
    (accepted) => accepted === count,
  );
  return { run, window };
}

async function valuesOf(cluster: Cluster, run: string): Promise<unknown[]> {
  const values: unknown[] = [];
  const open = await cluster.runs.open(run);
  for await (const outcome of open.outcomes()) values.push("value" in outcome ? outcome.value : outcome.error);
  return values;
}

const state = async (cluster: Cluster, run: string) => (await cluster.runs.open(run)).record.state;

describe("the rest of the inputs of a map", () => {
  test("is sent by another process, with the code as it was, whatever its file says now", async () => {
    const { run, window } = await begin(500, { retries: 2, timeoutMs: 5_000 });
    window.close();
    await home.write("f.ts", source(3));
    const next = home.cluster();
    const open = await next.runs.open(run);
    expect(
      await until(
        () => state(next, run),
        (seen) => seen === "interrupted",
      ),
    ).toBe("interrupted");
    expect(await open.request()).toMatchObject({
      file,
      export: "times",
      input: "/all.jsonl",
      options: { retries: 2, timeoutMs: 5_000 },
    });
    expect(await open.feed(() => range(3_000))).toBe("sent");
    expect(await valuesOf(next, run)).toEqual(range(3_000).map((x) => 2 * x));
    expect(await open.feed(() => range(0))).toBe("ended");
    await home.write("f.ts", source(2));
  });

  test("is sent by one process at a time, and by the next when that one ends", async () => {
    const { run, window } = await begin(100);
    const [second, third] = [home.cluster(), home.cluster()];
    const unasked = () => expect.unreachable("no inputs are needed of who may not send them");
    expect(await (await second.runs.open(run)).feed(unasked)).toBe("busy");
    window.close();
    await until(
      () => state(second, run),
      (seen) => seen === "interrupted",
    );
    const stop = new AbortController();
    const feeding = (await second.runs.open(run)).feed(() => stalling(700), { signal: stop.signal });
    feeding.catch(() => undefined);
    await until(
      async () => (await third.runs.open(run)).record.accepted,
      (accepted) => accepted === 700,
    );
    expect(await (await third.runs.open(run)).feed(unasked)).toBe("busy");
    second.close();
    await until(
      () => state(third, run),
      (seen) => seen === "interrupted",
    );
    expect(await (await third.runs.open(run)).feed(() => range(1_000))).toBe("sent");
    expect(await valuesOf(third, run)).toEqual(range(1_000).map((x) => 2 * x));
  });

  test("stays to be sent when the inputs cannot be had, and the run can be cancelled", async () => {
    const { run, window } = await begin(50);
    window.close();
    const next = home.cluster();
    const open = await next.runs.open(run);
    await until(
      () => state(next, run),
      (seen) => seen === "interrupted",
    );
    await expect(open.feed(() => Promise.reject(new Error("the file is gone")))).rejects.toThrow("the file is gone");
    const broken = function* () {
      yield* range(60);
      throw new Error("line 61 is wrong");
    };
    await expect(open.feed(broken)).rejects.toThrow("line 61 is wrong");
    expect(
      await until(
        () => state(next, run),
        (seen) => seen === "interrupted",
      ),
    ).toBe("interrupted");
    await open.cancel();
    expect(await open.feed(() => range(100))).toBe("ended");
    expect(await state(next, run)).toBe("cancelled");
  });

  test("is taken up again by its sender after the agent was killed", async () => {
    const cluster = home.cluster();
    const module = await cluster.openModule(file, { env: { replicas: 1 } });
    const slowly = async function* () {
      for (const x of range(400)) {
        if (x % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
        yield x;
      }
    };
    const map = module.map<number>("times", slowly(), {});
    await until(
      () => map.progress.accepted,
      (accepted) => accepted > 50,
    );
    process.kill(home.agentPid()!, "SIGKILL");
    await map.accepted;
    expect(await valuesOf(cluster, map.id)).toEqual(range(400).map((x) => 2 * x));
  });
});
