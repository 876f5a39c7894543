import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eachInput, type InputPreview, previewInput } from "../../runtime/inputs/preview.ts";
import { openInput } from "../../runtime/inputs/source.ts";
import { FarcallError } from "../../runtime/spec/errors.ts";

let folder: string;
const never = new AbortController().signal;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farcall-inputs-"));
  await write("package.json", '{ "type": "module" }');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function write(name: string, text: string | Uint8Array): Promise<string> {
  const file = join(folder, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  return file;
}

async function read(given: string, signal: AbortSignal = never): Promise<unknown[]> {
  using input = await openInput(given, { signal, cwd: folder });
  return Array.fromAsync(input.values);
}

async function refusal(given: string): Promise<FarcallError> {
  const error: unknown = await openInput(given, { signal: never, cwd: folder }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(FarcallError);
  return error as FarcallError;
}

describe("the rows of a CSV file", () => {
  it("are objects by the header row, with texts as values", async () => {
    await write("a.csv", 'name,n\nAda,1\n"Byron, Lord","2 ""two""\nlines"\n');
    expect(await read("a.csv")).toEqual([
      { name: "Ada", n: "1" },
      { name: "Byron, Lord", n: '2 "two"\nlines' },
    ]);
  });

  it("may begin with a byte order mark, end in any way, and have empty lines between them", async () => {
    await write("mixed.csv", "\ufeffa,b\n1,2\r\n\r\n3,4\n\n5,6");
    expect(await read("mixed.csv")).toEqual([
      { a: "1", b: "2" },
      { a: "3", b: "4" },
      { a: "5", b: "6" },
    ]);
  });

  it("are cut at tabs in a .tsv file", async () => {
    await write("a.TSV", "a\tb\n1,5\t2\n");
    expect(await read("a.TSV")).toEqual([{ a: "1,5", b: "2" }]);
  });

  it("may have a column of any name", async () => {
    await write("names.csv", "__proto__,constructor,\n1,2,3\n");
    const [row] = await read("names.csv");
    expect(Object.entries(row as object)).toEqual([
      ["__proto__", "1"],
      ["constructor", "2"],
      ["", "3"],
    ]);
  });

  it("are none when there is only a header, or nothing", async () => {
    await write("header.csv", "a,b\n");
    await write("nothing.csv", "");
    expect(await read("header.csv")).toEqual([]);
    expect(await read("nothing.csv")).toEqual([]);
  });

  it("are the same however the file comes in pieces", async () => {
    const rows = Array.from({ length: 20_000 }, (_, i) => ({ id: String(i), text: `é\u2028"${i}",\r\n` }));
    const text = `id,text\r\n${rows.map(({ id, text }) => `${id},"${text.replaceAll('"', '""')}"`).join("\r\n")}\r\n`;
    await write("many.csv", text);
    expect(await read("many.csv")).toEqual(rows);
  });

  it.each([
    ["a row with a field too many", "a,b\n1,2\n1,2,3\n", /^bad\.csv:3 has 3 fields, the header row has 2 fields\.$/],
    ["a row with a field too few", 'a,b\n"1\n1",2\n1\n', /^bad\.csv:4 has 1 field, the header row has 2 fields\.$/],
    [
      "a quote that is never closed",
      'a,b\n1,"2\n3,4\n',
      /^bad\.csv:3 is not CSV: a quote that is opened here or above is never closed/,
    ],
    ["a quote within a field", 'a,b\n1,2"\n', /^bad\.csv:2 is not CSV: there is a quote within a field/],
    ["text behind a closing quote", 'a,b\n1,2\n1,"2"3\n', /^bad\.csv:3 is not CSV: there is text behind the quote/],
    ["two columns of one name", "a,b,a\n1,2,3\n", /^bad\.csv has two columns called "a"\.$/],
    ["bytes that are not UTF-8", Buffer.from("a\n\xe9\n", "latin1"), /^Cannot read bad\.csv: it is not UTF-8\.$/],
  ])("are refused before anything starts: %s", async (_what, text, message) => {
    await write("bad.csv", text);
    const { code, message: said, hint } = await refusal("bad.csv");
    expect(code).toBe("input.invalid");
    expect(said).toMatch(message);
    if (!said.startsWith("Cannot")) expect(hint).toMatch(/double quotes|name of its own/);
  });
});

describe("the files of a glob", () => {
  it("are absolute paths in order, without folders", async () => {
    for (const name of ["b.md", "a.md", "deep/er/c.md", "a.txt"]) await write(`docs/${name}`, "");
    await mkdir(join(folder, "docs/folder.md"));
    await symlink(join(folder, "docs/a.txt"), join(folder, "docs/link.md"));
    await symlink(join(folder, "docs/gone"), join(folder, "docs/broken.md"));
    const docs = (...names: string[]) => names.map((name) => join(folder, "docs", name));
    expect(await read("glob:docs/**/*.md")).toEqual(docs("a.md", "b.md", "deep/er/c.md", "link.md"));
    expect(await read("glob:docs/*.md")).toEqual(docs("a.md", "b.md", "link.md"));
    expect(await read(`glob:${folder}/docs/*.txt`)).toEqual(docs("a.txt"));
  });

  it("are refused when there are none", async () => {
    await mkdir(join(folder, "empty/folder.md"), { recursive: true });
    for (const pattern of ["empty/*.md", "nowhere/**", ""]) {
      const { code, message } = await refusal(`glob:${pattern}`);
      expect({ code, message }).toEqual({
        code: "input.invalid",
        message: `No file in ${folder} matches ${JSON.stringify(pattern)}.`,
      });
    }
  });
});

describe("a source by its name", () => {
  it("is found from the folder that is given", async () => {
    await write("sub/in.jsonl", '{"a":1}\n\n2\n');
    await write("sub/in.json", "[1, [2]]");
    await write("sub/gen.ts", "export const list: string[] = ['x'];\n");
    expect(await read("sub/in.jsonl")).toEqual([{ a: 1 }, 2]);
    expect(await read("sub/in.json")).toEqual([1, [2]]);
    expect(await read("sub/gen.ts#list")).toEqual(["x"]);
  });

  it("is a file when there is one, also with a # in its name", async () => {
    await write("a#b.jsonl", "7\n");
    expect(await read("a#b.jsonl")).toEqual([7]);
  });

  it("can be read more than once when it is a file", async () => {
    await write("twice.jsonl", "1\n2\n");
    using input = await openInput("twice.jsonl", { signal: never, cwd: folder });
    expect(await Array.fromAsync(input.values)).toEqual([1, 2]);
    expect(await Array.fromAsync(input.values)).toEqual([1, 2]);
  });
});

describe("a preview", () => {
  const preview = (given: string, options: { sample?: number; limit?: number; signal?: AbortSignal } = {}) =>
    previewInput(given, { signal: never, cwd: folder, ...options });

  it("has how many there are and the first", async () => {
    await write("five.csv", "n\n1\n2\n3\n4\n5\n");
    await write("five.json", "[1,2,3,4,5]");
    const first = [{ n: "1" }, { n: "2" }, { n: "3" }];
    expect(await preview("five.csv")).toEqual({ count: 5, countIsExact: true, first });
    expect(await preview("five.json", { sample: 1, limit: 2 })).toEqual({ count: 5, countIsExact: true, first: [1] });
  });

  it("stops counting at the limit, and knows when that was the end", async () => {
    await write("three.jsonl", "1\n2\n3\n");
    const expected = (count: number, countIsExact: boolean): InputPreview => ({ count, countIsExact, first: [1] });
    expect(await preview("three.jsonl", { sample: 1, limit: 2 })).toEqual(expected(2, false));
    expect(await preview("three.jsonl", { sample: 1, limit: 3 })).toEqual(expected(3, true));
  });

  it("ends an endless generator by its return()", async () => {
    const said = join(folder, "returned.txt");
    await write(
      "endless.ts",
      `import { writeFileSync } from "node:fs";
       export function* numbers() { try { for (let i = 0; ; i++) yield i; } finally { writeFileSync(${JSON.stringify(said)}, "yes"); } }`,
    );
    expect(await preview("endless.ts#numbers", { limit: 5_000, sample: 2 })).toEqual({
      count: 5_000,
      countIsExact: false,
      first: [0, 1],
    });
    expect(await readFile(said, "utf8")).toBe("yes");
  });

  it.each([
    ["that never waits", "export function* f() { for (;;) yield 1; }"],
    ["whose next input never comes", "export async function* f() { yield 1; await new Promise(() => {}); }"],
  ])("is given up by its signal with a generator %s", async (_what, source) => {
    await write("stuck.ts", source);
    const signal = AbortSignal.timeout(300);
    await expect(preview("stuck.ts#f", { signal, limit: Infinity })).rejects.toMatchObject({ name: "TimeoutError" });
  });

  it("says what is wrong with the input", async () => {
    await write("bad.jsonl", "1\nx\n");
    await expect(preview("bad.jsonl")).rejects.toMatchObject({ code: "input.invalid" });
    await expect(preview("none.jsonl")).rejects.toMatchObject({ code: "input.invalid" });
  });
});

it("leaving an async generator waits for what it does at its end", async () => {
  const done: string[] = [];
  async function* values() {
    try {
      for (;;) yield 1;
    } finally {
      await new Promise((resolve) => setTimeout(resolve, 20));
      done.push("closed");
    }
  }
  for await (const _value of eachInput(values(), never)) break;
  expect(done).toEqual(["closed"]);
});

it("an error of a generator comes through as it is, and the generator is not asked again", async () => {
  const asked: string[] = [];
  const values = {
    [Symbol.iterator]: () => ({
      next: () => {
        asked.push("next");
        throw new RangeError("no more");
      },
      return: () => {
        asked.push("return");
        return { done: true as const, value: undefined };
      },
    }),
  };
  await expect(Array.fromAsync(eachInput(values, never))).rejects.toThrow(new RangeError("no more"));
  expect(asked).toEqual(["next"]);
});
