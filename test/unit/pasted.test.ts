import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openInput } from "../../runtime/inputs/source.ts";
import { readPasted, storePasted } from "../../extension/launch/pasted.ts";

/** What was pasted as the inputs of a map, and what is refused rather than taken for something else. */

describe("inputs that were pasted", () => {
  it.each<[string, string, unknown[]]>([
    ["a JSON array", '[1, "two",\n {"a": [3]}]', [1, "two", { a: [3] }]],
    ["one object over several lines", '{\n  "a": 1\n}', [{ a: 1 }]],
    ["lines of JSON", '1\n\n"two"\r\n{"a": 3}\n[4]', [1, "two", { a: 3 }, [4]]],
    ["lines of JSON that begin with a bracket", "[1]\n[2, 3]", [[1], [2, 3]]],
    [
      "lines of text where none is JSON",
      "https://a.test/\nhttps://b.test/?x=[1]\r\n",
      ["https://a.test/", "https://b.test/?x=[1]"],
    ],
    ["nothing", " \n ", []],
  ])("are %s", async (_what, text, values) => {
    const read = readPasted(text);
    expect(read).toMatchObject({ ok: true, values });
    if (!read.ok) return;
    const folder = await mkdtemp(join(tmpdir(), "farcall-pasted-"));
    try {
      const file = await storePasted(read, join(folder, "inputs"));
      expect(await storePasted(read, join(folder, "inputs"))).toBe(file);
      const { signal } = new AbortController();
      const stored: unknown[] = [];
      using source = await openInput(file, { signal });
      for await (const value of source.values) stored.push(value);
      expect(stored).toEqual(values);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it.each<[string, string, { sort: string; line: number; reason: RegExp }]>([
    ["an array that is not closed", "[1,\n2,", { sort: "value", line: 2, reason: /end of JSON/ }],
    ["an array with a slip in a middle line", "[\n1,\n2 3,\n4]", { sort: "value", line: 3, reason: /line 3|Expected/ }],
    [
      "a word without quotes in an array",
      "\n[1,\n2,\nthree,\n4]",
      { sort: "value", line: 4, reason: /Unexpected token/ },
    ],
    ["an object that is not closed", '{"a": 1,\n"b": {', { sort: "value", line: 2, reason: /JSON/ }],
    [
      "lines of objects with a slip",
      '{"a": 1}\n{"a": 2}\n{"a": \n{"a": 4}',
      { sort: "lines", line: 3, reason: /JSON/ },
    ],
    ["a line of text among JSON", '"one"\ntwo\n"three"', { sort: "lines", line: 2, reason: /not valid JSON/ }],
    ["a bracket at the start of a text", "[see] this\nand that", { sort: "value", line: 1, reason: /JSON/ }],
  ])("are refused with the line and the reason: %s", (_what, text, { sort, line, reason }) => {
    expect(readPasted(text)).toEqual({ ok: false, sort, line, reason: expect.stringMatching(reason) as unknown });
  });

  it("keep numbers as they were written, however long", async () => {
    const read = readPasted("123456789012345678901\n1e2");
    const folder = await mkdtemp(join(tmpdir(), "farcall-pasted-"));
    try {
      if (!read.ok) throw new Error(read.reason);
      expect(await readFile(await storePasted(read, folder), "utf8")).toBe("123456789012345678901\n1e2\n");
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
