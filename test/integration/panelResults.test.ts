import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Run } from "farcall";
import { Results } from "../../extension/panels/results.ts";
import { Scan } from "../../extension/panels/scan.ts";
import { defaultView, type ResultView } from "../../webview/messages/run.ts";
import { TestHome, until } from "../support/home.ts";

/** The table of a run panel over a real run. */

let home: TestHome;
let run: Run;
const scans: (number | null)[] = [];
let results: Results;
const { signal } = new AbortController();
const page = (view: Partial<ResultView>, first = 0, count = 5) =>
  results.page({ ...defaultView, ...view }, first, count, signal);

beforeAll(async () => {
  home = await TestHome.create();
  const file = await home.write(
    "f.ts",
    `export function f(n: number) {
  if (n % 100 === 7) throw new RangeError("seven " + n);
  return { n, word: ["b", "a10", "a9"][n % 3] };
}\n`,
  );
  const cluster = home.cluster();
  const module = await cluster.openModule(file, { env: { replicas: 1 } });
  const map = module.map(
    "f",
    Array.from({ length: 1_000 }, (_, i) => i),
    { onError: "collect" },
  );
  await map.finished();
  run = await cluster.runs.open(map.id);
  results = new Results(
    () => Promise.resolve(run),
    (fraction) => scans.push(fraction),
  );
});
afterAll(() => home[Symbol.asyncDispose]());

describe("the results of a map", () => {
  it("are read as they are looked at, with columns for objects that are alike", async () => {
    const { of, columns, rows } = await page({}, 6, 2);
    expect(of).toBe(1_000);
    expect(columns).toEqual(["n", "word"]);
    expect(rows).toEqual([
      { index: 6, state: "ok", attempts: 1, sizeBytes: expect.any(Number), cells: ["6", "b"] },
      { index: 7, state: "error", attempts: 1, sizeBytes: expect.any(Number), cells: ["RangeError: seven 7"] },
    ]);
    expect(scans).toEqual([]);
  });

  it("end where they end", async () => {
    expect((await page({}, 998, 500)).rows.map(({ index }) => index)).toEqual([998, 999]);
    expect((await page({ descending: true }, 0, 2)).rows.map(({ index }) => index)).toEqual([999, 998]);
    expect((await page({}, 5_000, 10)).rows).toEqual([]);
  });

  it("are sorted by a column, numbers within texts too, with failures last both ways", async () => {
    const up = await page({ sort: ".word" });
    expect(up.rows[0]!.cells[1]).toBe("a9");
    expect(up.rows[0]!.index).toBe(2);
    expect((await page({ sort: ".word", descending: true })).rows[0]!.cells[1]).toBe("b");
    for (const descending of [false, true]) {
      const last = await page({ sort: ".n", descending }, 989, 11);
      expect(last.rows.map(({ state }) => state)).toEqual(["ok", ...Array.from({ length: 10 }, () => "error")]);
    }
    expect(scans.at(-1)).toBe(null);
  });

  it("are filtered by text and by failure", async () => {
    expect((await page({ filter: "SEVEN 30" })).rows.map(({ index }) => index)).toEqual([307]);
    const failed = await page({ failuresOnly: true });
    expect(failed.of).toBe(10);
    expect(failed.rows.map(({ index }) => index)).toEqual([7, 107, 207, 307, 407]);
    expect((await page({ filter: "nothing holds this" })).of).toBe(0);
  });

  it("are read once for a view that is asked for twice, as when the page comes back meanwhile", async () => {
    const before = scans.length;
    const view = { sort: ".n", filter: "a" };
    const [first, again] = await Promise.all([page(view), page(view, 5)]);
    expect(first.of).toBe(again.of);
    expect(first.rows).toHaveLength(5);
    const seen = scans.slice(before);
    expect(seen.filter((fraction) => fraction === null)).toHaveLength(1);
    expect(seen.filter((fraction) => fraction === 1)).toHaveLength(1);
    // Downwards is the same reading.
    const after = scans.length;
    expect((await page({ ...view, descending: true })).of).toBe(first.of);
    expect(scans.slice(after)).toEqual([null]);
  });

  it("of a view that was left are not read on, and the bar goes", async () => {
    const left = page({ filter: "left" });
    const stays = page({});
    await expect(left).rejects.toMatchObject({ name: "AbortError" });
    expect((await stays).of).toBe(1_000);
    expect(scans.at(-1)).toBe(null);
  });

  it("are ordered for an export without disturbing the page, or being disturbed", async () => {
    const exported = results.order({ ...defaultView, filter: "a10" }, signal);
    const shown = page({ filter: "a9" });
    const left = await Promise.all([exported, shown, page({})]).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(left).toMatchObject({ name: "AbortError" });
    const order = await exported;
    expect(order).toHaveLength(329);
    expect(await results.order(defaultView, signal)).toBe(undefined);
  });

  it("count those that failed when only these are read", async () => {
    const before = scans.length;
    await page({ failuresOnly: true, sort: "attempts" });
    expect(scans.slice(before)).toContain(1);
  });
});

describe("the results of a map that goes on", () => {
  it("are brought up to date from where reading ended", async () => {
    const file = await home.write(
      "slow.ts",
      `import { existsSync } from "node:fs";
export async function slow({ n, gate }: { n: number; gate: string }) {
  while (n >= 20 && !existsSync(gate)) await new Promise((resolve) => setTimeout(resolve, 10));
  return { n: 1000 - n };
}\n`,
    );
    const gate = join(home.project, "gate");
    const module = await home.cluster().openModule(file, { env: { replicas: 1 } });
    const map = module.map(
      "slow",
      Array.from({ length: 200 }, (_, n) => ({ n, gate })),
    );
    const ended = map.finished();
    const cluster = home.cluster();
    const live = (await until(
      () => cluster.runs.open(map.id).catch(() => undefined),
      (found) => found !== undefined,
    ))!;
    const began: number[] = [];
    const batches = live.batches.bind(live);
    live.batches = (options) => {
      began.push(options?.from ?? 0);
      return batches(options);
    };
    const scan = new Scan({ ...defaultView, sort: ".n" });
    const readOn = async () => {
      await scan.read(live, signal, () => undefined);
      return [...(await scan.order(false, signal))];
    };
    const early = await until(readOn, (order) => order.length >= 16);
    expect(early).toEqual(early.toSorted((a, b) => b - a));
    expect(early.length).toBeLessThan(200);
    await writeFile(gate, "");
    await ended;
    expect(await readOn()).toEqual(Array.from({ length: 200 }, (_, i) => 199 - i));
    expect(began[0]).toBe(0);
    expect(began.at(-1)).toBeGreaterThan(0);
  });
});

describe("results that are not alike", () => {
  it("are whole where they do not fit the columns, and sorted apart from what a column is called", async () => {
    const file = await home.write(
      "mixed.ts",
      `const values = [{ attempts: 3, "#": "c" }, { attempts: 1, "#": "a" }, { attempts: NaN, "#": "b" }, { attempts: "x" }];
export const mixed = (n: number) => (n < 60 ? values[n % 4] : [null, 5, "text", { other: n }][n % 4]);\n`,
    );
    const cluster = home.cluster();
    const module = await cluster.openModule(file, { env: { replicas: 1 } });
    const map = module.map(
      "mixed",
      Array.from({ length: 64 }, (_, n) => n),
    );
    await map.finished();
    const mixed = new Results(
      () => cluster.runs.open(map.id),
      () => undefined,
    );
    const show = (view: Partial<ResultView>, first = 0, count = 64) =>
      mixed.page({ ...defaultView, ...view }, first, count, signal);
    const all = await show({});
    expect(all.columns).toEqual(["attempts", "#"]);
    expect(all.rows.slice(60).map(({ cells }) => cells)).toEqual([["null"], ["5"], ["text"], ["{ other: 63 }"]]);

    const byColumn = await show({ sort: ".attempts" });
    const firstCells = byColumn.rows.map(({ cells }) => cells[0]);
    expect(firstCells.slice(0, 15)).toEqual(Array.from({ length: 15 }, () => "1"));
    expect(firstCells.slice(30, 45)).toEqual(Array.from({ length: 15 }, () => "x"));
    // NaN and rows without the column, in the order of inputs.
    expect(byColumn.rows.slice(45).map(({ index }) => index)).toEqual([
      ...Array.from({ length: 15 }, (_, i) => 4 * i + 2),
      60,
      61,
      62,
      63,
    ]);
    const byTries = await show({ sort: "attempts" });
    expect(byTries.rows.map(({ index }) => index)).toEqual(Array.from({ length: 64 }, (_, i) => i));
    expect((await show({ sort: ".#" })).rows[0]!.cells).toEqual(["1", "a"]);
    expect((await show({ sort: "#", descending: true })).rows[0]!.index).toBe(63);
  });
});
