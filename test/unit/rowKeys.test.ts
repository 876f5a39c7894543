import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type SortKey, sortKeyOf } from "../../extension/panels/columns.ts";
import { RowKeys } from "../../extension/panels/rowKeys.ts";
import { sortInTurns, Turns, upTo } from "../../extension/panels/turns.ts";

/** The order of rows by what they hold. */

const { signal } = new AbortController();
const failure = Symbol("failure");

async function sorted(keys: (SortKey | typeof failure)[], descending = false, limits = {}): Promise<number[]> {
  const rows = new RowKeys(limits);
  for (const [index, key] of keys.entries()) {
    if (key === failure) rows.addFailure(index);
    else rows.add(index, key);
  }
  await rows.keepSmall(new Turns(signal));
  return [...(await rows.order(descending, new Turns(signal)))];
}

describe("the order of rows", () => {
  it("takes what is no number for missing, instead of losing its way", async () => {
    const values = [5, Number.NaN, 3, Number.NaN, 1, 4, Number.NaN, 2];
    const keys = values.map((value) => sortKeyOf(value, undefined));
    expect((await sorted(keys)).map((at) => values[at])).toEqual([1, 2, 3, 4, 5, NaN, NaN, NaN]);
    expect((await sorted(keys, true)).map((at) => values[at])).toEqual([5, 4, 3, 2, 1, NaN, NaN, NaN]);
  });

  it("goes by kind and then by value, with what is missing and failures behind, both ways", async () => {
    const values = ["b", null, new Date(5), true, 7, "a10", "a9", undefined, new Date(Number.NaN), false, -1, 3n];
    const keys = [failure, ...values.map((value) => sortKeyOf(value, undefined))] as const;
    const named = (order: number[]) => order.map((at) => (at === 0 ? failure : values[at - 1]));
    const kinds = [-1, 3n, 7, new Date(5), false, true, "a9", "a10", "b"];
    const last = [null, undefined, new Date(Number.NaN), failure];
    expect(named(await sorted([...keys]))).toEqual([...kinds, ...last]);
    expect(named(await sorted([...keys], true))).toEqual([...kinds.reverse(), ...last]);
  });

  it("keeps rows that are equal in the order of their inputs, both ways", async () => {
    const keys = Array.from({ length: 3_000 }, (_, i) => ["x", 4, undefined][i % 3]);
    for (const descending of [false, true]) {
      const order = await sorted(keys, descending);
      for (const rest of [0, 1, 2]) {
        const alike = order.filter((index) => index % 3 === rest);
        expect(alike).toEqual([...alike].sort((a, b) => a - b));
      }
    }
  });

  it("is that of Array.sort, for any numbers and lengths", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.double({ noNaN: true }), { maxLength: 3_000, size: "max" }), async (numbers) => {
        const order = await sorted(numbers);
        const expected = [...numbers.keys()].sort((a, b) =>
          numbers[a]! < numbers[b]! ? -1 : numbers[a]! > numbers[b]! ? 1 : a - b,
        );
        expect(order).toEqual(expected);
      }),
      { numRuns: 20 },
    );
  });

  it("goes on with rows that were added after it was asked for", async () => {
    const rows = new RowKeys();
    rows.add(0, "m");
    rows.add(1, "c");
    expect([...(await rows.order(false, new Turns(signal)))]).toEqual([1, 0]);
    rows.add(2, "d");
    rows.add(3, "m");
    expect([...(await rows.order(false, new Turns(signal)))]).toEqual([1, 2, 0, 3]);
  });
});

describe("what rows are sorted by", () => {
  it("does not hold the large texts it is the beginning of", async () => {
    const before = heapMiB();
    const rows = new RowKeys();
    for (let i = 0; i < 40; i++) rows.add(i, sortKeyOf({ text: `${i}`.padEnd(2 * 1024 * 1024, "x") }, "text"));
    expect(heapMiB() - before).toBeLessThan(20);
    expect([...(await rows.order(true, new Turns(signal)))][0]).toBe(39);
  });

  it("is less of each text when there are many", async () => {
    const rows = new RowKeys({ maxTextChars: 10_000 });
    for (let i = 0; i < 1_000; i++) {
      rows.add(i, `${String(999 - i).padStart(4, "0")}${"x".repeat(150)}`);
      if (i % 100 === 99) await rows.keepSmall(new Turns(signal));
    }
    expect(rows.textChars).toBeLessThanOrEqual(10_000);
    expect([...(await rows.order(false, new Turns(signal)))]).toEqual([...upTo(0, 1_000)].reverse());
  });
});

describe("sorting in turns", () => {
  it("lets others work meanwhile", async () => {
    let turnsOfOthers = 0;
    const timer = setInterval(() => turnsOfOthers++, 1);
    const items = upTo(0, 50_000);
    let spun = 0;
    await sortInTurns(
      items,
      (a, b) => ((spun += Math.sqrt(a * b)), ((a * 7919) % 50_000) - ((b * 7919) % 50_000)),
      new Turns(signal),
    );
    clearInterval(timer);
    expect(spun).toBeGreaterThan(0);
    expect(turnsOfOthers).toBeGreaterThan(2);
  });

  it("ends when it is given up", async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 5);
    const sorting = sortInTurns(
      upTo(0, 2_000_000),
      (a, b) => ((a * 7919) % 1e6) - ((b * 7919) % 1e6),
      new Turns(stop.signal),
    );
    await expect(sorting).rejects.toMatchObject({ name: "AbortError" });
  });
});

function heapMiB(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed / 2 ** 20;
}
