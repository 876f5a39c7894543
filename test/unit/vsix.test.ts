import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectedFiles, surprises } from "../../scripts/packaging/contents.ts";
import { stage, withoutLocalLinks } from "../../scripts/packaging/stage.ts";
import { currentTarget, esbuildProgram } from "../../scripts/packaging/targets.ts";
import { packageVsix } from "../../scripts/packaging/vsix.ts";
import { zipEntries } from "../../scripts/packaging/zipEntries.ts";

const run = promisify(execFile);
const target = currentTarget();

/** A small extension in the shape that the build leaves this one in. */
const files: Record<string, string> = {
  "package.json": JSON.stringify({
    name: "farcall",
    publisher: "farcall",
    version: "1.2.3",
    license: "MIT",
    type: "module",
    main: "./dist/extension.js",
    engines: { node: ">=24", vscode: "^1.100.0" },
    activationEvents: ["onLanguage:typescript"],
    contributes: {},
    scripts: { "vscode:prepublish": "exit 1", postinstall: "exit 1" },
    dependencies: { ws: "^8" },
    devDependencies: { vitest: "^4" },
    bin: { farcall: "./dist/cli.js" },
    exports: { ".": "./dist/index.js" },
    files: ["dist"],
  }),
  "package.nls.json": "{}",
  "package.nls.de.json": "{}",
  "README.md": "# Farcall\n\n![picture](media/screenshots/a.png) and [more](ARCHITECTURE.md)\n",
  "CHANGELOG.md": "# Changelog\n",
  LICENSE: "MIT\n",
  "l10n/bundle.l10n.de.json": "{}",
  "media/icon.svg": "<svg/>",
  "media/screenshots/a.png": "not really",
  "dist/.built": "",
  "dist/types/index.d.ts": "export {};",
  "dist/webview/run.js": "",
  "dist/webview/run.css": "",
  "dist/chunk-ABCD1234.js": "",
  ...Object.fromEntries(["index", "cli", "agent", "worker", "extension"].map((name) => [`dist/${name}.js`, ""])),
  "dist/setup.cjs": "",
  "dist/cli.js.map": "{}",
};

let folder: string;
let checkout: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farcall-vsix-"));
  checkout = join(folder, "checkout");
  for (const [name, text] of Object.entries(files)) await write(name, text);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function write(name: string, text: string): Promise<string> {
  const file = join(checkout, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  return file;
}

describe("packing the extension", () => {
  it("holds what runs, with esbuild for its platform, and nothing of the checkout", async () => {
    const { path, sizeBytes } = await packageVsix(target, join(folder, "out"), checkout);

    const names = (await zipEntries(path)).map(({ name }) => name);
    expect(path).toMatch(new RegExp(`farcall-${target}-1\\.2\\.3\\.vsix$`));
    expect(sizeBytes).toBeGreaterThan(1_000_000);
    expect(names.filter((name) => !name.includes("node_modules")).sort()).toEqual(
      [
        "[Content_Types].xml",
        "extension.vsixmanifest",
        "extension/LICENSE.txt",
        "extension/changelog.md",
        "extension/dist/agent.js",
        "extension/dist/chunk-ABCD1234.js",
        "extension/dist/cli.js",
        "extension/dist/extension.js",
        "extension/dist/index.js",
        "extension/dist/setup.cjs",
        "extension/dist/webview/run.css",
        "extension/dist/webview/run.js",
        "extension/dist/worker.js",
        "extension/l10n/bundle.l10n.de.json",
        "extension/media/icon.svg",
        "extension/package.json",
        "extension/package.nls.de.json",
        "extension/package.nls.json",
        "extension/readme.md",
      ].sort(),
    );
    const inNodeModules = (name: string) => name.includes("/node_modules/");
    expect(names.filter(inNodeModules).sort()).toEqual(expectedFiles(target).required.filter(inNodeModules).sort());
  });

  it("stops at a file that does not belong there, and names it", async () => {
    const stray = await write("dist/notes.txt", "mine");
    await expect(packageVsix(target, join(folder, "out"), checkout)).rejects.toThrow(
      "extension/dist/notes.txt does not belong there.",
    );
    await rm(stray);
  });

  it("says so when the extension is not built", async () => {
    await expect(stage(target, join(folder, "staged"), folder)).rejects.toThrow(/dist\/extension\.js is missing/);
  });

  it("shows texts without pictures and links that lead nowhere from an installed extension", async () => {
    await stage(target, join(folder, "staged"), checkout);
    expect(await readFile(join(folder, "staged/README.md"), "utf8")).toBe("# Farcall\n\n and more\n");
    const readme = await readFile(join(import.meta.dirname, "../../README.md"), "utf8");
    expect(readme).toMatch(/!\[.*\]\(media/);
    const shown = withoutLocalLinks(readme);
    const left = [...shown.matchAll(/\]\(([^)]*)\)/g)].map(([, address]) => address!);
    expect(left.filter((address) => !/^(https?:|#)/.test(address))).toEqual([]);
    expect(withoutLocalLinks("[a](https://a.test) [b](#b) `[c](d)`")).toContain("[a](https://a.test) [b](#b)");
  });

  it("keeps of the manifest what VS Code reads", async () => {
    await stage(target, join(folder, "staged"), checkout);
    const manifest = JSON.parse(await readFile(join(folder, "staged/package.json"), "utf8")) as object;
    expect(Object.keys(manifest).sort()).toEqual(
      ["activationEvents", "contributes", "engines", "license", "main", "name", "publisher", "type", "version"].sort(),
    );
  });

  it("has an esbuild that code in dist imports and that works without an install", async () => {
    const staged = join(folder, "staged");
    await stage(target, staged, checkout);
    const program = join(staged, "dist/chunk-ESBUILD1.js");
    const code = `const { transform } = await import("esbuild");
      console.log((await transform("let a: number = 1", { loader: "ts" })).code);`;
    await writeFile(program, code);
    const { stdout } = await run(process.execPath, [program], { cwd: staged });
    expect(stdout.trim()).toBe("let a = 1;");
  });
});

describe("what a package should hold", () => {
  it("wants esbuild's program to be executable, and there at all", async () => {
    const { path } = await packageVsix(target, join(folder, "out"), checkout);
    const entries = await zipEntries(path);
    const isProgram = (name: string) => name.endsWith(`/${esbuildProgram(target)}`);

    expect(surprises(target, entries)).toEqual([]);
    expect(
      surprises(
        target,
        entries.filter(({ name }) => !isProgram(name)),
      ).join(),
    ).toMatch(/esbuild.* is missing/);
    const flat = entries.map((entry) => (isProgram(entry.name) ? { ...entry, mode: 0o644 } : entry));
    if (!target.startsWith("win32")) expect(surprises(target, flat).join()).toMatch(/may not be executed/);
  });

  it("refuses what is not a zip file", async () => {
    const file = join(folder, "text.vsix");
    await writeFile(file, "a".repeat(100));
    await expect(zipEntries(file)).rejects.toThrow("is not a zip file");
  });
});
