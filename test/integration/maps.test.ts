import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Cluster, MapRun } from "farcall";
import { TestHome, until } from "../support/home.ts";

let home: TestHome;
let local: Cluster;
// oxlint-disable-next-line typescript/no-explicit-any -- the functions under test are written as text
let f: Record<string, any>;

const source = `
import { context } from "farcall";
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
export const double = (x: number) => 2 * x;
export const slow = async (x: number) => { await sleep(20); return x; };
export const jitter = async (x: number) => { await sleep((x * 7919) % 30); return x; };
export const where = async (x: number) => { await sleep(30); return [x, process.pid, context().index]; };
export const oddFails = (x: number) => { if (x % 2) throw new RangeError("odd " + x); return x; };
export const flaky = () => { if (context().attempt < 3) throw new Error("not yet"); return context().attempt; };
export const hang = (x: number) => x === 3 ? new Promise(() => {}) : x;
export const spin = (x: number) => { if (x === 3) for (;;); return x; };
export async function* twice(x: number) { yield x; yield x; }
let active = 0;
export const overlap = async () => { active++; await sleep(40); const seen = active; active--; return seen; };
export const say = (x: number) => { console.log("line " + x); console.error("err " + x); context().log("note", { x }); return x; };
export const unsendable = (x: number) => x === 1 ? () => 1 : x;
`;

beforeAll(async () => {
  home = await TestHome.create();
  local = home.cluster();
  f = await local.import(await home.write("f.ts", source), { env: { replicas: 2 } });
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

describe("a map", () => {
  test("gives an outcome for each input, in input order", async () => {
    const seen: number[] = [];
    for await (const { index, value } of f["jitter"].map(range(200), { concurrency: 10 })) {
      expect(value).toBe(index);
      seen.push(index);
    }
    expect(seen).toEqual(range(200));
  });

  test("gives outcomes as they come when asked to", async () => {
    const seen: number[] = [];
    for await (const { value } of f["jitter"].map(range(200), { concurrency: 10 }).unordered())
      seen.push(value as number);
    expect(seen).not.toEqual(range(200));
    expect(seen.sort((a, b) => a - b)).toEqual(range(200));
  });

  test("over 100,000 inputs loses and doubles none", async () => {
    const values: number[] = await f["double"].map(range(100_000)).toArray();
    expect(values.length).toBe(100_000);
    expect(values.every((value, i) => value === 2 * i)).toBe(true);
  });

  test("over no inputs is done at once", async () => {
    const run: MapRun<number> = f["double"].map([]);
    expect(await run.toArray()).toEqual([]);
    expect((await run.finished()).state).toBe("done");
  });

  test("takes async inputs, and hands them on although the source is slow", async () => {
    const given: number[] = [];
    async function* inputs() {
      for (let i = 0; i < 5; i++) {
        given.push(i);
        yield i;
        await new Promise((resolve) => setTimeout(resolve, 60));
      }
    }
    const outcomes: [number, number][] = [];
    for await (const { value } of f["double"].map(inputs())) outcomes.push([value as number, given.length]);
    expect(outcomes.map(([value]) => value)).toEqual([0, 2, 4, 6, 8]);
    expect(outcomes[0]![1]).toBeLessThan(5);
  });

  test("stops at the first input that fails, with its error and index", async () => {
    const run: MapRun<number> = f["oddFails"].map(range(1_000));
    const seen: number[] = [];
    const failure = (async () => {
      for await (const outcome of run) seen.push(outcome.index);
    })();
    await expect(failure).rejects.toThrow(new RangeError("odd 1"));
    expect(seen).toEqual([0]);
    expect((await run.finished()).state).toBe("failed");
  });

  test("keeps errors as outcomes when they are collected", async () => {
    const run = f["oddFails"].map(range(100), { onError: "collect" });
    const failed: number[] = [];
    for await (const outcome of run) {
      if (!("error" in outcome)) continue;
      expect(outcome.error).toBeInstanceOf(RangeError);
      failed.push(outcome.index);
    }
    expect(failed).toEqual(range(100).filter((x) => x % 2));
    const { state, done, failed: count } = await run.finished();
    expect({ state, done, count }).toEqual({ state: "done", done: 100, count: 50 });
  });

  test("tries again as often as it may", async () => {
    expect(await f["flaky"].map(range(4), { retries: 2 }).toArray()).toEqual([3, 3, 3, 3]);
    const [outcome] = await Array.fromAsync(
      f["flaky"].map([0], { retries: 1, onError: "collect" }) as AsyncIterable<{ error: Error; attempts: number }>,
    );
    expect(outcome!.error.message).toBe("not yet");
    expect(outcome!.attempts).toBe(2);
  });

  test.each(["hang", "spin"])("gives up an input that takes too long: %s", async (name) => {
    const outcomes = await Array.fromAsync(
      f[name].map(range(8), { timeoutMs: 300, onError: "collect" }) as AsyncIterable<{
        index: number;
        error?: { code: string };
      }>,
    );
    expect(outcomes.map(({ error }) => error?.code)).toEqual([
      undefined,
      undefined,
      undefined,
      "item.timeout",
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("collects what a generator yields", async () => {
    expect(await f["twice"].map([1, 2]).toArray()).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });

  test("spreads over its replicas, no more than asked for, and knows its index", async () => {
    const two = (await f["where"].map(range(20), { replicas: 2 }).toArray()) as [number, number, number][];
    expect(new Set(two.map(([, pid]) => pid)).size).toBe(2);
    expect(two.every(([x, , index]) => x === index)).toBe(true);
    const one = (await f["where"].map(range(6), { replicas: 1 }).toArray()) as [number, number, number][];
    expect(new Set(one.map(([, pid]) => pid)).size).toBe(1);
  });

  test("works on as many inputs at a time in a replica as its concurrency says", async () => {
    const counts = (await f["overlap"].map(range(40), { replicas: 1, concurrency: 4 }).toArray()) as number[];
    expect(Math.max(...counts)).toBe(4);
    const alone = (await f["overlap"].map(range(5), { replicas: 1 }).toArray()) as number[];
    expect(Math.max(...alone)).toBe(1);
  });

  test("ends with the error of its input iterator, at once", async () => {
    function* broken() {
      yield* range(50);
      throw new Error("no more inputs");
    }
    const run: MapRun<number> = f["slow"].map(broken());
    await expect(run.toArray()).rejects.toThrow("no more inputs");
    expect((await local.runs.open(run.id)).record.state).toBe("cancelled");
  });

  test("ends with the place of an input that cannot be sent", async () => {
    await expect(f["double"].map([1, 2, { a: [() => 1] }]).toArray()).rejects.toThrow(/Input 2 .*\$\.a\[0\]/);
  });

  test("makes an error of a result that cannot be sent", async () => {
    const outcomes = await Array.fromAsync(
      f["unsendable"].map([0, 1, 2], { onError: "collect" }) as AsyncIterable<{ error?: { code: string } }>,
    );
    expect(outcomes.map(({ error }) => error?.code)).toEqual([undefined, "value.unserializable", undefined]);
  });

  test("can be cancelled, and keeps the outcomes it has", async () => {
    const run: MapRun<number> = f["slow"].map(range(10_000));
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { index } of run) {
        seen.push(index);
        if (index === 20) await run.cancel();
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: "run.cancelled" });
    const kept = await Array.fromAsync((await local.runs.open(run.id)).outcomes());
    expect(kept.length).toBeGreaterThan(20);
    expect(kept.length).toBeLessThan(10_000);
  });

  test("can be paused and resumed", async () => {
    const run: MapRun<number> = f["slow"].map(range(60));
    await run.pause();
    const paused = await until(
      () => run.progress,
      ({ state, active }) => state === "paused" && active === 0,
    );
    expect(paused.state).toBe("paused");
    const before = run.progress.done;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(run.progress.done).toBe(before);
    await run.resume();
    expect((await run.toArray()).length).toBe(60);
  });

  test("shares replicas fairly with another", async () => {
    const first: MapRun<number> = f["slow"].map(range(200));
    await until(
      () => first.progress,
      ({ done }) => done > 10,
    );
    const second: MapRun<number> = f["slow"].map(range(20));
    await second.toArray();
    expect(first.progress.done).toBeLessThan(150);
    expect((await first.toArray()).length).toBe(200);
  });

  test("lets calls pass while it runs", async () => {
    const run: MapRun<number> = f["slow"].map(range(300));
    await until(
      () => run.progress,
      ({ done }) => done > 5,
    );
    expect(await f["double"](21)).toBe(42);
    expect(run.progress.state).toBe("running");
    await run.cancel();
  });

  test("can be found again by another client, which goes on where the last reader stopped", async () => {
    const run: MapRun<number> = f["slow"].map(range(50));
    await run.accepted;
    const other = home.cluster();
    const found = await other.runs.open<number>(run.id);
    for await (const { index } of found) if (index === 9) break;
    const rest: number[] = [];
    for await (const { index } of await other.runs.open<number>(run.id)) rest.push(index);
    expect(rest).toEqual(range(50).slice(10));
    expect((await other.runs.list())[0]).toMatchObject({ id: run.id, kind: "map", state: "done", done: 50, total: 50 });
  });

  test.each([0, 1])("is not ended by who would go on sending its inputs, %i of which are stored", async (stored) => {
    const file = await home.write("f.ts", source);
    const more = Promise.withResolvers<void>();
    async function* inputs() {
      for (const [at, input] of [1, 2].entries()) {
        if (at === stored) await more.promise;
        yield input;
      }
    }
    const mapOf = async (cluster: Cluster) => await cluster.openModule(file, { env: { replicas: 2 } });
    const run = (await mapOf(local)).map("double", inputs());
    await until(
      async () => (await local.runs.open(run.id).catch(() => undefined))?.record.accepted,
      (accepted) => accepted === stored,
    );
    const other = (await mapOf(home.cluster())).map("double", [1, 2], { run: run.id });
    await expect(other.toArray()).rejects.toMatchObject({ code: "run.mismatch" });
    expect((await local.runs.open(run.id)).record.state).toBe("running");
    more.resolve();
    expect(await run.toArray()).toEqual([2, 4]);
    // Once it is over there is nothing to send, and the outcomes are there to be read.
    const again = (await mapOf(home.cluster())).map("double", [1, 2], { run: run.id });
    await again.accepted;
    expect(await again.toArray()).toEqual([2, 4]);
  });

  test("keeps what its inputs printed, with stream, replica and index", async () => {
    const run: MapRun<number> = f["say"].map(range(20));
    await run.toArray();
    const lines = (await Array.fromAsync((await local.runs.open(run.id)).logs())).flat();
    expect(lines.length).toBe(60);
    for (const x of range(20)) {
      const mine = lines.filter(({ index }) => index === x).map(({ stream, text }) => `${stream}: ${text}`);
      expect(mine.sort()).toEqual([`log: note { x: ${x} }`, `stderr: err ${x}`, `stdout: line ${x}`]);
    }
  });

  test("sends log lines to the client that began it before its end", async () => {
    const lines: string[] = [];
    const loud = home.cluster({ logs: ({ text }) => lines.push(text) });
    const { say } = (await loud.import(`${home.project}/f.ts`, { env: { replicas: 2 } })) as typeof f;
    await say!(7);
    expect(lines).toContain("line 7");
    await say!.map([1, 2, 3]).toArray();
    expect(lines.filter((line) => line.startsWith("line ")).sort()).toEqual(["line 1", "line 2", "line 3", "line 7"]);
  });

  test("takes values from earlier runs of the same code over the same inputs, when asked to", async () => {
    const text =
      "export const f = (x: number) => { if (x === 99) throw new Error('no'); return [x, process.hrtime.bigint()]; };";
    const { f: timed } = (await local.import(await home.write("timed.ts", text))) as typeof f;
    const first = (await timed!.map(range(30), { cache: true }).toArray()) as [number, bigint][];
    const again = (await timed!.map(range(40), { cache: true }).toArray()) as [number, bigint][];
    expect(again.slice(0, 30)).toEqual(first);
    expect(again.length).toBe(40);
    const without = (await timed!.map(range(30)).toArray()) as [number, bigint][];
    expect(without.some(([, at], i) => at === first[i]![1])).toBe(false);
    const { f: edited } = (await local.import(
      await home.write("timed.ts", `${text} // edited\nexport const g = 1;`),
    )) as typeof f;
    const other = (await edited!.map(range(30), { cache: true }).toArray()) as [number, bigint][];
    expect(other.some(([, at], i) => at === first[i]![1])).toBe(false);
  });

  test("survives the death of its agent: every input has one outcome", async () => {
    const run: MapRun<number> = f["slow"].map(range(400));
    await until(
      () => run.progress,
      ({ done }) => done > 40,
    );
    process.kill(home.agentPid()!, "SIGKILL");
    expect(await run.toArray()).toEqual(range(400));
  });
});
