import { describe, expect, it } from "vitest";
import { documentOf } from "../../extension/panels/valueDocument.ts";
import { outcomeLine, toJson } from "../../runtime/client/json.ts";

/** Values from afar as JSON text. */

function pairs(levels: number): unknown {
  let value: unknown = "part";
  for (let i = 0; i < levels; i++) value = [value, value];
  return value;
}

describe("a value as JSON", () => {
  it("is refused when its parts are shared so often that it would never end", () => {
    expect(() => toJson(pairs(60))).toThrow(/holds some of its parts too often/);
    expect(outcomeLine({ index: 3, value: pairs(60), attempts: 1 })).toMatchObject({ failed: true });
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect(() => toJson(cycle)).toThrow(/cannot be written as JSON/);
  });

  it("is written when parts are shared now and then, and when it is merely large", () => {
    expect(toJson(pairs(3))).toBe('[[["part","part"],["part","part"]],[["part","part"],["part","part"]]]');
    const large = Array.from({ length: 150_000 }, (_, i) => ({ i }));
    expect(JSON.parse(toJson(large))).toEqual(large);
  });
});

describe("a value as a document", () => {
  it("is JSON, or its own text", () => {
    expect(documentOf("a\nb")).toEqual({ text: "a\nb", language: "plaintext", isWhole: true });
    expect(documentOf({ a: [1] })).toEqual({ text: '{\n  "a": [\n    1\n  ]\n}', language: "json", isWhole: true });
  });

  it("shows what JSON cannot say, within bounds", () => {
    const self: Record<string, unknown> = { n: 1 };
    self["self"] = self;
    expect(documentOf(self)).toEqual({
      text: "{\n  n: 1,\n  self: [Circular]\n}",
      language: "javascript",
      isWhole: true,
    });
    const endless = documentOf(pairs(60));
    expect(endless.isWhole).toBe(false);
    expect(endless.text.length).toBeLessThan(3_000_000);
    expect(endless.text).toContain("'part'");
  });
});
