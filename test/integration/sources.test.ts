import { spawn } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSource, previewSource, type SourceOptions } from "../../extension/launch/sources.ts";
import { TestHome, until } from "../support/home.ts";

/** The inputs of a map as the editor looks at them, before and when it sends them. */

const cli = join(import.meta.dirname, "../../dist/cli.js");
let home: TestHome;
let options: SourceOptions;

beforeAll(async () => {
  home = await TestHome.create();
  options = { cwd: home.project, home: home.path, cli, signal: new AbortController().signal };
  await home.write("three.jsonl", "1\n2\n3\n");
  await home.write(
    "gen.ts",
    `export const list = ["a", "b", "c", "d"];
     export function* endless() { for (let i = 0; ; i++) yield i; }
     export async function* silent() { await new Promise(() => setInterval(() => undefined, 1_000)); yield 1; }
     export async function* quietLater() { yield 1; yield 2; await new Promise(() => setInterval(() => undefined, 1_000)); }
     export function* spinning() { yield 1; for (;;); }
     export function* failing() { yield 1; throw new RangeError("no second one"); }
     export const where = () => [process.env["FARCALL_HOME"]];`,
  );
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

const left = () => home.leftovers().filter((line) => line.includes("inputs"));
const untilGone = async () => expect(await until(left, (found) => found.length === 0)).toEqual([]);

describe("a look at inputs", () => {
  it("counts those of a file, a pattern and an export", async () => {
    const first = ["a", "b", "c"];
    expect(await previewSource("three.jsonl", options)).toEqual({ count: 3, countIsExact: true, first: [1, 2, 3] });
    expect(await previewSource("gen.ts#list", options)).toEqual({ count: 4, countIsExact: true, first });
    expect(await previewSource("glob:*.jsonl", options)).toMatchObject({
      count: 1,
      first: [join(home.project, "three.jsonl")],
    });
    await untilGone();
  });

  it("ends by itself where inputs come without end, and its process with it", async () => {
    const { count, countIsExact, first } = await previewSource("gen.ts#endless", options);
    expect(first).toEqual([0, 1, 2]);
    expect(count).toBeGreaterThan(1_000);
    expect(countIsExact).toBe(false);
    await untilGone();
  });

  it("ends by itself where no input, or no further one, comes, or the code does not give way", async () => {
    // Each waits as long as the others, so at the same time.
    const [silent, quietLater, spinning] = await Promise.all(
      ["silent", "quietLater", "spinning"].map((name) => previewSource(`gen.ts#${name}`, options)),
    );
    for (const seen of [silent, quietLater, spinning]) expect(seen!.countIsExact).toBe(false);
    expect([silent!.first, quietLater!.first]).toEqual([[], [1, 2]]);
    // What was printed before the code stopped giving way need not have arrived.
    expect([1].slice(0, spinning!.count)).toEqual(spinning!.first);
    await untilGone();
  });

  it("is given up at once when nobody waits for it any more", async () => {
    const stop = new AbortController();
    const looking = previewSource("gen.ts#silent", { ...options, signal: stop.signal });
    await until(left, (found) => found.length > 0);
    stop.abort();
    await expect(looking).rejects.toMatchObject({ name: "AbortError" });
    await untilGone();
  });

  it("says what the code threw, and that a file is missing", async () => {
    await expect(previewSource("gen.ts#failing", options)).rejects.toThrow(/no second one/);
    await expect(previewSource("missing.jsonl", options)).rejects.toThrow(/missing\.jsonl is not a file/);
  });
});

it("code that does not give way ends with the editor, also when that is killed", async () => {
  const sources = JSON.stringify(join(import.meta.dirname, "../../extension/launch/sources.ts"));
  const { signal: _, ...kept } = options;
  const editor = spawn(process.execPath, [
    "--input-type=module",
    "-e",
    `const { openSource } = await import(${sources});
     const signal = new AbortController().signal;
     const source = await openSource("gen.ts#spinning", { ...${JSON.stringify(kept)}, signal });
     for await (const value of source.values) console.log(value);`,
  ]);
  await until(left, (found) => found.length > 0);
  // Until it spins.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  editor.kill("SIGKILL");
  await untilGone();
});

it("an export that is mapped runs with the home of the editor, and ends with its source", async () => {
  const values: unknown[] = [];
  {
    using source = await openSource("gen.ts#where", options);
    for await (const value of source.values) values.push(value);
  }
  expect(values).toEqual([home.path]);
  {
    using _source = await openSource("gen.ts#endless", options);
    expect((await until(left, (found) => found.length > 0)).length).toBeGreaterThan(0);
  }
  await untilGone();
});
