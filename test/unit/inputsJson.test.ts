import { describe, expect, it } from "vitest";
import { unsayableInJson } from "../../runtime/spec/jsonValue.ts";

describe("what JSON can say", () => {
  const shared = { a: [1] };
  it.each([
    [null],
    ["\ud800\u2028"],
    [-1.5e300],
    [{ a: [{}, [], ""], "b c": null }],
    [[shared, shared]],
    [JSON.parse('{"__proto__":{"toJSON":1}}')],
    [Object.assign(Object.create(null) as object, { a: 1 })],
  ])("is brought back by it: %j", (value) => {
    expect(unsayableInJson(value)).toBeUndefined();
    expect(JSON.parse(JSON.stringify(value))).toEqual(value);
  });

  const cycle: { deep: unknown[] } = { deep: [] };
  cycle.deep.push(0, cycle);
  class Point {
    x = 1;
  }
  it.each([
    [undefined, "", "undefined"],
    [{ a: undefined }, ".a", "undefined"],
    [Object.assign([1], { 2: 3 }), "[1]", "undefined"],
    [Number.NaN, "", "NaN"],
    [[-0], "[0]", "-0"],
    [{ "b c": 10n }, '["b c"]', "a bigint"],
    [[new Date(0)], "[0]", "an instance of Date"],
    [{ m: { n: new Map() } }, ".m.n", "an instance of Map"],
    [new Point(), "", "an instance of Point"],
    [{ f: () => 1 }, ".f", "a function"],
    [{ toJSON: () => 1 }, "", "an object with toJSON"],
    [cycle, ".deep[1]", "an object that holds it"],
  ])("is not %o, and the place is named", (value, path, what) => {
    expect(unsayableInJson(value)).toEqual({ path, what });
  });

  it("is found out soon for an object in which others are shared many times over", () => {
    let value: unknown = [];
    for (let i = 0; i < 60; i++) value = [value, value];
    expect(unsayableInJson(value)).toBeUndefined();
  });
});
