import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cellsOf, columnsOf, sortKeyOf } from "../../extension/panels/columns.ts";
import { previewOf } from "../../extension/panels/preview.ts";
import { valueText } from "../../extension/panels/valueText.ts";
import { childrenOf, rootOf } from "../../extension/panels/valueTree.ts";

/** Values from afar as panels show them: lines, columns, trees. */

describe("the preview of a value", () => {
  it("is one line of bounded length, whatever the value holds", () => {
    expect(previewOf("a\nb\t\u001b[31m\u202e")).toBe("a\\nb\\t\\u001b[31m\\u202e");
    expect(previewOf("x".repeat(50_000_000)).length).toBe(301);
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true }),
        (value) => {
          const text = previewOf(value);
          expect(text.length).toBeLessThanOrEqual(301);
          // oxlint-disable-next-line no-control-regex -- that there are none
          expect(text).not.toMatch(/[\u0000-\u001f\u2028]/);
        },
      ),
    );
  });

  it("calls nothing of the value", () => {
    let called = 0;
    const value = {
      get trap() {
        called++;
        return 1;
      },
      toString: () => String(called++),
      toJSON: () => called++,
      [Symbol.for("nodejs.util.inspect.custom")]: () => called++,
    };
    previewOf(value);
    expect(called).toBe(0);
  });
});

describe("the preview of an object", () => {
  it("shows each kind of value", () => {
    const value = {
      n: -0,
      big: 12n,
      "a b": "it's",
      list: [1, [2, { x: { y: { z: 1 } } }]],
      map: new Map([["k", 1]]),
      set: new Set([true]),
      bytes: new Uint8Array([7]),
      at: new Date(0),
      never: new Date(Number.NaN),
      error: new TypeError("no"),
      none: null,
      empty: {},
    };
    expect(previewOf(value, 1_000)).toBe(
      `{ n: -0, big: 12n, 'a b': "it's", list: [ 1, [ 2, { x: [Object] } ] ], map: Map(1) { 'k' => 1 }, ` +
        `set: Set(1) { true }, bytes: Uint8Array(1) [ 7 ], at: 1970-01-01T00:00:00.000Z, never: Invalid Date, ` +
        `error: [TypeError: no], none: null, empty: {} }`,
    );
    expect(previewOf(Array.from({ length: 60 }, () => 0))).toMatch(/0, … 10 more \]$/);
  });

  it("says where a value contains itself", () => {
    const value: unknown[] = [];
    value.push(value);
    expect(previewOf(value)).toBe("[ [Circular] ]");
  });

  it("stops within a value that is wide, or shares its parts", () => {
    let shared: unknown = 1;
    for (let i = 0; i < 100; i++) shared = [shared, shared];
    const { text, isWhole } = valueText(shared, { chars: 1e6, nodes: 1_000, depth: 200, items: 10, indent: 2 });
    expect(text.length).toBeLessThan(1_000_000);
    expect(isWhole).toBe(false);
    let read = 0;
    const wide = new Proxy(Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i])), {
      getOwnPropertyDescriptor: (target, key) => {
        read++;
        return Reflect.getOwnPropertyDescriptor(target, key);
      },
    });
    const list = [wide];
    expect(previewOf(list).length).toBe(301);
    // Object.keys asks once for each; nothing is asked of those that are not written.
    expect(read).toBeLessThan(100_100);
  });
});

describe("the tree of a value", () => {
  it("opens a level at a time, by the numbers of children", () => {
    const value = {
      list: [10, { deep: true }],
      map: new Map<unknown, unknown>([["k", 1n]]),
      set: new Set(["s"]),
      bytes: new Uint8Array([7]),
    };
    expect(rootOf(value)).toMatchObject({ key: "", kind: "object", children: 4 });
    expect(childrenOf(value, [], 0, 10).map(({ key, kind, children }) => [key, kind, children])).toEqual([
      ["list", "array", 2],
      ["map", "object", 1],
      ["set", "object", 1],
      ["bytes", "array", 1],
    ]);
    expect(childrenOf(value, [0, 1], 0, 10)).toEqual([{ key: "deep", kind: "boolean", text: "true", children: 0 }]);
    expect(childrenOf(value, [1], 0, 10)).toEqual([{ key: "k", kind: "number", text: "1n", children: 0 }]);
    expect(childrenOf(value, [3], 0, 10)[0]).toMatchObject({ key: "0", text: "7" });
  });

  it("takes cycles, odd keys and paths that lead nowhere", () => {
    const value: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    value["self"] = value;
    value["__proto__"] = { polluted: true };
    value["constructor"] = "c";
    expect(childrenOf(value, [0, 0, 0], 0, 10).map(({ key }) => key)).toEqual(["self", "__proto__", "constructor"]);
    expect(childrenOf(value, [7, 7], 0, 10)).toEqual([]);
    expect(childrenOf(3, [0], 0, 10)).toEqual([]);
    expect("polluted" in {}).toBe(false);
  });

  it("shows the characters that reorder text as their escapes", () => {
    expect(rootOf("a\u202eb\u2066").text).toBe(String.raw`"a\u202eb\u2066"`);
    expect(childrenOf({ "k\u202e": 1 }, [], 0, 1)[0]?.key).toBe(String.raw`k\u202e`);
  });

  it("gives a page of a million children", () => {
    const value = Array.from({ length: 1_000_000 }, (_, i) => i);
    expect(childrenOf(value, [], 999_990, 100).map(({ text }) => text)).toHaveLength(10);
    expect(rootOf(value).children).toBe(1_000_000);
  });

  it("shows what an error holds, with its cause", () => {
    const error = Object.assign(new TypeError("no", { cause: new Error("why") }), { code: "E" });
    expect(childrenOf(error, [], 0, 10).map(({ key }) => key)).toEqual(["message", "stack", "cause", "code"]);
  });
});

describe("columns", () => {
  it("are the properties of results that are alike, and none for others", () => {
    expect(columnsOf([{ a: 1 }, { a: 2, b: 3 }])).toEqual(["a", "b"]);
    expect(columnsOf([{ a: 1 }, 2])).toEqual([]);
    expect(columnsOf([[1], [2]])).toEqual([]);
    expect(columnsOf([new Map()])).toEqual([]);
    expect(columnsOf([Object.fromEntries(Array.from({ length: 13 }, (_, i) => [`k${i}`, i]))])).toEqual([]);
  });

  it("have cells and keys to sort by of their own", () => {
    const row = JSON.parse('{"a": "x\\ny", "__proto__": 5}') as Record<string, unknown>;
    expect(cellsOf(row, ["a", "__proto__", "missing"])).toEqual(["x\\ny", "5", ""]);
    expect(cellsOf(42, [])).toEqual(["42"]);
    expect(sortKeyOf({ n: 5 }, "n")).toBe(5);
    expect(sortKeyOf({ n: true }, "n")).toBe(true);
    expect(sortKeyOf(new Date(9), undefined)).toEqual(new Date(9));
    expect(sortKeyOf({ n: 5 }, undefined)).toBe("{ n: 5 }");
    expect(sortKeyOf({ n: 5 }, "toString")).toBe(undefined);
    for (const missing of [null, undefined, Number.NaN, new Date(Number.NaN)]) {
      expect(sortKeyOf({ n: missing }, "n")).toBe(undefined);
    }
  });

  it("leave a value that has none of them whole", () => {
    expect(cellsOf(42, ["a", "b"])).toEqual(["42"]);
    expect(cellsOf({ c: 1 }, ["a", "b"])).toEqual(["{ c: 1 }"]);
    expect(cellsOf(null, ["a"])).toEqual(["null"]);
    expect(columnsOf([{ ["k".repeat(501)]: 1 }])).toEqual([]);
  });
});
