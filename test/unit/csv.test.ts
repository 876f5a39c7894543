import { parse } from "csv-parse/sync";
import { describe, expect, it } from "vitest";
import type { MapOutcome } from "farcall";
import { csvLines } from "../../extension/runs/csv.ts";

/** Results as spreadsheets take them. */

type Given = MapOutcome<unknown>[];
const ok = (...values: unknown[]): Given => values.map((value, index) => ({ index, value, attempts: 1 }));

async function csv(outcomes: Given): Promise<string[][]> {
  let text = "";
  for await (const line of csvLines(() => outcomesOf(outcomes))) text += line;
  return parse(text, { record_delimiter: "\r\n" });
}

async function* outcomesOf(outcomes: Given) {
  yield* outcomes;
}

describe("results as CSV", () => {
  it("have a column for each property, those that come late as well, and one for what failed", async () => {
    const late = Array.from({ length: 60 }, (_, i) => (i < 55 ? { n: i } : { n: i, late: `at ${i}` }));
    const rows = await csv([...ok(...late), { index: 60, error: new RangeError('too "large"'), attempts: 2 }]);
    expect(rows[0]).toEqual(["index", "n", "late", "error"]);
    expect(rows).toHaveLength(62);
    expect(rows[56]).toEqual(["55", "55", "at 55", ""]);
    expect(rows[61]).toEqual(["60", "", "", 'RangeError: too "large"']);
  });

  it("have a column for values that are no objects, beside those of objects", async () => {
    expect(await csv(ok({ a: 1 }, 5, "text", null, [1, 2]))).toEqual([
      ["index", "a", "value", "error"],
      ["0", "1", "", ""],
      ["1", "", "5", ""],
      ["2", "", "text", ""],
      ["3", "", "", ""],
      ["4", "", "[1,2]", ""],
    ]);
    expect(await csv([])).toEqual([["index", "value", "error"]]);
  });

  it("say dates, big integers and numbers plainly", async () => {
    const [, row] = await csv(ok({ at: new Date(0), big: 12n, n: -3.5, no: new Date(Number.NaN), yes: true }));
    expect(row).toEqual(["0", "1970-01-01T00:00:00.000Z", "12", "-3.5", "", "true", ""]);
  });

  it("read own properties only, and names that the table has itself apart", async () => {
    const odd = JSON.parse('{"length": 1, "index": 2, "error": 3, "__proto__": {"x": 4}}') as unknown;
    expect(await csv(ok(odd, { other: 1 }))).toEqual([
      ["index", "length", "value.index", "value.error", "__proto__", "other", "error"],
      ["0", "1", "2", "3", '{"x":4}', "", ""],
      ["1", "", "", "", "", "1", ""],
    ]);
    expect((await csv(ok({ constructor: "c" }, {})))[2]).toEqual(["1", "", ""]);
  });

  it("keep what is beyond 200 columns in one", async () => {
    const wide = Object.fromEntries(Array.from({ length: 203 }, (_, i) => [`k${i}`, i]));
    const [head, first, second] = await csv(ok(wide, { k202: "x" }));
    expect(head).toHaveLength(203);
    expect(head!.slice(-2)).toEqual(["more", "error"]);
    expect(first!.at(-2)).toBe('{"k200":200,"k201":201,"k202":202}');
    expect(second!.at(-2)).toBe('{"k202":"x"}');
  });

  it("hold something of a value that contains itself", async () => {
    const self: Record<string, unknown> = { name: "loop" };
    self["self"] = self;
    expect((await csv(ok(self)))[1]).toEqual(["0", "loop", "{ name: 'loop', self: [Circular] }", ""]);
  });

  it("give a spreadsheet no formula, and leave numbers as they are", async () => {
    const formulas = ["=1+1", "-3+3+cmd|' /C calc'!A0", "-1+cmd|'/C calc'!A0", "+A1", "@SUM(A1)", "\t=1", "＝1+1"];
    const numbers = ["-3", "+4.5", "-1e5", -3, "a=b"];
    const rows = await csv(ok(...formulas, ...numbers));
    expect(rows.slice(1).map(([, value]) => value)).toEqual([
      ...formulas.map((text) => `'${text}`),
      ...numbers.map(String),
    ]);
    expect((await csv(ok({ "=head": 1 })))[0]).toEqual(["index", "'=head", "error"]);
  });
});
