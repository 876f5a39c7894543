import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Run } from "farcall";
import { Results } from "../../extension/panels/results.ts";
import { defaultView, type ResultView } from "../../webview/messages.ts";
import { TestHome } from "../support/home.ts";

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
    const up = await page({ sort: "word" });
    expect(up.rows[0]!.cells[1]).toBe("a9");
    expect(up.rows[0]!.index).toBe(2);
    expect((await page({ sort: "word", descending: true })).rows[0]!.cells[1]).toBe("b");
    for (const descending of [false, true]) {
      const last = await page({ sort: "n", descending }, 990, 10);
      expect(last.rows.every(({ state }) => state === "error")).toBe(true);
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
});
