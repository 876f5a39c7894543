import { toJson } from "../../runtime/client/json.ts";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { jsonLines } from "../../runtime/inputs/jsonLines.ts";
import { duration, logLineText, rate, sanitize, table } from "../../runtime/cli/terminal.ts";

/* oxlint-disable no-control-regex -- control characters are what this is about */
const colours = /\u001b\[[0-9;]*m/g;
const acted = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

/** Pieces of which real attacks on terminals are made, among ordinary text. */
const hostileText = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "\u001b",
        "\u009b",
        "\u009d",
        "\u0090",
        "\u001b]",
        "\u001b[",
        "\u001bP",
        "\u001b\\",
        "\u0007",
        "\r",
        "\b",
        "\n",
        "\t",
      ),
      fc.constantFrom(
        "52;c;aGk=",
        "8;;http://x",
        "2J",
        "31m",
        "0m",
        "6n",
        "$q",
        "?1049h",
        "m",
        ";",
        "38;5;9m",
        "\u202e",
        "\u2066",
        "\u2069",
      ),
      fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)), maxLength: 6 }),
    ),
    { maxLength: 20 },
  )
  .map((parts) => parts.join(""));

describe("remote text made safe to print", () => {
  test.each<[string, string, string]>([
    ["a write to the clipboard (OSC 52)", "a\u001b]52;c;aGFja2Vk\u0007b", "ab"],
    ["the same with ST at its end", "a\u001b]52;c;aGFja2Vk\u001b\\b", "ab"],
    ["a link that says something else (OSC 8)", "\u001b]8;;http://evil.example\u0007good\u001b]8;;\u0007", "good"],
    ["a new title (OSC 0)", "\u001b]0;title\u0007text", "text"],
    ["a cleared screen", "a\u001b[2Jb", "ab"],
    ["a cursor that moves up", "a\u001b[1Ab", "ab"],
    ["a question for the cursor's place", "a\u001b[6nb", "ab"],
    ["the other screen", "\u001b[?1049hx\u001b[?1049l", "x"],
    ["a return that overwrites the line", "password:\rok", "password:ok"],
    ["backspaces", "secret\b\b\bxxx", "secretxxx"],
    ["a bell", "ding\u0007", "ding"],
    ["the C1 form of a sequence", "a\u009b2Jb", "ab"],
    ["a reordered file name", "\u202egnp.exe", "gnp.exe"],
    ["isolates", "a\u2066b\u2069c", "abc"],
    ["NUL and DEL", "a\u0000b\u007fc", "abc"],
    ["an escape alone at the end", "a\u001b", "a"],
  ])("loses %s", (_what, text, expected) => {
    expect(sanitize(text, true)).toBe(expected);
    expect(sanitize(text, false)).toBe(expected);
  });

  test("loses a request for the terminal's settings (DECRQSS)", () => {
    expect(sanitize("a\u001bP$qm\u001b\\b", true)).not.toMatch(acted);
  });

  test("keeps tabs, other alphabets and, where they are wanted, colours, which it ends", () => {
    expect(sanitize("a\tb 漢字 é \u{1F600}", true)).toBe("a\tb 漢字 é \u{1F600}");
    expect(sanitize("\u001b[1;31mred", true)).toBe("\u001b[1;31mred\u001b[0m");
    expect(sanitize("\u001b[1;31mred", false)).toBe("red");
  });

  test("holds nothing that a terminal acts on but colours, whatever it was made from", () => {
    fc.assert(
      fc.property(hostileText, (text) => {
        expect(sanitize(text, false)).not.toMatch(acted);
        const coloured = sanitize(text, true);
        expect(coloured.replace(colours, "")).not.toMatch(acted);
        if (colours.test(coloured)) expect(coloured.endsWith("\u001b[0m")).toBe(true);
        colours.lastIndex = 0;
      }),
      { numRuns: 2_000 },
    );
  });

  test("in a line of a log stands behind its replica and input", () => {
    const line = { run: "0mwscjl21-0000000", replica: 3, stream: "stdout", timeMs: 0, text: "a\u001b[2Jb" } as const;
    expect(logLineText(line)).toBe("[3] ab");
    expect(logLineText({ ...line, index: 7 }, "stdout")).toBe("[3 #7] ab");
  });
});

describe("a value as JSON", () => {
  test.each<[string, unknown, string]>([
    ["undefined", undefined, "null"],
    ["a function", () => 1, "null"],
    ["NaN", Number.NaN, "null"],
    ["an endless number", Number.POSITIVE_INFINITY, "null"],
    ["a big integer", 12345678901234567890n, '"12345678901234567890"'],
    ["a date", new Date(0), '"1970-01-01T00:00:00.000Z"'],
    ["a date that is none", new Date(Number.NaN), "null"],
    ["a Map", new Map<unknown, unknown>([["a", new Map([[1n, 2]])]]), '[["a",[["1",2]]]]'],
    ["a Set", new Set([1, new Set([2])]), "[1,[2]]"],
    ["a Buffer", Buffer.from("hi"), '"aGk="'],
    ["a Buffer in a list", [Buffer.from("hi")], '["aGk="]'],
    ["a part of bytes", new Uint8Array([0, 104, 105, 0]).subarray(1, 3), '"aGk="'],
    ["an ArrayBuffer", new Uint8Array([104, 105]).buffer, '"aGk="'],
    ["a URL", new URL("https://example.org/x"), '"https://example.org/x"'],
    ["what a terminal would act on", "\u001b\u009b\u007f\u202e\u2066", '"\\u001b\\u009b\\u007f\\u202e\\u2066"'],
    ["half a character", "\ud800", '"\\ud800"'],
  ])("says %s", (_what, value, expected) => {
    expect(toJson(value)).toBe(expected);
  });

  test("holds name, message, code and stack of an error", () => {
    const error = Object.assign(new RangeError("far"), { code: "E_FAR" });
    expect(JSON.parse(toJson({ error }))).toEqual({
      error: { name: "RangeError", message: "far", code: "E_FAR", stack: error.stack },
    });
  });

  test("is the same value again, on one line, whatever JSON can say", () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: fc.nat(0x2fff).map((code) => String.fromCharCode(code)) }), (value) => {
        const text = toJson(value);
        expect(text).not.toMatch(/\n/);
        expect(text).not.toMatch(acted);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test("is refused for a value that contains itself, or is nested too deep", () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    for (const value of [cycle, deep, new Map([["a", cycle]])])
      expect(() => toJson(value)).toThrow(expect.objectContaining({ code: "value.unserializable" }));
  });
});

describe("lines of JSON", () => {
  async function read(...chunks: (string | Uint8Array)[]): Promise<unknown[]> {
    async function* stream() {
      for (const chunk of chunks) {
        await Promise.resolve();
        yield chunk;
      }
    }
    return Array.fromAsync(jsonLines(stream(), "input"));
  }

  test("are read however the bytes are cut", async () => {
    const values = [1, "é\u2028漢\u{1F600}", { a: [null] }, "", "x".repeat(300)];
    const bytes = Buffer.from(`\ufeff${values.map((value) => JSON.stringify(value)).join("\r\n")}\n\n`);
    for (const size of [1, 2, 3, 7, 64, 1_000]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      );
      expect(await read(...chunks)).toEqual(values);
    }
  });

  test("need no line feed behind the last", async () => {
    expect(await read("1\n2")).toEqual([1, 2]);
    expect(await read("")).toEqual([]);
    expect(await read("\n \n\r\n")).toEqual([]);
  });

  test("name the number of the line that is none, blank ones counted", async () => {
    await expect(read("1\n\n{bad\n4")).rejects.toMatchObject({
      code: "input.invalid",
      message: expect.stringMatching(/^input:3 /),
    });
  });

  test.each<[string, Uint8Array]>([
    ["another encoding", Buffer.from('"caf\u00e9"\n', "latin1")],
    ["half a character at the end", Buffer.from('"é').subarray(0, 2)],
  ])("are refused in %s", async (_what, bytes) => {
    await expect(read(bytes)).rejects.toMatchObject({
      code: "input.invalid",
      message: expect.stringContaining("UTF-8"),
    });
  });

  test("may be 20 MB long in small pieces", async () => {
    const piece = "x".repeat(16 * 1024);
    const [value] = await read('"', ...Array.from({ length: 1_280 }, () => piece), '"\n');
    expect((value as string).length).toBe(1_280 * piece.length);
  });
});

test("a table has its columns aligned, numbers to the right, and no spaces at the end of a line", () => {
  const rows = [
    { NAME: "a", COUNT: "1", NOTE: "" },
    { NAME: "longer", COUNT: "1,000", NOTE: "x" },
  ];
  expect(table(rows, ["COUNT"])).toBe("NAME    COUNT  NOTE\na           1\nlonger  1,000  x");
});

test.each([
  [0, "0 ms"],
  [999, "999 ms"],
  [999.7, "1.0 s"],
  [1_000, "1.0 s"],
  [59_940, "59.9 s"],
  [59_960, "1m 00s"],
  [60_000, "1m 00s"],
  [184_000, "3m 04s"],
  [3_599_600, "1h 00m"],
  [3_720_000, "1h 02m"],
  [90_000_000, "25h 00m"],
])("%d ms are shown as %s", (ms, text) => {
  expect(duration(ms)).toBe(text);
});

test.each([
  [0.123, "0.12"],
  [3.14, "3.1"],
  [42.4, "42"],
  [99.7, "100"],
  [1234.5, "1,235"],
])("%d a second are shown as %s", (perSecond, text) => {
  expect(rate(perSecond)).toBe(text);
});
