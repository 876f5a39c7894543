import { describe, expect, it } from "vitest";
import { scanInputs } from "../../extension/lenses/scanInputs.ts";

/** Which exports of a module are offered as the inputs of a map. */

const modules: Record<string, string> = {
  "./lists.js": "export const words = ['a']; export const size = 3; export interface Shape { a: string }",
  "./more.ts": "export { words as inner } from './lists.js';\nexport const make = (n: number) => [n];",
};

function scan(text: string): string[] {
  const options = { fileName: "inputs.ts", readModule: (specifier: string) => modules[specifier] };
  return scanInputs(text, "typescript", options).map(({ name, kind }) => `${name}: ${kind}`);
}

describe("the exports that may give inputs", () => {
  it("are arrays, what only running the code tells, and functions that need no arguments", () => {
    const text = `
      export const list = [1, 2];
      export const typed = [1] as const;
      export const made = Array.from({ length: 3 });
      export function* numbers() { yield 1; }
      export async function fetched(limit = 10) { return [limit]; }
      export const arrow = () => [1];
      export const needs = (a: number) => [a];
      export function* from(start: number) { yield start; }
      export const size = 3, title = "x", pattern = /x/, options = { a: 1 };
      export class Tools { static all() { return []; } }
      export type Only = string;
      const hidden = [1];`;
    expect(scan(text)).toEqual([
      "list: array",
      "typed: array",
      "made: unknown",
      "numbers: function",
      "fetched: function",
      "arrow: function",
    ]);
  });

  it("have the names by which they are reached from outside", () => {
    expect(
      scan("const a = [1]; function b() { return a; } function c(x: number) {}\nexport { a as list, b, c };"),
    ).toEqual(["list: array", "b: function"]);
    expect(scan("export default [1, 2];")).toEqual(["default: array"]);
    expect(scan("export default function* () { yield 1; }")).toEqual(["default: function"]);
    expect(scan("const rows = [1];\nexport default rows;")).toEqual(["default: array"]);
    expect(scan("export default (a: string) => [a];")).toEqual([]);
  });

  it("may come from other modules", () => {
    const text = `export { words, size, Shape } from "./lists.js";
      export { inner, make } from "./more.ts";
      import { words as again } from "./lists.js";
      export { again };
      export { rows } from "a-package";`;
    expect(scan(text)).toEqual(["words: array", "inner: array", "again: array", "rows: unknown"]);
  });

  it("are the functions of a CommonJS module, and none of a text that is no module", () => {
    expect(scan("exports.all = () => [1];\nexports.one = (a) => a;")).toEqual(["all: function"]);
    expect(scan("export const (")).toEqual([]);
    expect(scan("")).toEqual([]);
  });
});
