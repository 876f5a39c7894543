import { describe, expect, it } from "vitest";
import { isIdentifier, literal, member } from "../../extension/runs/literal.ts";

/** The value that the text makes, as a program would. */
// oxlint-disable-next-line typescript/no-implied-eval, no-new-func -- running the text is the test
const evaluate = (text: string): unknown => new Function(`return (${text});`)();

describe("a value as TypeScript", () => {
  const cycle: { list: unknown[]; map: Map<string, unknown> } = { list: [1], map: new Map() };
  cycle.list.push(cycle);
  cycle.map.set("self", cycle);
  const shared = { a: 1 };

  it.each<[string, unknown]>([
    ["plain data", { a: [1, "x", null, true, -1.5e-7], "b c": {}, "0": [] }],
    [
      "texts that are more than they look",
      ["\"'`${x}\\", "\n\r\t\0\u2028\u2029", "</script>", "ünï 🦆", "\ud800", "-- "],
    ],
    ["what JSON has no word for", [undefined, Number.NaN, -0, Infinity, -Infinity, 12n]],
    ["a hole in an array", Object.assign([1], { 2: 3 })],
    [
      "dates, maps, sets and patterns",
      [new Date(5), new Map([[{ k: 1 }, new Set([1n])]]), /a"\/b/giu, new URL("http://x/?q")],
    ],
    ["bytes", [new Uint8Array([1, 255]), new Float64Array([0.5]), Buffer.from("hi"), new Uint8Array([3]).buffer]],
    ["cycles", cycle],
    ["an object that stands twice", [shared, shared]],
    ["a key that means the prototype", JSON.parse('{"__proto__":{"x":1},"y":2}')],
    ["an object without a prototype", Object.assign(Object.create(null) as object, { a: 1 })],
    ["a long list", Array.from({ length: 80 }, (_, i) => ({ index: i, text: `line\n${i}` }))],
  ])("makes the same again: %s", (_what, value) => {
    expect(evaluate(literal(value))).toEqual(value);
  });

  it("keeps what stands twice one object", () => {
    const [a, b] = evaluate(literal([shared, shared])) as unknown[];
    expect(a).toBe(b);
  });

  it("makes errors with their class, name, cause and fields", () => {
    const error = Object.assign(new RangeError('too "far"', { cause: new Error("why") }), {
      code: "E_FAR",
      at: new Date(1),
    });
    const made = evaluate(literal({ error })) as { error: typeof error };
    expect(made.error).toBeInstanceOf(RangeError);
    expect(made.error).toMatchObject({ name: "RangeError", message: 'too "far"', code: "E_FAR", at: new Date(1) });
    expect((made.error.cause as Error).message).toBe("why");
    const own = Object.assign(new Error("m"), { name: "OwnError" });
    expect(evaluate(literal([own]))).toEqual([own]);
    const several = evaluate(literal([new AggregateError([own], "all")])) as AggregateError[];
    expect(several[0]).toBeInstanceOf(AggregateError);
    expect(several[0]!.errors).toEqual([own]);
  });

  it("is on one line where it fits and indented where not", () => {
    expect(literal({ a: [1, "b"], "c d": {} })).toBe('{ a: [1, "b"], "c d": {} }');
    const long = "x".repeat(60);
    expect(literal({ a: [long, long] }, "  ")).toBe(`{\n    a: [\n      "${long}",\n      "${long}",\n    ],\n  }`);
  });

  it("cannot be made of an instance of a class", () => {
    class Own {
      field = 1;
    }
    expect(() => literal([new Own()])).toThrow(expect.objectContaining({ code: "value.unserializable" }));
  });
});

it("a name stands behind a dot only when it may", () => {
  expect(["a", "$_1", "été", "default"].map(member)).toEqual([".a", ".$_1", ".été", ".default"]);
  expect(["a-b", "1a", "", 'q"'].map(member)).toEqual(['["a-b"]', '["1a"]', '[""]', '["q\\""]']);
  expect(isIdentifier("a b")).toBe(false);
});
