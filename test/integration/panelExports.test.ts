import { existsSync, readdirSync } from "node:fs";
import { readFile, readlink, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Run } from "farcall";
import { Results } from "../../extension/panels/results.ts";
import { csvLines } from "../../extension/runs/csv.ts";
import { jsonArray, jsonLines, writeWhole } from "../../extension/runs/export.ts";
import { outcomesOf, wholeOutcome } from "../../extension/runs/outcomes.ts";
import { defaultView, type ResultView } from "../../webview/messages/run.ts";
import { TestHome } from "../support/home.ts";

/** Results of a real run as files. Inputs 3 and 4 give more than an agent hands out at once. */

const largeChars = 17 * 1024 * 1024;
const { signal } = new AbortController();
let home: TestHome;
let run: Run;
let results: Results;

beforeAll(async () => {
  home = await TestHome.create();
  const file = await home.write(
    "f.ts",
    `export function f(n: number) {
  if (n === 7) throw new RangeError("seven");
  return { n: 100 - n, text: n === 3 || n === 4 ? "x".repeat(${largeChars}) : "small" };
}\n`,
  );
  const cluster = home.cluster();
  const module = await cluster.openModule(file, { env: { replicas: 1 } });
  const map = module.map(
    "f",
    Array.from({ length: 40 }, (_, i) => i),
    { onError: "collect" },
  );
  await map.finished();
  run = await cluster.runs.open(map.id);
  results = new Results(
    () => Promise.resolve(run),
    () => undefined,
  );
});
afterAll(() => home[Symbol.asyncDispose]());

async function reader(view: Partial<ResultView>) {
  const order = await results.order({ ...defaultView, ...view }, signal);
  return () => outcomesOf(run, order, signal);
}

async function save(name: string, lines: AsyncIterable<string>): Promise<string> {
  const target = join(home.project, name);
  await writeWhole(target, lines, signal);
  return readFile(target, "utf8");
}

interface Line {
  index: number;
  value?: { n: number; text: string };
  error?: { name: string };
}
const parsed = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

describe("results as a file", () => {
  it("are lines of JSON, all of them in the order of inputs", async () => {
    const lines = parsed(await save("all.jsonl", jsonLines((await reader({}))())));
    expect(lines.map(({ index }) => index)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    expect(lines[7]!.error).toMatchObject({ name: "RangeError", message: "seven", attempts: 1 });
    expect(lines[3]!.value!.text).toHaveLength(largeChars);
  });

  it("are all there in another order too, however large", async () => {
    const lines = parsed(await save("sorted.jsonl", jsonLines((await reader({ sort: ".n" }))())));
    const sorted = Array.from({ length: 40 }, (_, i) => 39 - i).filter((index) => index !== 7);
    expect(lines.map(({ index }) => index)).toEqual([...sorted, 7]);
    expect(lines.find(({ index }) => index === 4)!.value!.text).toHaveLength(largeChars);
  });

  it("are those that the view shows", async () => {
    const lines = parsed(await save("failures.jsonl", jsonLines((await reader({ failuresOnly: true }))())));
    expect(lines.map(({ index }) => index)).toEqual([7]);
    expect(parsed(await save("filtered.jsonl", jsonLines((await reader({ filter: "n: 97" }))())))).toMatchObject([
      { index: 3, value: { n: 97 } },
    ]);
  });

  it("are a table", async () => {
    const read = await reader({ sort: ".n", filter: "small" });
    const rows = parse(await save("table.csv", csvLines(read)));
    expect(rows).toHaveLength(38);
    expect(rows.slice(0, 2)).toEqual([
      ["index", "n", "text", "error"],
      ["39", "61", "small", ""],
    ]);
  });

  it("are an array for an editor, unless it would be too large for one", async () => {
    const few = await jsonArray((await reader({ filter: "n: 9", sort: "#", descending: true }))(), 100_000_000);
    expect((JSON.parse(few!) as Line[]).map(({ index }) => index)).toEqual([10, 9, 8, 6, 5, 4, 3, 2, 1]);
    expect(await jsonArray((await reader({}))(), 1_000_000)).toBe(undefined);
    expect(await jsonArray((await reader({ filter: "nowhere" }))(), 1_000_000)).toBe("[]\n");
  });
});

describe("a file that is written", () => {
  const parts = () => readdirSync(home.project).filter((name) => name.endsWith(".part"));

  it("is what it was when the export is cancelled", async () => {
    const target = join(home.project, "kept.jsonl");
    await writeFile(target, "what was there");
    const stop = new AbortController();
    const stopping = async function* () {
      for await (const line of jsonLines((await reader({}))())) {
        yield line;
        stop.abort();
      }
    };
    await expect(writeWhole(target, stopping(), stop.signal)).rejects.toMatchObject({ name: "AbortError" });
    expect(await readFile(target, "utf8")).toBe("what was there");
    expect(parts()).toEqual([]);
  });

  it("is not there when reading fails", async () => {
    const target = join(home.project, "none.jsonl");
    const failing = async function* () {
      yield "x".repeat(100_000);
      throw new Error("lost");
    };
    await expect(writeWhole(target, failing(), signal)).rejects.toThrow("lost");
    expect(existsSync(target)).toBe(false);
    expect(parts()).toEqual([]);
  });

  it("takes the place of what a link leads to", async () => {
    const target = join(home.project, "real.txt");
    const link = join(home.project, "link.txt");
    await writeFile(target, "old");
    await symlink(target, link);
    await writeWhole(link, ["new"], signal);
    expect(await readFile(target, "utf8")).toBe("new");
    expect(await readlink(link)).toBe(target);
    expect((await stat(target)).size).toBe(3);
  });
});

describe("one outcome", () => {
  it("is given whole, whatever its size", async () => {
    const large = await wholeOutcome(run, 4, signal);
    expect(large).toMatchObject({ index: 4, attempts: 1 });
    expect((large as { value: { text: string } }).value.text).toHaveLength(largeChars);
    expect(await wholeOutcome(run, 7, signal)).toMatchObject({ error: { name: "RangeError" } });
    expect(await wholeOutcome(run, 99, signal)).toBe(undefined);
  });
});
