import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { bundle, disposeBundler, type Bundle } from "../../runtime/bundle/bundle.ts";
import { fileHashes, project, run, temporaryFolder, textOf, unpack, write } from "../support/bundleProject.ts";

afterAll(disposeBundler);

const assets = (made: Bundle) => Object.keys(fileHashes(made, "asset"));

describe("a module's place", () => {
  test("is its path under src/ in the bundle, for each module of a chunk and each way to ask", async () => {
    const folder = project({
      "src/app.ts": `import * as esm from "./lib/esm.mts"; import * as cjs from "./lib/cjs.cjs"; import * as typed from "./lib/typed.cts"; import { at } from "pkg"; import { at as at2 } from "@s/pkg";
        const early = () => import.meta["url"];
        export const all = { own: [import.meta.url, import.meta.dirname, import.meta.filename, typeof __dirname, early()], ...esm, ...cjs, typed, at, at2,
          shadowed: ((__dirname: string) => __dirname)("mine"), text: "import.meta.url __dirname" };`,
      "src/lib/esm.mts": `export const esm = [import.meta.url, __filename];`,
      "src/lib/cjs.cjs": `#!/usr/bin/env node\n"use strict"; exports.cjs = [__dirname, __filename];`,
      "src/lib/typed.cts": `export = { here: __dirname as string };`,
      "node_modules/pkg/package.json": `{"name":"pkg","main":"lib/i.js"}`,
      "node_modules/pkg/lib/i.js": `exports.at = __filename;`,
      "node_modules/@s/pkg/package.json": `{"name":"@s/pkg","type":"module","main":"i.js"}`,
      "node_modules/@s/pkg/i.js": `export const at = import.meta.url;`,
    });
    const made = await bundle(join(folder, "src/app.ts"));
    const at = unpack(made);
    const src = join(at, "src");
    expect(await run(made, "m.all", at)).toEqual({
      own: [`file://${src}/src/app.ts`, `${src}/src`, `${src}/src/app.ts`, "string", `file://${src}/src/app.ts`],
      esm: [`file://${src}/src/lib/esm.mts`, `${src}/src/lib/esm.mts`],
      cjs: [`${src}/src/lib`, `${src}/src/lib/cjs.cjs`],
      default: { cjs: [`${src}/src/lib`, `${src}/src/lib/cjs.cjs`] },
      typed: { default: { here: `${src}/src/lib` }, here: `${src}/src/lib` },
      at: `${src}/node_modules/pkg/lib/i.js`,
      at2: `file://${src}/node_modules/@s/pkg/i.js`,
      shadowed: "mine",
      text: "import.meta.url __dirname",
    });
  });

  test("is known to a function called before the module has run, in a circle of imports", async () => {
    const folder = project({
      "a.ts": `import { early } from "./b.ts"; export function where() { return import.meta.filename.split("/").at(-1); } export { early };`,
      "b.ts": `import { where } from "./a.ts"; export const early = where();`,
    });
    expect(await run(await bundle(join(folder, "a.ts")), "m.early")).toBe("a.ts");
  });

  test("may have characters that mean something in a URL", async () => {
    const folder = project({ "a #1?/ä%20.ts": `export const read = [import.meta.filename.split("/").slice(-2)];` });
    expect(await run(await bundle(join(folder, "a #1?/ä%20.ts")), "m.read")).toEqual([["a #1?", "ä%20.ts"]]);
  });
});

describe("files beside the source", () => {
  test("that it names statically are in the bundle, and are read there", async () => {
    const forms = {
      url: `new URL("./d/url.txt", import.meta.url)`,
      plainUrl: `new URL('d/plain%20url.txt?x#y', import.meta.url)`,
      dirname: `join(__dirname, "d", "dirname.txt")`,
      meta: `path.join(import.meta.dirname, "./d/meta.txt")`,
      resolved: `path.resolve(import.meta.dirname, 'd', \`resolved.txt\`)`,
      plus: `__dirname + "/d/plus.txt"`,
      template: `\`\${import.meta.dirname}/d/template.txt\``,
      classic: `join(dirname(fileURLToPath(import.meta.url)), "d/classic.txt")`,
      held: `join(here, "d/held.txt")`,
      heldPlus: `here + "/d/heldPlus.txt"`,
      up: `join(__dirname, "../up.txt")`,
      partly: `join(__dirname, \`partly/\${"file"}\`, "x.txt")`,
      added: `__dirname + "/added/f" + "ile.txt"`,
    };
    const names = Object.fromEntries(
      Object.keys(forms).map((name) => [`src/d/${name === "plainUrl" ? "plain url" : name}.txt`, name]),
    );
    for (const name of ["partly", "added", "up"]) delete names[`src/d/${name}.txt`];
    Object.assign(names, { "src/partly/file/x.txt": "partly", "src/added/file.txt": "added" });
    const folder = project({
      ...names,
      "up.txt": "up",
      "src/d/unnamed.txt": "unnamed",
      "src/a.ts": `import { readFileSync } from "node:fs"; import path, { dirname, join } from "node:path"; import { fileURLToPath } from "node:url";
        const here = dirname(fileURLToPath(import.meta.url));
        // not this one: join(__dirname, "d/unnamed.txt")
        export const absent = join(__dirname, "written-later.txt"); export const root = join(__dirname, "..");
        export const all = () => Object.fromEntries(Object.entries({ ${Object.entries(forms)
          .map(([name, form]) => `${name}: ${form}`)
          .join(", ")} }).map(([k, f]) => [k, readFileSync(f, "utf8")]));`,
    });
    const made = await bundle(join(folder, "src/a.ts"));
    expect(await run(made, "m.all()")).toEqual(Object.fromEntries(Object.keys(forms).map((name) => [name, name])));
    expect(assets(made)).toEqual([...Object.keys(names), "up.txt"].map((path) => `src/${path}`).toSorted());
  });

  test("may be folders, and one is followed by changes of its files", async () => {
    const folder = project({
      "data/1.txt": "one",
      "data/deep/2.txt": "two",
      "data/.git/config": "no",
      "pages/p-1.html": "p1",
      "a.ts": `import { readFileSync, readdirSync } from "node:fs"; import { join } from "node:path";
        export const f = (name: string) => readFileSync(join(import.meta.dirname, "data", name), "utf8");
        export const page = (n: number) => readFileSync(new URL(\`./pages/p-\${n}.html\`, import.meta.url), "utf8"); `,
    });
    const file = join(folder, "a.ts");
    const made = await bundle(file);
    expect(assets(made)).toEqual(["src/data/1.txt", "src/data/deep/2.txt", "src/pages/p-1.html"]);
    expect(await run(made, `[m.f("deep/2.txt"), m.page(1)]`)).toEqual(["two", "p1"]);
    write(folder, { "data/1.txt": "changed", "data/3.txt": "new" });
    const after = await bundle(file);
    expect(after.hash).not.toBe(made.hash);
    expect(await run(after, `[m.f("1.txt"), m.f("3.txt")]`)).toEqual(["changed", "new"]);
    expect(fileHashes(after, "own")).toEqual(fileHashes(made, "own"));
  });

  test("of a package come along at their place in the package, without what may be secret", async () => {
    const folder = project({
      "a.ts": `export { text } from "pkg";`,
      "node_modules/pkg/package.json": `{"name":"pkg","main":"lib/i.js"}`,
      "node_modules/pkg/lib/i.js": `const p = require("path"), fs = require("fs"); exports.text = fs.readFileSync(p.join(__dirname, "..", "data", "x.txt"), "utf8");
        exports.never = () => [p.join(__dirname, "../.env"), p.join(__dirname, "../../other/x.txt"), p.join(__dirname, "..")];`,
      "node_modules/pkg/data/x.txt": "from the package",
      "node_modules/pkg/.env": "SECRET",
      "node_modules/other/x.txt": "not yours",
    });
    const made = await bundle(join(folder, "a.ts"));
    expect(assets(made)).toEqual(["src/node_modules/pkg/data/x.txt"]);
    expect(await run(made, "m.text")).toBe("from the package");
  });

  test("are refused where they may hold secrets or lie outside of the project", async () => {
    const outside = temporaryFolder();
    writeFileSync(join(outside, "o.txt"), "outside");
    const folder = project({
      ".env.production": "x",
      "keys/server.pem": "x",
      "keys/id_rsa": "x",
      ".npmrc": "x",
      ".aws/credentials": "x",
      "conf/.ssh/known": "x",
      "ok.txt": "x",
    });
    symlinkSync(join(outside, "o.txt"), join(folder, "link.txt"));
    symlinkSync(join(folder, ".npmrc"), join(folder, "innocent.txt"));
    const refused: [string, RegExp][] = [
      [".env.production", /secrets/],
      ["keys/server.pem", /secrets/],
      ["keys", /secrets/],
      [".npmrc", /secrets/],
      [".aws/credentials", /secrets/],
      [".aws", /secrets/],
      ["conf", /secrets/],
      ["innocent.txt", /secrets/],
      ["link.txt", /outside/],
      [`../${basename(outside)}/o.txt`, /outside/],
    ];
    for (const [path, why] of refused) {
      write(folder, {
        "a.ts": `import { join } from "node:path";\nexport const f = join(__dirname, "ok.txt");\nexport const g = join(__dirname, "${path}");`,
      });
      await expect(bundle(join(folder, "a.ts")), path).rejects.toMatchObject({ code: "bundle.compile", message: why });
      await expect(bundle(join(folder, "a.ts")), path).rejects.toThrow(/a\.ts:3:18: /);
    }
    write(folder, { "secret/.env.ts": "export const s = 1;", "a.ts": `export { s } from "./secret/.env.ts";` });
    await expect(bundle(join(folder, "a.ts"))).rejects.toMatchObject({ code: "bundle.compile", message: /secrets/ });
  });

  test("are refused when they are too many", async () => {
    const folder = project({ "a.ts": `export const f = new URL("./many/", import.meta.url);` });
    mkdirSync(join(folder, "many"));
    for (let i = 0; i <= 2_000; i++) writeFileSync(join(folder, "many", `${i}`), "");
    await expect(bundle(join(folder, "a.ts"))).rejects.toMatchObject({
      code: "bundle.compile",
      message: /a\.ts:1:18: .*more than 2000/,
    });
  });
});

describe("a WebAssembly import", () => {
  // (module (import "./env.ts" "add_one" (func (param i32) (result i32))) (global (export "g") i32 (i32.const 42))
  //   (func (export "two_more") (param i32) (result i32) local.get 0 call 0 call 0))
  const name = (text: string) => [text.length, ...Buffer.from(text)];
  const section = (id: number, ...bytes: number[]) => [id, bytes.length, ...bytes];
  const wasm = (from: string) =>
    Uint8Array.from([
      0,
      0x61,
      0x73,
      0x6d,
      1,
      0,
      0,
      0,
      ...section(1, 1, 0x60, 1, 0x7f, 1, 0x7f),
      ...section(2, 1, ...name(from), ...name("add_one"), 0, 0),
      ...section(3, 1, 0),
      ...section(6, 1, 0x7f, 0, 0x41, 42, 0x0b),
      ...section(7, 2, ...name("g"), 3, 0, ...name("two_more"), 0, 1),
      ...section(10, 1, 8, 0, 0x20, 0, 0x10, 0, 0x10, 0, 0x0b),
    ]);

  test("gives the exports of an instance, linked with modules, and the compiled module", async () => {
    const folder = project({
      "lib/a.wasm": wasm("./env.ts"),
      "lib/env.ts": `export const add_one = (n: number) => n + 1;`,
      "a.ts": `import module, { two_more, g } from "./lib/a.wasm"; import * as all from "./lib/a.wasm";
        export const f = () => [two_more(3), g, module instanceof WebAssembly.Module, Object.keys(all)];`,
    });
    const made = await bundle(join(folder, "a.ts"));
    expect(assets(made)).toEqual(["src/lib/a.wasm"]);
    expect(await run(made, "m.f()")).toEqual([5, 42, true, ["default", "g", "two_more"]]);
  });

  test("gives the compiled module alone when its imports are not modules", async () => {
    const folder = project({
      "a.wasm": wasm("env"),
      "bad.wasm": "text",
      "a.ts": `import module from "./a.wasm"; export const f = () => new WebAssembly.Instance(module, { env: { add_one: (n: number) => n + 2 } }).exports.two_more(1);`,
      "named.ts": `import { g } from "./a.wasm"; export const x = g;`,
      "bad.ts": `export { default } from "./bad.wasm";`,
    });
    expect(await run(await bundle(join(folder, "a.ts")), "m.f()")).toBe(5);
    await expect(bundle(join(folder, "named.ts"))).rejects.toMatchObject({
      code: "bundle.compile",
      message: /named\.ts:1:/,
    });
    await expect(bundle(join(folder, "bad.ts"))).rejects.toMatchObject({
      code: "bundle.compile",
      message: /not a WebAssembly module/,
    });
  });

  test("of a package works as well, and one that nothing uses stays away", async () => {
    const folder = project({
      "node_modules/pkg/package.json": `{"name":"pkg","type":"module","main":"i.js","sideEffects":false}`,
      "node_modules/pkg/i.js": `export { two_more } from "./w/p.wasm";`,
      "node_modules/pkg/env.ts": "",
      "node_modules/pkg/w/env.ts": `export const add_one = (n) => n + 1;`,
      "node_modules/pkg/w/p.wasm": wasm("./env.ts"),
      "a.ts": `export { two_more } from "pkg";`,
      "unused.ts": `import module from "./u.wasm"; export const x = 1;`,
      "u.wasm": wasm("env"),
    });
    const made = await bundle(join(folder, "a.ts"));
    expect(assets(made)).toEqual(["src/node_modules/pkg/w/p.wasm"]);
    expect(await run(made, "m.two_more(5)")).toBe(7);
    const unused = await bundle(join(folder, "unused.ts"));
    expect(assets(unused)).toEqual([]);
    expect(textOf(unused, "entry.js")).not.toContain("WebAssembly");
  });
});
