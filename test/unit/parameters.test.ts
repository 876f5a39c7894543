import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  checkArguments,
  choiceText,
  exampleOf,
  fieldOf,
  parseField,
  type Field,
} from "../../extension/lenses/parameters.ts";

const param = (type?: string, more: { optional?: boolean; rest?: boolean; default?: string } = {}) => ({
  ...(type === undefined ? {} : { type }),
  optional: false,
  rest: false,
  ...more,
});
const field = (type?: string) => fieldOf(param(type));

describe("the field of a parameter", () => {
  it.each<[string, Field]>([
    ["string", { kind: "text", optional: false }],
    ["string | undefined", { kind: "text", optional: true }],
    ["undefined | (string)", { kind: "text", optional: true }],
    ["`a${string}`", { kind: "text", optional: false }],
    ['"a" | "b" | (string & {})', { kind: "text", optional: false }],
    ["String", { kind: "text", optional: false }],
    ["number", { kind: "number", optional: false }],
    ["1 | number | void", { kind: "number", optional: true }],
    ["integer", { kind: "number", integer: true, optional: false }],
    ["boolean", { kind: "checkbox", optional: false }],
    ["true | false", { kind: "checkbox", optional: false }],
    [`"a" | 'b'`, { kind: "choice", values: ["a", "b"], optional: false }],
    ["1 | -2 | 0x10 | null | undefined", { kind: "choice", values: [1, -2, 16, null], optional: true }],
    ["boolean | null", { kind: "choice", values: [true, false, null], optional: false }],
    [
      'boolean | "auto" | ("auto" | "never")',
      { kind: "choice", values: [true, false, "auto", "never"], optional: false },
    ],
    ["string | number", { kind: "json", placeholder: '"…"', optional: false }],
    ["string | null", { kind: "json", placeholder: '"…"', optional: false }],
    ["string[]", { kind: "json", placeholder: '["…"]', array: true, optional: false }],
    ["readonly number[] | undefined", { kind: "json", placeholder: "[0]", array: true, optional: true }],
    ["{ a: number }", { kind: "json", placeholder: '{"a": 0}', optional: false }],
    ["Options", { kind: "json", placeholder: "null", optional: false }],
    ["bigint", { kind: "json", placeholder: "", unsayable: true, optional: false }],
    ["() => void", { kind: "json", placeholder: "", unsayable: true, optional: false }],
    ["Map<string, number>", { kind: "json", placeholder: "", unsayable: true, optional: false }],
    ["Date | undefined", { kind: "json", placeholder: "", unsayable: true, optional: true }],
    [
      "{ a: string; at: Date }",
      { kind: "json", placeholder: '{"a": "…", "at": null}', unsayable: true, optional: false },
    ],
    ["Set<string> | string[]", { kind: "json", placeholder: "null", optional: false }],
    ["unknown", { kind: "json", placeholder: "null", optional: false }],
    ["never }{ nonsense", { kind: "json", placeholder: "null", optional: false }],
    ["string; evil()", { kind: "json", placeholder: "null", optional: false }],
    ["constructor", { kind: "json", placeholder: "null", optional: false }],
  ])("of type %s", (type, expected) => {
    expect(field(type)).toEqual(expected);
  });

  it("without a type comes from the default value", () => {
    const by = (fallback?: string) =>
      fieldOf(param(undefined, { optional: true, ...(fallback ? { default: fallback } : {}) }));
    expect(by("5")).toEqual({ kind: "number", optional: true });
    expect(by("-1.5")).toEqual({ kind: "number", optional: true });
    expect(by("'x'")).toEqual({ kind: "text", optional: true });
    expect(by("`x`")).toEqual({ kind: "text", optional: true });
    expect(by("true")).toEqual({ kind: "checkbox", optional: true });
    expect(by('["a"]')).toEqual({ kind: "json", placeholder: '["a"]', optional: true });
    expect(by("{}")).toEqual({ kind: "json", placeholder: "{}", optional: true });
    expect(by("new Date()")).toEqual({ kind: "json", placeholder: "null", optional: true });
    expect(by()).toEqual({ kind: "json", placeholder: "null", optional: true });
  });

  it("of a rest parameter is a JSON array", () => {
    expect(fieldOf(param("string[]", { rest: true, optional: true }))).toEqual({
      kind: "json",
      placeholder: "[]",
      array: true,
      optional: true,
    });
  });
});

describe("the example of a type", () => {
  it.each([
    ["string[]", '["…"]'],
    [
      "Array<{ a: string; b?: number; 'c-d': boolean; e(): void; [x: string]: 1 }>",
      '[{"a": "…", "b": 0, "c-d": false, "key": 1}]',
    ],
    ["[a: string, b?: number, ...c: string[]]", '["…", 0]'],
    ["[string?]", '["…"]'],
    ["Record<string, number[]>", '{"key": [0]}'],
    ["Record<'a' | 'b', boolean>", '{"a": false, "b": false}'],
    ["Partial<Readonly<{ a: null }>> | undefined", '{"a": null}'],
    ["{ a: string } & { b: 'x' | 'y' }", '{"a": "…", "b": "x"}'],
    ["Other | string", '"…"'],
    ["Map<string, number>", "null"],
    ["() => void", "null"],
    ["{}", "{}"],
  ])("%s", (type, expected) => {
    expect(exampleOf(param(type))).toBe(expected);
    expect(() => JSON.parse(expected) as unknown).not.toThrow();
  });

  it("is JSON for whatever text", () => {
    const word = fc.constantFrom(
      "string",
      "number",
      "[",
      "]",
      "{",
      "}",
      "a:",
      "?",
      "|",
      "&",
      "<",
      ">",
      "(",
      ")",
      ",",
      "'x'",
      "1",
      "-",
      "Array",
      "Record",
      "=>",
      "readonly ",
      "...",
      "`",
      "\n",
      ";",
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (words) => {
        expect(() => JSON.parse(exampleOf(param(words.join("")))) as unknown).not.toThrow();
        fieldOf(param(undefined, { default: words.join("") }));
      }),
      { numRuns: 300 },
    );
    expect(exampleOf(param("[".repeat(5_000)))).toBe("null");
    expect(field(`${"(".repeat(15)}string${")".repeat(15)}`).kind).toBe("text");
  });
});

describe("what is typed into a field", () => {
  const value = (type: string, text: string) => {
    const parsed = parseField(field(type), text);
    return parsed.ok ? parsed.value : parsed.message;
  };

  it("is text as it stands", () => {
    expect(value("string", " a ")).toBe(" a ");
    expect(value("string", "")).toBe("");
    expect(parseField(field("string | undefined"), "")).toEqual({ ok: true, value: undefined });
    expect(value("string | undefined", " ")).toBe(" ");
  });

  it("is a finite number", () => {
    expect([value("number", " 1e3 "), value("number", "-0.5"), value("number", "0x10")]).toEqual([1000, -0.5, 16]);
    expect(parseField(field("number"), "five")).toEqual({ ok: false, message: "number", detail: "five" });
    expect([value("number", "Infinity"), value("number", "NaN"), value("number", "")]).toEqual([
      "number",
      "number",
      "required",
    ]);
    expect([value("integer", "5"), value("integer", "5.5"), value("integer", "1e300")]).toEqual([
      5,
      "integer",
      "integer",
    ]);
    expect(parseField(field("number | undefined"), " ")).toEqual({ ok: true, value: undefined });
  });

  it("is a checkbox that says true or false", () => {
    expect([value("boolean", "true"), value("boolean", "false"), value("boolean", "yes")]).toEqual([
      true,
      false,
      "choice",
    ]);
  });

  it("is one of the choices, as JSON or as plain text", () => {
    const mixed = `"1" | 1 | "a b" | null | true | ""`;
    for (const choice of ["1", 1, "a b", null, true, ""]) expect(value(mixed, choiceText(choice))).toBe(choice);
    expect([value(mixed, "1"), value(mixed, "a b"), value(mixed, ""), value('"1" | "2"', "1")]).toEqual([
      1,
      "a b",
      "",
      "1",
    ]);
    expect(parseField(field('"a" | 2'), "c")).toEqual({ ok: false, message: "choice", detail: '"a", 2' });
    expect(value('"a" | 2', "")).toBe("required");
  });

  it("is JSON, and an array where only an array will do", () => {
    expect(value("Options", ' {"a": [1]} ')).toEqual({ a: [1] });
    expect(parseField(field("Options"), "{a}")).toMatchObject({
      ok: false,
      message: "json",
      detail: expect.stringMatching(/JSON/),
    });
    expect([value("string[]", "[1]"), value("string[]", '"a"'), value("string | string[]", '"a"')]).toEqual([
      [1],
      "array",
      "a",
    ]);
    expect(value("Options", "")).toBe("required");
  });
});

describe("the arguments of a form", () => {
  const params = [
    param("string"),
    param("number", { optional: true, default: "5" }),
    param("boolean | undefined"),
    param("string[]", { rest: true, optional: true }),
  ];

  it("are in the order of the parameters, without what is left open at the end", () => {
    expect(checkArguments(params, ["a", "2", "true", '["x", "y"]'])).toEqual({
      ok: true,
      args: ["a", 2, true, "x", "y"],
    });
    expect(checkArguments(params, ["a", "", "true", ""])).toEqual({ ok: true, args: ["a", undefined, true] });
    expect(checkArguments(params, ["a", "", "", "[]"])).toEqual({ ok: true, args: ["a"] });
    expect(checkArguments(params, ["a"])).toEqual({ ok: true, args: ["a"] });
    expect(checkArguments(params, ["a", "", "", "[null]"])).toEqual({
      ok: true,
      args: ["a", undefined, undefined, null],
    });
    expect(checkArguments([], [])).toEqual({ ok: true, args: [] });
  });

  it("are none when something is wrong, which is said for each", () => {
    expect(checkArguments(params, [undefined, "x", "", "{}"])).toEqual({
      ok: false,
      errors: {
        0: { message: "required", detail: "" },
        1: { message: "number", detail: "x" },
        3: { message: "array", detail: "{}" },
      },
    });
  });
});
