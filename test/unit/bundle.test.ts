import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { originalPositionFor, TraceMap } from "@jridgewell/trace-mapping";
import { afterAll, expect, test } from "vitest";
import { bundle, checkExport, disposeBundler } from "../../runtime/bundle/bundle.ts";
import { fileHashes, project, run, temporaryFolder, textOf, write } from "../support/bundleProject.ts";

afterAll(disposeBundler);

const words = `import { load } from "cheerio";
import { normalize } from "./normalize.ts";

export interface Counts { [word: string]: number }

export function wordCounts(html: string): Counts {
  const counts: Counts = {};
  for (const word of load(html).text().split(/\\W+/)) if (word) counts[normalize(word)] = (counts[normalize(word)] ?? 0) + 1;
  return counts;
}
export type { Counts as Alias };
`;
const normalize = `export const normalize = (word: string): string => word.toLowerCase();\n`;

test("a bundle runs in Node and is named by its manifest, whose files are named by their content", async () => {
  const folder = project({ "words.ts": words, "normalize.ts": normalize }, ["cheerio"]);
  const made = await bundle(join(folder, "words.ts"));

  expect(await run(made, `m.wordCounts("<p>One <b>two</b> one</p>")`)).toEqual({ one: 2, two: 1 });
  expect(made.exports).toEqual(["wordCounts"]);
  expect(made.sourceFile).toBe(join(folder, "words.ts"));
  expect(made.sourceRoot).toBe(folder);
  expect(made.external).toEqual([]);
  expect(made.manifest.commonJs).toBe(false);
  expect(made.hash).toBe(createHash("sha256").update(JSON.stringify(made.manifest)).digest("hex"));
  const paths = made.manifest.files.map(({ path }) => path);
  expect(paths).toEqual(paths.toSorted());
  for (const { hash, size } of made.manifest.files) {
    const content = made.contents.get(hash)!;
    expect(createHash("sha256").update(content).digest("hex")).toBe(hash);
    expect(content.byteLength).toBe(size);
  }
});

test("an edit of own code changes only own files, and bundling without an edit changes nothing", async () => {
  const folder = project({ "words.ts": words, "normalize.ts": normalize }, ["valibot", "cheerio"]);
  const file = join(folder, "words.ts");
  const before = await bundle(file);
  expect((await bundle(file)).hash).toBe(before.hash);

  // The edit uses one more export of the third-party package, which must not change its chunk either.
  writeFileSync(
    file,
    words.replace("{ load }", "{ load, contains }").replace("return counts", "contains; return counts"),
  );
  const after = await bundle(file);
  expect(after.hash).not.toBe(before.hash);
  expect(fileHashes(after, "own")).not.toEqual(fileHashes(before, "own"));
  expect(Object.keys(fileHashes(before, "vendor"))).not.toEqual([]);
  expect(fileHashes(after, "vendor")).toEqual(fileHashes(before, "vendor"));
  const vendorMaps = (hashes: Record<string, string>) =>
    Object.entries(hashes).filter(([path]) => path.startsWith("vendor/"));
  expect(vendorMaps(fileHashes(after, "map"))).toEqual(vendorMaps(fileHashes(before, "map")));

  writeFileSync(file, words.replace("{ load }", "{ load, contains }") + `\nexport { parse } from "valibot";`);
  const more = await bundle(file);
  writeFileSync(file, words);
  expect((await bundle(file)).hash).toBe(before.hash);
  await disposeBundler();
  writeFileSync(file, words.replace("{ load }", "{ load, contains }") + `\nexport { parse } from "valibot";`);
  expect((await bundle(file)).hash).toBe(more.hash);
});

test("the same project at another path gives the same bundle, without a trace of either path", async () => {
  const files = {
    "sub/words.ts": `import { a } from "one"; import { b } from "../lib/b.cjs"; import t from "./t.txt";
      export const f = () => [a, b, t, import.meta.url.split("/").at(-1)]; export const lazy = () => import("./lazy.ts");`,
    "sub/lazy.ts": `import { a } from "one"; export const here = [a, __dirname];`,
    "sub/t.txt": "text",
    "lib/b.cjs": `exports.b = __filename.length;`,
    "node_modules/one/package.json": `{"name":"one","main":"main.js"}`,
    "node_modules/one/main.js": `exports.a = require("path").basename(__dirname);`,
  };
  const first = project(files);
  const second = join(temporaryFolder(), "quite", "another");
  cpSync(first, second, { recursive: true });
  const bundles = [await bundle(join(first, "sub/words.ts")), await bundle(join(second, "sub/words.ts"))] as const;
  expect(bundles[0].manifest).toEqual(bundles[1].manifest);
  expect(bundles[0].hash).toBe(bundles[1].hash);
  for (const content of bundles[0].contents.values()) expect(Buffer.from(content).includes(first)).toBe(false);
  expect(await run(bundles[0], `m.f()`)).toMatchObject(["one", expect.any(Number), "text", "words.ts"]);
});

test("a changed file of a package is noticed", async () => {
  const folder = project({
    "a.ts": `export { value } from "dep";`,
    "node_modules/dep/package.json": `{"name":"dep","version":"1.0.0","main":"index.js"}`,
    "node_modules/dep/index.js": `exports.value = 1;`,
  });
  expect(await run(await bundle(join(folder, "a.ts")), "m.value")).toBe(1);
  write(folder, { "node_modules/dep/index.js": `exports.value = 22;` });
  expect(await run(await bundle(join(folder, "a.ts")), "m.value")).toBe(22);
  write(folder, {
    "node_modules/dep/package.json": `{"name":"dep","main":"other.js"}`,
    "node_modules/dep/other.js": `exports.value = 3;`,
  });
  expect(await run(await bundle(join(folder, "a.ts")), "m.value")).toBe(3);
});

test("source maps of own code lead to the source with its text, those of packages have no text", async () => {
  const folder = project({
    "src/deep/fail.ts": `// a comment\nimport { base } from "dep";\nconst where: string = import.meta.url;\nexport function fail(): never { const x = __dirname; throw new Error(where + x + base); }\n`,
    "node_modules/dep/package.json": `{"name":"dep","main":"i.js"}`,
    "node_modules/dep/i.js": `exports.base = __dirname; //`,
  });
  const made = await bundle(join(folder, "src/deep/fail.ts"));
  const map = JSON.parse(textOf(made, "entry.js.map"));
  const index = map.sources.indexOf("src/deep/fail.ts");
  expect(map.sourcesContent[index]).toContain("// a comment\nimport { base }");
  expect(map.sources.filter((source: string) => source.startsWith("/"))).toEqual([]);

  const stack = (await run(made, `(() => { try { m.fail() } catch (e) { return e.stack } })()`)) as string;
  const [, line, column] = /entry\.js:(\d+):(\d+)/.exec(stack)!;
  expect(originalPositionFor(new TraceMap(map), { line: Number(line), column: Number(column) - 1 })).toMatchObject({
    source: "src/deep/fail.ts",
    line: 4,
    column: 59,
  });
  const vendorMap = made.manifest.files.find(({ path }) => /^vendor\/dep.*\.map$/.test(path))!;
  const vendor = JSON.parse(textOf(made, vendorMap.path));
  expect(vendor.sources).toEqual(["node_modules/dep/i.js"]);
  expect(vendor.sourcesContent ?? []).toEqual([]);
  expect(textOf(made, vendorMap.path.replace(/\.map$/, ""))).toMatch(/\/\/# sourceMappingURL=dep-\w+\.js\.map\n$/);
});

test("nothing of the environment or of .env files gets into a bundle", async () => {
  const canary = "canary-6c1f0b7e";
  process.env["FARCALL_CANARY"] = canary;
  try {
    const folder = project({
      ".env": `FARCALL_CANARY=${canary}\n`,
      ".env.local": canary,
      "a.ts": `export const f = () => [process.env.FARCALL_CANARY, process.env.NODE_ENV, import.meta.env?.FARCALL_CANARY];
        export const g = () => import.meta.dirname + "/data";`,
      "data/x.txt": "x",
    });
    const made = await bundle(join(folder, "a.ts"));
    for (const content of made.contents.values()) expect(Buffer.from(content).includes(canary)).toBe(false);
    expect(textOf(made, "entry.js")).toContain("process.env.NODE_ENV");
  } finally {
    delete process.env["FARCALL_CANARY"];
  }
});

test("an unknown export is refused with the names there are and the one that was meant", async () => {
  const folder = project({
    "a.ts": `export class Words { static count() {} } export const wordCounts = 1; export type T = 1;`,
  });
  const made = await bundle(join(folder, "a.ts"));
  checkExport(made, "wordCounts");
  checkExport(made, "Words.count");
  expect(() => checkExport(made, "wordCount")).toThrow(
    expect.objectContaining({
      code: "bundle.export-unknown",
      hint: "Did you mean wordCounts? It exports Words, wordCounts.",
    }),
  );
  expect(() => checkExport(made, "T")).toThrow(expect.objectContaining({ hint: "It exports Words, wordCounts." }));
});

test("a process that bundled ends by itself, without disposing of the bundler, and leaves nothing behind", async () => {
  const folder = project({ "a.ts": `export const a = 1;` });
  const module = new URL("../../runtime/bundle/bundle.ts", import.meta.url).href;
  const program = `import { bundle } from ${JSON.stringify(module)};
    process.stdout.write((await bundle(${JSON.stringify(join(folder, "a.ts"))})).hash);`;
  const child = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], {
    timeout: 30_000,
  });
  expect(child.stdout).toBe((await bundle(join(folder, "a.ts"))).hash);
  expect(readdirSync(folder).toSorted()).toEqual(["a.ts", "package.json"]);
  expect(existsSync(join(folder, "entry.js"))).toBe(false);
});

test("esbuild is not loaded before something is bundled", async () => {
  const module = new URL("../../runtime/bundle/bundle.ts", import.meta.url).href;
  const program = `await import(${JSON.stringify(module)});
    const { createRequire } = await import("node:module");
    const require = createRequire(${JSON.stringify(module)});
    process.stdout.write(String(Object.keys(require.cache).filter((path) => path.includes("esbuild")).length));`;
  const child = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program]);
  expect(child.stdout).toBe("0");
});

test("an aborted signal ends the bundling with its reason, and the next bundle is whole", async () => {
  const folder = project({ "a.ts": `import { load } from "cheerio"; export const f = () => load("x").text();` }, [
    "cheerio",
  ]);
  const file = join(folder, "a.ts");
  await expect(bundle(file, { signal: AbortSignal.abort(new Error("before")) })).rejects.toThrow("before");
  const controller = new AbortController();
  const running = bundle(file, { signal: controller.signal });
  setTimeout(() => controller.abort(new Error("meanwhile")), 30);
  await expect(running).rejects.toThrow("meanwhile");
  expect(await run(await bundle(file), "m.f()")).toBe("x");
});

test("bundles of several files at once do not disturb each other", async () => {
  const folder = project({ "dep.ts": "export const n = 1;" });
  const files = Array.from({ length: 6 }, (_, i) => `f${i}.ts`);
  for (const [i, name] of files.entries())
    write(folder, { [name]: `import { n } from "./dep.ts"; export const f${i} = n + ${i};` });
  const made = await Promise.all([...files, ...files].map((name) => bundle(join(folder, name))));
  expect(made.map(({ exports }) => exports)).toEqual([...files, ...files].map((name) => [name.slice(0, 2)]));
  expect(made.slice(6).map(({ hash }) => hash)).toEqual(made.slice(0, 6).map(({ hash }) => hash));
});
