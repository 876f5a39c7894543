import { chmodSync, mkdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { bundle, disposeBundler } from "../../runtime/bundle/bundle.ts";
import { project, textOf } from "../support/bundleProject.ts";

afterAll(disposeBundler);

const versionOf = (name: string): string =>
  (
    JSON.parse(readFileSync(new URL(`../../node_modules/${name}/package.json`, import.meta.url), "utf8")) as {
      version: string;
    }
  ).version;

const dep = (name: string, files: Record<string, string>, more = "") =>
  Object.fromEntries(
    Object.entries({ "package.json": `{"name":"${name}","version":"1.2.3"${more}}`, "index.js": "", ...files }).map(
      ([path, text]) => [`node_modules/${name}/${path}`, text],
    ),
  );

describe("an external package", () => {
  test("is one that is requested, with its subpaths, in own and third-party code", async () => {
    const folder = project({
      ...dep("kept", { "sub.js": "" }),
      ...dep("@scope/kept", {}),
      ...dep("user", { "index.js": `require("kept/sub.js")` }),
      "a.ts": `import "kept"; import x from "@scope/kept/deep"; import "user"; export const f = () => [x, import("kept/sub.js")];`,
    });
    const made = await bundle(join(folder, "a.ts"), { reqs: ["kept@^1", "@scope/kept", "absent@2"] });
    expect(made.external).toEqual([
      { name: "kept", version: "1.2.3", why: "requested" },
      { name: "@scope/kept", version: "1.2.3", why: "requested" },
      { name: "absent", version: undefined, why: "requested" },
    ]);
    const code = textOf(made, "entry.js");
    for (const specifier of [`"kept"`, `"@scope/kept/deep"`, `import("kept/sub.js")`])
      expect(code).toContain(specifier);
    const vendor = made.manifest.files
      .filter(({ kind }) => kind === "vendor")
      .map(({ path }) => textOf(made, path))
      .join("");
    expect(vendor).toContain(`__require("kept/sub.js")`);
  });

  test("is one with native code, however it shows", async () => {
    const folder = project(
      {
        ...dep("gyp", { "binding.gyp": "{}" }),
        ...dep("built", { "build/Release/x.node": "" }),
        ...dep("prebuilt", { "prebuilds/linux-x64/x.node": "" }),
        ...dep("flag", {}, `,"gypfile":true`),
        ...dep("beside", { "x.node": "" }),
        ...dep("@img/fast", {}, `,"optionalDependencies":{"@img/fast-linuxmusl-x64":"1"}`),
        ...dep("hidden", { "index.js": `require("./bin/x.node")`, "bin/x.node": "" }),
        ...dep(
          "plain",
          { "index.js": `require("deep-native"); exports.x = 1;` },
          `,"optionalDependencies":{"fsevents":"1"}`,
        ),
        ...dep("deep-native", { "binding.gyp": "{}" }),
        "a.ts": `import "gyp"; import "built"; import "prebuilt/sub"; import "flag"; import "beside"; import "@img/fast"; import "hidden"; import "plain"; import { build } from "esbuild"; import "oxlint";
          export const f = build;`,
        "node_modules/prebuilt/sub.js": "",
      },
      ["esbuild", "oxlint"],
    );
    const made = await bundle(join(folder, "a.ts"));
    const native = ["gyp", "built", "prebuilt", "flag", "beside", "@img/fast", "hidden", "deep-native"].map((name) => ({
      name,
      version: "1.2.3",
      why: "native",
    }));
    expect(made.external.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual(
      [...native, ...["esbuild", "oxlint"].map((name) => ({ name, version: versionOf(name), why: "native" }))].toSorted(
        (a, b) => (a.name < b.name ? -1 : 1),
      ),
    );
    expect(textOf(made, "entry.js")).toMatch(/from "esbuild"/);
    const vendor = made.manifest.files
      .filter(({ kind }) => kind === "vendor")
      .map(({ path }) => textOf(made, path))
      .join("");
    expect(vendor).toContain(`__require("deep-native")`);
    expect(vendor).not.toContain("x.node");
    expect(textOf(made, "entry.js")).toContain(`import "hidden"`);
  });
});

describe("code that cannot be bundled", () => {
  const compileError = async (files: Record<string, string>): Promise<{ message: string; hint: string }> => {
    const folder = project(files);
    const error = await bundle(join(folder, "a.ts")).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: "bundle.compile", exitStatus: 2 });
    const { message, hint } = error as { message: string; hint: string };
    return { message: message.replaceAll(relative(process.cwd(), folder), "PROJECT"), hint };
  };

  test("is told with file, line, column and the line itself", async () => {
    const { message } = await compileError({ "a.ts": `export const ü = 1;\n\texport const ä = 2; const = 3;\n` });
    expect(message).toContain(
      'PROJECT/a.ts:2:28: Expected identifier but found "="\n    \texport const ä = 2; const = 3;\n    \t',
    );
    expect(message.split("\n").at(-1)).toBe(`    \t${" ".repeat(26)}^`);
  });

  test("says which import is not found, in own code, deeper, and in a package", async () => {
    const own = await compileError({
      "a.ts": `import "./b.ts"; import "./missing.ts"; import "absent/sub";`,
      "b.ts": `\nimport "no-such";`,
    });
    expect(own.message).toContain(`PROJECT/a.ts:1:25: Could not resolve "./missing.ts"`);
    expect(own.message).toContain(`PROJECT/b.ts:2:8: Could not resolve "no-such"`);
    expect(own.message).toContain(`PROJECT/a.ts:1:48: Could not resolve "absent/sub"`);
    expect(own.hint).toMatch(/reqs/);
    const deep = await compileError({ "a.ts": `import "dep";`, ...dep("dep", { "index.js": `require("gone")` }) });
    expect(deep.message).toContain(`PROJECT/node_modules/dep/index.js:1:9: Could not resolve "gone"`);
  });

  test("says which name an import does not have", async () => {
    const { message } = await compileError({
      "a.ts": `import { nope } from "dep"; export const x = nope;`,
      ...dep("dep", { "index.js": `export const yes = 1;` }),
    });
    expect(message).toContain("PROJECT/a.ts:1:10: No matching export");
    expect(message).toContain(`"nope"`);
  });

  test("names a native addon that own code imports itself", async () => {
    const { message } = await compileError({ "a.ts": `import addon from "./x.node"; export { addon };`, "x.node": "" });
    expect(message).toMatch(/PROJECT\/a\.ts:1:19: .*native addon/);
  });

  test("is no file, a folder, a file that may not be read, or none that can be bundled", async () => {
    const folder = project({ "locked.ts": "export {}", "x.py": "x" });
    mkdirSync(join(folder, "dir.ts"));
    await expect(bundle(join(folder, "none.ts"))).rejects.toMatchObject({
      code: "bundle.file-missing",
      message: /none\.ts: there is no such file/,
    });
    await expect(bundle(join(folder, "x.py", "a.ts"))).rejects.toMatchObject({ code: "bundle.file-missing" });
    await expect(bundle(join(folder, "dir.ts"))).rejects.toMatchObject({
      code: "bundle.file-missing",
      message: /folder/,
    });
    await expect(bundle(join(folder, "x.py"))).rejects.toMatchObject({ code: "bundle.compile", message: /No loader/ });
    chmodSync(join(folder, "locked.ts"), 0);
    if (process.getuid?.() !== 0)
      await expect(bundle(join(folder, "locked.ts"))).rejects.toMatchObject({
        code: "bundle.file-missing",
        message: /permission/,
      });
  });

  test("bundles again once it is corrected", async () => {
    const folder = project({ "a.ts": `export const x = ;` });
    await expect(bundle(join(folder, "a.ts"))).rejects.toMatchObject({ code: "bundle.compile" });
    project({ "a.ts": `export const x = 1;` }, [], folder);
    expect((await bundle(join(folder, "a.ts"))).exports).toEqual(["x"]);
  });
});
