import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { bundle, checkExport, disposeBundler } from "../../runtime/bundle/bundle.ts";
import { workerApi } from "../../runtime/bundle/workerApi.ts";
import { project, run, temporaryFolder, textOf, unpack } from "../support/bundleProject.ts";

afterAll(disposeBundler);

const dep = (name: string, main: string, files: Record<string, string>, more = "") =>
  Object.fromEntries(
    Object.entries({ "package.json": `{"name":"${name}","version":"1.2.3","main":"${main}"${more}}`, ...files }).map(
      ([path, text]) => [`node_modules/${name}/${path}`, text],
    ),
  );

describe("the source file", () => {
  test("may be TypeScript, TSX, JSX or JavaScript, with aliases of tsconfig.json, JSON and text", async () => {
    const folder = project({
      "tsconfig.json": `{ "compilerOptions": { "baseUrl": ".", "paths": { "@lib/*": ["lib/*"], "alias": ["lib/one.ts"] }, "jsx": "react", "jsxFactory": "h" } }`,
      "a.ts": `import { one } from "@lib/one"; import { one as again } from "alias"; import { box } from "./view.tsx"; import { old } from "./old.jsx";
        import data from "./data.json" with { type: "json" }; import md from "./x.md"; import sql from "./q.sql"; import html from "./p.html";
        import css from "./c.css"; import gql from "./g.graphql"; import txt from "./t.txt";
        const late = await Promise.resolve("late");
        export const all = () => [one, again, box, old, data.n, md, sql, html, css, gql, txt, late];`,
      "lib/one.ts": `export enum E { A = 1 } export const one: number = E.A;`,
      "view.tsx": `const h = (tag: string) => tag; export const box = <b/>;`,
      "old.jsx": `const h = (tag) => tag; export const old = <i/>;`,
      "data.json": `{"n":5}`,
      "x.md": "# md",
      "q.sql": "select 1",
      "p.html": "<p>",
      "c.css": "a{}",
      "g.graphql": "{a}",
      "t.txt": "ä",
    });
    const made = await bundle(join(folder, "a.ts"));
    expect(await run(made, "m.all()")).toEqual([
      1,
      1,
      "b",
      "i",
      5,
      "# md",
      "select 1",
      "<p>",
      "a{}",
      "{a}",
      "ä",
      "late",
    ]);
    expect(made.manifest.files.map(({ path }) => path)).toEqual(["entry.js", "entry.js.map"]);
  });

  test("may import parts of itself later, which share state with the rest", async () => {
    const folder = project({
      "a.ts": `import { add } from "./state.ts"; add(1); export const f = async () => { (await import("./late.ts")).more(); return (await import("./state.ts")).total(); };`,
      "late.ts": `import { add } from "./state.ts"; export const more = () => add(10);`,
      "state.ts": `let n = 0; export const add = (x: number) => void (n += x); export const total = () => n;`,
    });
    expect(await run(await bundle(join(folder, "a.ts")), "m.f()")).toBe(11);
  });

  test("may be CommonJS, whose exports are known where the text tells them", async () => {
    const folder = project({
      "named.cjs": `exports.twice = (x) => 2 * x; module.exports.half = (x) => x / 2;`,
      "object.cjs": `const twice = (x) => 2 * x; module.exports = { twice };`,
      "function.cjs": `module.exports = (x) => 3 * x;`,
      "mixed.cjs": `const a = 1; module.exports = { a, b: () => 2, c() { return 3 } };`,
      "all.cjs": `module.exports = require("./object.cjs");`,
      "typed.cts": `const n: number = 4; export = { four() { return n } };`,
    });
    const named = await bundle(join(folder, "named.cjs"));
    expect(named.manifest.commonJs).toBe(true);
    expect(named.exports?.toSorted()).toEqual(["default", "half", "twice"]);
    expect(await run(named, "[m.twice(4), m.half(4)]")).toEqual([8, 2]);
    expect(() => checkExport(named, "thrice")).toThrow(/no export "thrice"/);
    expect((await bundle(join(folder, "object.cjs"))).exports).toContain("twice");
    const typed = await bundle(join(folder, "typed.cts"));
    expect(typed.manifest.commonJs).toBe(true);
    expect(await run(typed, "m.four()")).toBe(4);
    for (const name of ["function.cjs", "all.cjs", "mixed.cjs"]) {
      const made = await bundle(join(folder, name));
      expect(made.exports).toBeUndefined();
      checkExport(made, "anything");
    }
    expect(await run(await bundle(join(folder, "function.cjs")), "m(5)")).toBe(15);
  });

  test("exports what it has at run time: no types, and nothing certain behind an external `export *`", async () => {
    const folder = project({
      "a.ts": `export { T, value } from "./types.ts"; export default function () {} export const { x, y: [z] } = { x: 1, y: [2] }; export * from "./types.ts"; export * as ns from "./types.ts"; const q = 1; export { q as "a b" };`,
      "types.ts": `export type T = 1; export interface I {} export const value = 1; export const star = 2;`,
      "open.ts": `export * from "node:path"; export const own = 1;`,
    });
    const made = await bundle(join(folder, "a.ts"));
    expect(made.exports?.toSorted()).toEqual(["a b", "default", "ns", "star", "value", "x", "z"]);
    expect((await bundle(join(folder, "open.ts"))).exports).toBeUndefined();
  });
});

describe("third-party code", () => {
  test("is imported as in Node, whether it is an ECMAScript or a CommonJS module", async () => {
    const folder = project({
      ...dep(
        "esm",
        "i.js",
        {
          "i.js": `export const a = 1; export default "esm"; export let n = 0; export const up = () => ++n;`,
          "sub.js": `export { n as m } from "./i.js";`,
        },
        `,"type":"module"`,
      ),
      ...dep("cjs", "i.js", {
        "i.js": `module.exports = function f() { return "called" }; module.exports.prop = "p";`,
      }),
      ...dep("babel", "i.js", {
        "i.js": `Object.defineProperty(exports, "__esModule", { value: true }); exports.default = "d"; exports.named = "n";`,
      }),
      ...dep(
        "mixed",
        "i.js",
        {
          "i.js": `export * from "./c.cjs"; export const own = "o";`,
          "c.cjs": `for (const k of ["x", "y"]) exports[k] = k;`,
        },
        `,"type":"module"`,
      ),
      "a.ts": `import esm, { a, up, n } from "esm"; import * as all from "esm"; import { m } from "esm/sub.js";
        import f, { prop } from "cjs"; import * as cjs from "cjs"; import babel, { named } from "babel"; import { x, own } from "mixed";
        import { viaRequire } from "./b.cjs";
        up();
        export const get = async () => [esm, a, n, m, all.n, f(), prop, cjs.prop, typeof babel, named, x, own, (await import("esm")).default, (await import("cjs")).default(), viaRequire()];`,
      "b.cjs": `exports.viaRequire = () => [require("cjs")(), require("cjs").prop, require("esm").n, require("babel").default];`,
    });
    const made = await bundle(join(folder, "a.ts"));
    expect(await run(made, "m.get()")).toEqual([
      "esm",
      1,
      1,
      1,
      1,
      "called",
      "p",
      "p",
      "object",
      "n",
      "x",
      "o",
      "esm",
      "called",
      ["called", "p", 1, "d"],
    ]);
    expect(made.external).toEqual([]);
  });

  test("that own code requires runs when it is required, and once", async () => {
    const folder = project({
      ...dep("late", "i.js", { "i.js": `globalThis.order.push("dep"); exports.x = 1;` }),
      "a.cjs": `globalThis.order = ["own"]; const f = () => require("late").x + require("late").x; exports.get = () => { globalThis.order.push("call"); return [f(), globalThis.order]; };`,
    });
    expect(await run(await bundle(join(folder, "a.cjs")), "m.get()")).toEqual([2, ["own", "call", "dep"]]);
  });

  test("is one instance for own code and for other packages, also at its real size", async () => {
    const folder = project(
      {
        ...dep("registry", "i.js", { "i.js": `exports.list = [];` }),
        ...dep("plugin", "i.js", { "i.js": `require("registry").list.push("plugin");` }),
        "a.ts": `import { list } from "registry"; import "plugin"; import * as v from "valibot"; import { WebSocketServer } from "ws";
          list.push("own"); export const f = () => [list, v.parse(v.string(), "s"), typeof WebSocketServer];`,
      },
      ["valibot", "ws"],
    );
    expect(await run(await bundle(join(folder, "a.ts")), "m.f()")).toEqual([["plugin", "own"], "s", "function"]);
  });

  test("that asks for `require` by name at run time finds the one of the worker", async () => {
    const folder = project({
      ...dep("dynamic", "i.js", {
        "i.js": `const name = "f" + "s"; exports.ok = typeof require(name).readFileSync; try { require("not-installed-" + name) } catch (e) { exports.code = e.code }`,
      }),
      "a.ts": `export { ok, code } from "dynamic";`,
    });
    expect(await run(await bundle(join(folder, "a.ts")), "[m.ok, m.code]")).toEqual(["function", "MODULE_NOT_FOUND"]);
  });

  test("may lack what it asks for only in a try block", async () => {
    const folder = project({
      ...dep("optional", "i.js", {
        "i.js": `try { exports.x = require("missing-peer") } catch { exports.x = "without" }`,
      }),
      "a.ts": `export { x } from "optional";`,
    });
    expect(await run(await bundle(join(folder, "a.ts")), "m.x")).toBe("without");
  });
});

test("a workspace package reached through a link is own code", async () => {
  const folder = temporaryFolder();
  project(
    {
      "common.ts": `import { d } from "d"; export const shared = () => [d, import.meta.url.split("/src/")[1]];`,
      "package.json": `{"name":"@my/common","type":"module","exports":"./common.ts"}`,
      ...dep("d", "i.js", { "i.js": "exports.d = 7" }),
    },
    [],
    join(folder, "packages/common"),
  );
  project(
    { "a.ts": `export { shared } from "@my/common";`, "node_modules/@my/x.txt": "" },
    [],
    join(folder, "packages/app"),
  );
  symlinkSync(join(folder, "packages/common"), join(folder, "packages/app/node_modules/@my/common"));
  const made = await bundle(join(folder, "packages/app/a.ts"));
  expect(await run(made, "m.shared()")).toEqual([7, "node_modules/@my/common/common.ts"]);
  expect(textOf(made, "entry.js")).toContain("shared = ");
  expect(JSON.parse(textOf(made, "entry.js.map")).sources).toContain("../common/common.ts");
});

test("a project that is itself installed in a node_modules folder is own code", async () => {
  const folder = join(temporaryFolder(), "node_modules", "app");
  project(
    {
      "a.ts": `import { b } from "#b"; export { d } from "d"; export const f = () => b;`,
      "b.ts": `export const b = import.meta.url.split("/src/")[1];`,
      "package.json": `{"name":"app","type":"module","imports":{"#b":"./b.ts"}}`,
      ...dep("d", "i.js", { "i.js": "exports.d = 7" }),
    },
    [],
    folder,
  );
  const made = await bundle(join(folder, "a.ts"));
  expect(await run(made, "[m.f(), m.d]")).toEqual(["b.ts", 7]);
  expect(JSON.parse(textOf(made, "entry.js.map")).sources).toEqual(expect.arrayContaining(["a.ts", "b.ts"]));
});

describe("farcall in a bundle", () => {
  const source = `import { context, cluster, runs, FarcallError } from "farcall"; import { viaDep } from "uses-farcall";
    export const index = () => [context().index, viaDep()];
    export const bad = (what: number) => { try { [() => cluster({}), () => runs.open("x"), () => context()][what]!() } catch (e) { return [e instanceof FarcallError, (e as Error).message] } };`;
  const files = {
    "a.ts": source,
    ...dep("uses-farcall", "i.mjs", {
      "i.mjs": `import { context } from "farcall"; export const viaDep = () => context().index;`,
    }),
  };

  test("is only what a worker can do, and no third-party code", async () => {
    const made = await bundle(join(project(files), "a.ts"));
    const folder = unpack(made);
    const worker = `globalThis[Symbol.for("farcall.worker")] = { context: () => ({ index: 7 }) }`;
    expect(await run(made, `(${worker}, m.index())`, folder)).toEqual([7, 7]);
    expect(await run(made, "[0, 1, 2].map(m.bad)", folder)).toEqual([
      [false, "cluster of farcall cannot be used inside a worker."],
      [false, "runs of farcall cannot be used inside a worker."],
      [false, "context() of farcall works only in a function that Farcall runs in a worker."],
    ]);
    expect(made.external).toEqual([]);
  });

  test("has every name of the list, and a name outside of it does not compile", async () => {
    const folder = project({
      "all.ts": `export * from "farcall";`,
      "bad.ts": `import { nothing } from "farcall"; export const x = nothing;`,
    });
    expect((await bundle(join(folder, "all.ts"))).exports?.toSorted()).toEqual(Object.keys(workerApi).toSorted());
    await expect(bundle(join(folder, "bad.ts"))).rejects.toMatchObject({ code: "bundle.compile", message: /nothing/ });
  });
});
