import { compileFunction } from "node:vm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createScanCache } from "../../extension/lenses/scanCache.ts";
import { scanExports, type ScanLanguage, type ScanOptions } from "../../extension/lenses/scanExports.ts";
import { findFunction } from "../../runtime/worker/exports.ts";

const scan = (text: string, language: ScanLanguage = "typescript", options: ScanOptions = {}) =>
  scanExports(text, language, options).functions;
const paths = (text: string, language?: ScanLanguage, options?: ScanOptions) =>
  scan(text, language, options).map(({ exportPath }) => exportPath);
const kinds = (text: string, language?: ScanLanguage) =>
  Object.fromEntries(scan(text, language).map(({ exportPath, kind }) => [exportPath, kind]));
const only = (text: string, language?: ScanLanguage, options?: ScanOptions) => {
  const [first, ...rest] = scan(text, language, options);
  expect(rest).toEqual([]);
  return first!;
};
/** The text from where the lens stands to the end of that line, and the text of the name. */
const placed = (text: string, language?: ScanLanguage) => {
  const lines = text.split("\n");
  return scan(text, language).map(({ at, nameRange }) => {
    expect(nameRange.startLine).toBe(nameRange.endLine);
    return [
      lines[at.line]!.slice(at.character),
      lines[nameRange.startLine]!.slice(nameRange.startCharacter, nameRange.endCharacter),
    ];
  });
};

describe("exported functions of an ECMAScript module", () => {
  it("are function declarations of every kind", () => {
    const text = `export function a() {} export async function b() {} export function* c() {} export async function* d() {} function e() {}`;
    expect(kinds(text)).toEqual({ a: "function", b: "async", c: "generator", d: "async-generator" });
  });

  it("are functions in variables, behind casts, parentheses and annotations", () => {
    const text = `export const a = () => 1, b = async function* () {};
      export const c = ((x: string) => x) as unknown as (y: number) => void, d = (async () => 1) satisfies () => unknown;
      export let e: (x: string) => void = (x) => {}; export var f = <T>(x: T) => <string>(x as never);
      export const n = 1, o = { m() {} }, p = [() => 1], q = new Map(); export const { r } = { r() {} };`;
    expect(kinds(text)).toEqual({
      a: "function",
      b: "async-generator",
      c: "function",
      d: "async",
      e: "function",
      f: "function",
    });
  });

  it("may be calls that are given a function, whose kind only running them tells", () => {
    const text = `function f(x: string) {} const g = () => 1;
      export const a = memo(f), b = debounce(limit((y: number) => y), 5), c = f.bind(null, "x"), d = once(async () => 1);
      export const l = [1].map((x) => x), m = load("x"), n: number = sum(() => 1), o = app.get("/x", () => 1), p = (() => 1)(),
        q = require("x"), r = import("x"), s = f("x");
      export default memo(g);`;
    expect(kinds(text)).toEqual({
      a: "unknown",
      b: "unknown",
      c: "unknown",
      d: "unknown",
      default: "unknown",
    });
    const names = (path: string) =>
      scan(text)
        .find(({ exportPath }) => exportPath === path)!
        .params.map(({ name, rest }) => [name, rest]);
    expect([names("a"), names("b"), names("c")]).toEqual([[["x", false]], [["y", false]], [["args", true]]]);
  });

  it("are values whose annotation says that they are functions", () => {
    const text = `export const a: (x: string, y?: number) => Promise<void> = make(), b: number = make(), c: Handler = make();`;
    const fn = only(text);
    expect(fn).toMatchObject({ exportPath: "a", kind: "unknown", returnType: "Promise<void>" });
    expect(fn.params.map(({ name, type, optional }) => [name, type, optional])).toEqual([
      ["x", "string", false],
      ["y", "number", true],
    ]);
  });

  it.each([
    ["export default function f() {}", "f"],
    ["export default function () {}", "default"],
    ["export default async () => 1", "default"],
    ["export default (function g() {})", "g"],
    ["function h() {} export default h", "h"],
    ["const i = () => 1; export default i as never", "i"],
  ])("are default exports: %s", (text, name) => {
    expect(only(text)).toMatchObject({ exportPath: "default", name });
  });

  it("have a lens at the declaration when they are exported elsewhere, under the name from outside", () => {
    const text = `function a() {}\nconst b = () => 1;\nclass C { static m() {} }\nconst e = a;\nexport { a as x, b as default, C as D };`;
    expect(scan(text).map(({ exportPath, name, at }) => [exportPath, name, at.line])).toEqual([
      ["x", "a", 0],
      ["default", "b", 1],
      ["D.m", "C.m", 2],
    ]);
    expect(paths("function a() {} const b = a; export { b }")).toEqual(["b"]);
  });

  it("have one lens under several names, the plain one if there is one", () => {
    expect(paths("export default function f() {} export { f as g, f }")).toEqual(["f"]);
    expect(paths("function f() {} export { f as g, f as h }; export default f")).toEqual(["g"]);
    expect(paths("export class C { static m() {} } export default C")).toEqual(["C.m"]);
  });

  it("are public static methods of classes, as Class.method", () => {
    const text = `export class C<T> extends B {
      static a() {} static async b() {} static *c() {} static async *d() {} static e = () => 1; static 'f'() {} static readonly g: () => void = function () {};
      i() {} static get j() { return 1 } static set j(v) {} private static k() {} protected static l() {} static #m() {} static n = 1;
      static [o]() {} declare static p: () => void; static {} static accessor q = () => 1; static r: () => void; constructor() { super() } static self = C;
      static s = class { static t() {} };
    }
    export abstract class D { abstract u(): void; static v() {} }
    export const E = class { static w() {} };
    class F { static x() {} }`;
    expect(kinds(text)).toEqual({
      "C.a": "function",
      "C.b": "async",
      "C.c": "generator",
      "C.d": "async-generator",
      "C.e": "function",
      "C.f": "function",
      "C.g": "function",
      "D.v": "function",
      "E.w": "function",
    });
    expect(paths("export default class { static m() {} }")).toEqual(["default.m"]);
    expect(paths("export default class C { static m() {} }")).toEqual(["default.m"]);
    expect(paths("class C { static m() {} } export default C")).toEqual(["default.m"]);
    expect(
      paths("export class A { static a = B; static b = B } export class B { static a = A; static b = A }"),
    ).toEqual([]);
  });

  it("have one lens on the implementation of overloads, with the JSDoc of the first", () => {
    const text = `/** First. */\nexport function f(a: string): void;\nexport function f(a: number): void;\nexport function f(a: unknown) {}
export class C {\n/** Method. */\nstatic m(a: string): void;\nstatic m(a: unknown) {} }
declare function g(): void; export function h(): void; export { g };`;
    expect(scan(text).map(({ exportPath, at, doc }) => [exportPath, at.line, doc])).toEqual([
      ["f", 3, "First."],
      ["C.m", 7, "Method."],
    ]);
  });

  it("are not types, ambient declarations, namespaces, instance or object methods, nor what `export *` brings", () => {
    const text = `export type F = () => void; export interface I { (): void } export declare function a(): void; export declare const b: () => void;
      export declare class C { static m(): void } export namespace N { export function c() {} } export enum E { A } declare module "x" { export function d(): void }
      export class K { e() {} f = () => 1 } export const o = { g() {}, h: () => 1 }; export * from "./x"; export * as ns from "./x"; export default { i() {} };
      import type { j } from "./x"; function k() {} export type { k }; export { type k as kk, j }; export abstract class L { static abstract l(): void } export import q = N.c;`;
    expect(paths(text, "typescript", { readModule: () => "export function j() {}" })).toEqual([]);
    const typings = "export function a() {}";
    for (const fileName of ["/a/x.d.ts", "x.d.mts", "x.d.json.ts"]) {
      expect(scanExports(typings, "typescript", { fileName })).toEqual({ functions: [], parsed: true, errors: 0 });
    }
    expect(paths(typings, "typescript", { fileName: "x.add.ts" })).toEqual(["a"]);
  });
});

describe("functions of other modules", () => {
  const modules: Record<string, string> = {
    "./x": `/** A. */ export function a(p: string) {} export { b, b as bb } from "./lib/y"; const c = 1; export { c }; export default a; export class C { static m() {} }`,
    "./lib/y": `export const b = async () => 1; export { far } from "../z"; export { a as back } from "../x";`,
    "./z": `export { far } from "./zz";`,
    "./zz": `export function far() {}`,
    "./loop": `export { loop } from "./loop"; export function own() {}`,
    "./view": `export const View = () => <b>text</b>;`,
  };
  const readModule = (specifier: string) => modules[specifier];

  it("count when the other module is known to export them", () => {
    const text = `export { a, b, c, missing, C } from "./x";\nexport { default as fromDefault } from "./x"; export { a as q } from "./unknown"; export { View } from "./view"`;
    const found = scan(text, "typescript", { readModule });
    expect(found.map(({ exportPath, kind, reExport }) => [exportPath, kind, reExport])).toEqual([
      ["a", "function", "./x"],
      ["b", "async", "./x"],
      ["C.m", "function", "./x"],
      ["fromDefault", "function", "./x"],
      ["View", "function", "./view"],
    ]);
    expect(found[0]).toMatchObject({
      doc: "A.",
      at: { line: 0, character: 0 },
      params: [{ name: "p", type: "string" }],
    });
    expect(paths(text)).toEqual([]);
  });

  it("count when they are imported and exported", () => {
    const text = `import def, { b as local, C } from "./x"; import * as all from "./x"; export { local as x, all, C }; export default def;`;
    expect(paths(text, "typescript", { readModule })).toEqual(["x", "C.m", "default"]);
  });

  it("are followed through two modules and no further, and not in circles", () => {
    expect(paths(`export { b, bb } from "./x"`, "typescript", { readModule })).toEqual(["b", "bb"]);
    expect(paths(`export { far } from "./z"`, "typescript", { readModule })).toEqual(["far"]);
    expect(paths(`export { far, back } from "./lib/y"`, "typescript", { readModule })).toEqual(["back"]);
    expect(paths(`export { loop, own } from "./loop"`, "typescript", { readModule })).toEqual(["own"]);
  });
});

describe("exported functions of a CommonJS module", () => {
  it.each<[string, string[]]>([
    ["module.exports = function () {}", ["default"]],
    ["module.exports = async (a) => a", ["default"]],
    ["function f() {} module.exports = f", ["default"]],
    [
      "const g = () => 1; module.exports = { f() {}, g, h: () => 1, i: async function () {}, j: 1, get k() { return 1 }, ...l }",
      ["g", "f", "h", "i"],
    ],
    [
      "exports.a = () => 1; module.exports.b = function () {}; exports['c'] = async () => 1; exports.d = 1; other.e = () => 1",
      ["a", "b", "c"],
    ],
    ["exports.a = undefined; exports.a = exports.b = void 0; exports.a = () => 1", ["a"]],
    ["exports.a = () => 1; module.exports = { b() {} }; exports.c = () => 1; module.exports.d = () => 1", ["b", "d"]],
    ["exports = module.exports = () => 1; exports.a = () => 1", ["default", "a"]],
    ["const x = (module.exports = function named() {}); x.other = 1", ["default"]],
    ["exports.default = f; module.exports = exports.default; function f() {}", ["default"]],
    ["class A { static m() {} } module.exports = { A }; exports.B = A", ["A.m"]],
    ["module.exports = class { static m() {} }", ["default.m"]],
    ["exports.f = require('x').f; module.exports.g = require('y')", []],
    ["exports.m = memo(() => 1)", ["m"]],
    ["with (a) { b } var await = 010; exports.f = () => 1; return", ["f"]],
  ])("%s", (text, expected) => {
    expect(paths(text, "javascript")).toEqual(expected);
  });

  it("may be TypeScript with `export =`", () => {
    expect(paths("function f() {} export = f")).toEqual(["default"]);
    expect(paths("export = { a() {}, b: () => 1 }")).toEqual(["a", "b"]);
    expect(paths("class C { static m() {} } export = C", "typescript", { fileName: "x.cts" })).toEqual(["default.m"]);
  });

  it("are none where the module has ECMAScript exports", () => {
    expect(paths("exports.a = () => 1; export function b() {}", "javascript")).toEqual(["b"]);
    expect(paths('exports.a = () => 1; export * from "./x"', "javascript")).toEqual([]);
  });

  it("stand at the assignment, or at the local declaration that it names", () => {
    const text = `/** Doc. */\nasync function f(x) {}\nmodule.exports = {\n  f,\n  /** G. */\n  g() {},\n};\nmodule.exports.h = () => 1;`;
    expect(placed(text, "javascript")).toEqual([
      ["async function f(x) {}", "f"],
      ["g() {},", "g"],
      ["module.exports.h = () => 1;", "h"],
    ]);
    expect(scan(text, "javascript").map(({ doc }) => doc)).toEqual(["Doc.", "G.", undefined]);
    expect(placed("module.exports = (a) => 1", "javascript")).toEqual([
      ["module.exports = (a) => 1", "module.exports"],
    ]);
  });
});

describe("the place of a function", () => {
  it("is the start of its statement, after JSDoc and decorators, and that of its name", () => {
    const text = `/** D. */\nexport async function f() {}
/** E. */ export default class Q { /** M. */ @dec({ a: 1 }) @b /* c */ static async m() {} }
  export const a = () => 1,
    b = () => 1;`;
    expect(placed(text)).toEqual([
      ["export async function f() {}", "f"],
      ["static async m() {} }", "m"],
      ["export const a = () => 1,", "a"],
      ["b = () => 1;", "b"],
    ]);
    expect(scan(text).map(({ doc }) => doc)).toEqual(["D.", "M.", undefined, undefined]);
    expect(placed("export default async () => 1")).toEqual([["export default async () => 1", "default"]]);
  });

  it("counts lines as an editor does", () => {
    const lines = (text: string) => scan(text).map(({ at }) => [at.line, at.character]);
    expect(lines("const s = '\u2028';\r\n\r\n  export function f() {}")).toEqual([[2, 2]]);
    expect(lines("//\r//\r/* 😀 */ export function f() {}")).toEqual([[2, 9]]);
  });
});

describe("parameters", () => {
  it("have the types, defaults and JSDoc of the text", () => {
    const fn = only(`/**
 * Says what it does.
 * On two lines.
 * @param a - The first { thing }.
 * @param {string} [b=x] Second,
 *   goes on.
 * @param opts.depth How deep.
 * @returns {number} A number.
 */
export function f(this: Window, a: Map<string, number>, b?: "x" | "y", c = 5, ...d: string[]): Promise<number | undefined> {}`);
    expect(fn).toMatchObject({ doc: "Says what it does.\nOn two lines.", returnType: "Promise<number | undefined>" });
    expect(fn.params).toEqual([
      { name: "a", type: "Map<string, number>", optional: false, rest: false, doc: "The first { thing }." },
      { name: "b", type: '"x" | "y"', optional: true, rest: false, default: "x", doc: "Second,\n  goes on." },
      { name: "c", optional: true, rest: false, default: "5" },
      { name: "d", type: "string[]", optional: true, rest: true },
    ]);
  });

  it("have the types of JSDoc where the text has none", () => {
    const fn = only(
      `/** @param {{ a: string, b?: number }} a\n * @param {number=} b\n * @param {?string} c\n * @param {Array.<string>} [d]\n * @param {...number} e\n * @return {string} */ export function f(a, b, c, d, ...e) {}`,
      "javascript",
    );
    expect(fn.returnType).toBe("string");
    expect(fn.doc).toBeUndefined();
    expect(fn.params.map(({ type, optional }) => [type, optional])).toEqual([
      ["{ a: string, b?: number }", false],
      ["number", true],
      ["string | null", false],
      ["Array<string>", true],
      ["number[]", true],
    ]);
  });

  it("get a readable name when they are destructured", () => {
    const names = (parameters: string, doc = "") =>
      only(`${doc}export function f(${parameters}) {}`).params.map(({ name }) => name);
    expect(names("{ a, b }: { a: string; b: number }")).toEqual(["options"]);
    expect(names("{ a }: CallOptions = {}, options: string")).toEqual(["callOptions", "options"]);
    expect(names("options: string, { a }, [b], { c }, ...[d]")).toEqual(["options", "arg2", "arg3", "arg4", "arg5"]);
    expect(names("{ a }, b", "/** @param settings They are. @param b */ ")).toEqual(["options", "b"]);
    expect(names("{ a }, b", "/** @param settings They are.\n * @param b */ ")).toEqual(["settings", "b"]);
  });

  it("take types from the function type of the variable or of `satisfies`", () => {
    const types = (text: string) => only(text).params.map(({ type }) => type);
    expect(types("export const f: (a: string, ...b: number[]) => void = (x, ...y) => {}")).toEqual([
      "string",
      "number[]",
    ]);
    expect(types("export const f = ((x) => {}) satisfies (a: string) => void")).toEqual(["string"]);
    expect(types("export class C { static m: (a: Date) => void = (x) => {} }")).toEqual(["Date"]);
  });
});

describe("what cannot be called from outside", () => {
  it("is said with the reason", () => {
    const callable = (text: string) => scan(text).map(({ exportPath, callable }) => [exportPath, callable]);
    expect(callable("function f() {} export { f as 'a.b' }")).toEqual([["a.b", "dotted-name"]]);
    expect(callable("export class C { static 'x.y'() {} static name() {} static ok() {} }")).toEqual([
      ["C.x.y", "dotted-name"],
      ["C.name", "reserved-name"],
      ["C.ok", true],
    ]);
    expect(
      callable(
        "export function f(a: string, b: (x: string) => void) {} export function g(b?: () => void, c = () => 1) {}",
      ),
    ).toEqual([
      ["f", "takes-function"],
      ["g", true],
    ]);
  });

  it("is nothing that the worker would find, and the rest is found", () => {
    const sources = [
      `export const a = () => "a"; export class C { static m() { return "C.m" } static n = () => "C.n"; o() {} }; export default () => "default";`,
      `function f() { return "x y" } export { f as "x y" }; export default class { static p() { return "default.p" } }`,
    ];
    return Promise.all(
      sources.map(async (source) => {
        const module = (await import(`data:text/javascript,${encodeURIComponent(source)}`)) as Record<string, unknown>;
        const found = scan(source, "javascript");
        expect(found.length).toBeGreaterThan(1);
        for (const { exportPath, callable } of found) {
          expect(callable).toBe(true);
          expect(findFunction(module, exportPath)()).toBe(exportPath);
        }
      }),
    );
  });

  it("is found in CommonJS too, where exports are properties of `module.exports` and `default` is all of it", () => {
    const sources = [
      `module.exports = class A { static m() { return "default.m"; } };`,
      `module.exports = function () { return "default"; }; module.exports.b = () => "b";`,
      `class A { static m() { return "A.m"; } static n = () => "A.n"; } const b = () => "b"; module.exports = { A, b, c() { return "c"; } };`,
      `exports = module.exports = {}; exports.d = () => "d"; exports.default = () => "default";`,
    ];
    for (const source of sources) {
      const module = { exports: {} };
      compileFunction(source, ["module", "exports"])(module, module.exports);
      const found = scan(source, "javascript");
      expect(found.length).toBeGreaterThan(0);
      for (const { exportPath } of found) {
        const exports = { default: module.exports, ...Object.fromEntries(Object.entries(module.exports)) };
        expect(findFunction(exports, exportPath)()).toBe(exportPath);
      }
    }
  });
});

describe("a text that is not plain", () => {
  it.each<[ScanLanguage, string]>([
    ["typescript", "export const f = <T>(x: T) => <string>x;"],
    ["typescriptreact", "export const f = <T,>(x: T) => <b>{x}</b>;"],
    ["javascript", "export const f = (x) => <b>{x}</b>;"],
    ["javascriptreact", "export function f() { return <></>; }"],
    [
      "typescript",
      "#!/usr/bin/env node\nimport a = require('a'); await a; using b = c; enum D { E } export function f(@dec x: string) {}",
    ],
    [
      "javascript",
      "import x from './x.json' with { type: 'json' }; import defer * as y from 'y'; export const f = () => x ?? y?.z;",
    ],
  ])("may be %s: %s", (language, text) => {
    expect(paths(text, language)).toEqual(["f"]);
  });

  it("says when it has errors and when nothing can be made of it", () => {
    const twice = scanExports("export function f() {} let a; let a; export function g() {}", "typescript");
    expect(twice).toMatchObject({ parsed: true, errors: 1 });
    expect(twice.functions).toHaveLength(2);
    expect(scanExports("export function f( {", "typescript")).toEqual({ functions: [], parsed: false, errors: 1 });
    expect(scanExports("class A { constructor(@Inject() a: string) {} } export {}", "typescript").errors).toBe(0);
  });

  it("is not looked at when it is minified or very long", () => {
    const refused = { functions: [], parsed: false, errors: 0 };
    const padded = (length: number) => `export function f() {}\n//${"x".repeat(length - 2)}\n`;
    expect(scanExports(padded(20_001), "javascript")).toEqual(refused);
    expect(paths(padded(20_000), "javascript")).toEqual(["f"]);
    expect(
      scanExports(`export function f() {}\n${"// a comment of some length\n".repeat(80_000)}`, "javascript"),
    ).toEqual(refused);
  });

  it("may have 20,000 lines", () => {
    const text = Array.from(
      { length: 5_000 },
      (_, i) => `/** Number ${i}. */\nexport function f${i}(a: string) {\n  return a + ${i};\n}\n`,
    ).join("");
    // The processor's time, and the best of some: other work on the machine makes it slower, nothing makes it faster.
    const tookMs = [1, 2, 3, 4, 5].map(() => {
      const started = process.cpuUsage();
      const found = scan(text).length;
      const { user, system } = process.cpuUsage(started);
      expect(found).toBe(5_000);
      return (user + system) / 1_000;
    });
    expect(Math.min(...tookMs)).toBeLessThan(1_000);
  });

  it("may be made to exhaust a naive reader", () => {
    const chain = Array.from({ length: 20_000 }, (_, i) => `const a${i + 1} = a${i};`).join("\n");
    expect(paths(`const a0 = () => 1;\n${chain}\nexport { a20000 }`)).toEqual(["a20000"]);
    const wraps = Array.from({ length: 2_000 }, (_, i) => `const a${i + 1} = w(a${i}, a${i});`).join("\n");
    expect(paths(`const a0 = w(1);\n${wraps}\nexport { a2000 }`)).toEqual([]);
    expect(paths("const a = b, b = a; const c = w(c); export { a, b, c }")).toEqual([]);
    expect(paths(`exports${Array.from({ length: 3_000 }, () => ".a\n").join("")} = () => 1`, "javascript")).toEqual([]);
    expect(scanExports(`export const a = ${"(\n".repeat(100_000)}`, "javascript").parsed).toBe(false);
  });

  it("never makes it throw", () => {
    const source = `import a, { b } from "./x"; /** @param {{ x: string }} [p=1] text */ export default @dec class C<T> { @dec() static async *m(this: C, { a = 1, ...b }: O = {}, ...[c]: T[]): void {} static get x() { return 1 } static #y = () => 2; }
export const f = memo(async (x) => <T>x) as never, { g, h: [i] } = j; export { f as default, type k, "a b" as l, b } from "./x"; export = { m() {}, n, ...o }; module.exports = exports = f; exports["x"].y = function* () {}; const f = f2, f2 = f; export { f };`;
    const language = fc.constantFrom<ScanLanguage>("typescript", "typescriptreact", "javascript", "javascriptreact");
    const position = fc.nat(source.length);
    fc.assert(
      fc.property(
        language,
        position,
        position,
        fc.string({ maxLength: 3, unit: "binary" }),
        (language, from, to, added) => {
          const readModule = () => source.slice(0, to);
          for (const text of [source.slice(0, from), source.slice(0, from) + added + source.slice(to)]) {
            const { functions, parsed } = scanExports(text, language, { readModule });
            if (!parsed) expect(functions).toEqual([]);
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe("the cache of scans", () => {
  const open = (uri: string, version: number, text: string) => ({
    uri,
    version,
    text: () => text,
    language: "typescript" as const,
  });
  const at = (
    functions: readonly {
      exportPath: string;
      at: { line: number };
      nameRange: { startLine: number; endLine: number };
    }[],
  ) =>
    functions.map(({ exportPath, at, nameRange }) => {
      expect([nameRange.startLine, nameRange.endLine]).toEqual([at.line, at.line]);
      return [exportPath, at.line];
    });
  const good = "// top\nexport function f() {}\n\nexport function g() {}\n\nexport function h() {}\n";

  it("scans a version once", () => {
    const cache = createScanCache();
    let reads = 0;
    const document = { ...open("a", 1, good), text: () => (reads++, good) };
    expect(cache.scan(document)).toBe(cache.scan(document));
    expect(reads).toBe(1);
    cache.scan({ ...document, version: 2 });
    expect(reads).toBe(2);
    cache.forget("a");
    cache.scan({ ...document, version: 2 });
    expect(reads).toBe(3);
  });

  it("keeps the functions while the text does not parse, on the lines they have moved to", () => {
    const cache = createScanCache();
    expect(at(cache.scan(open("a", 1, good)))).toEqual([
      ["f", 1],
      ["g", 3],
      ["h", 5],
    ]);
    const typing = good.replace("\n\nexport function g", "\n\nconst x =\nif (\n\nexport function g");
    expect(at(cache.scan(open("a", 2, typing)))).toEqual([
      ["f", 1],
      ["g", 6],
      ["h", 8],
    ]);
    expect(at(cache.scan(open("a", 3, good.replace("g() {}", "g( {}"))))).toEqual([
      ["f", 1],
      ["g", 3],
      ["h", 5],
    ]);
    expect(
      at(cache.scan(open("a", 4, good.replace("export function g() {}\n\n", "").replace("h() {}", "h() {")))),
    ).toEqual([
      ["f", 1],
      ["h", 3],
    ]);
    expect(at(cache.scan(open("a", 5, good.replace("export function g() {}\n", ""))))).toEqual([
      ["f", 1],
      ["h", 4],
    ]);
    expect(at(cache.scan(open("a", 6, "(")))).toEqual([]);
    expect(cache.scan(open("b", 1, "export function f("))).toEqual([]);
  });

  it("keeps them when there are fewer in a text with errors, but not those that were deleted", () => {
    const cache = createScanCache();
    cache.scan(open("a", 1, good));
    const hidden = good.replace("export function g", "let a; let a; function g");
    expect(at(cache.scan(open("a", 2, hidden)))).toEqual([
      ["f", 1],
      ["g", 3],
      ["h", 5],
    ]);
    expect(at(cache.scan(open("a", 3, good.replace("export function g", "function g"))))).toEqual([
      ["f", 1],
      ["h", 5],
    ]);
    cache.scan(open("a", 4, good));
    expect(at(cache.scan(open("a", 5, good.replace("export function g() {}\n", "let a; let a;\n"))))).toHaveLength(3);
    const more = `${good}let a; let a;\nexport function i() {}\n`;
    expect(at(cache.scan(open("a", 6, more)))).toHaveLength(4);
  });

  it("holds a limited number of documents, those asked for last", () => {
    const cache = createScanCache(2);
    const first = cache.scan(open("a", 1, good));
    const second = cache.scan(open("b", 1, good));
    expect(cache.scan(open("a", 1, good))).toBe(first);
    cache.scan(open("c", 1, good));
    expect(cache.scan(open("a", 1, good))).toBe(first);
    expect(cache.scan(open("b", 1, good))).not.toBe(second);
  });
});
