import { execFile } from "node:child_process";
import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { bundle, disposeBundler } from "../../runtime/bundle/bundle.ts";
import { project, run, temporaryFolder } from "../support/bundleProject.ts";

afterAll(disposeBundler);

const files = {
  "a.ts": `export { value } from "dep";`,
  "node_modules/dep/package.json": `{"name":"dep","main":"index.js"}`,
  "node_modules/dep/index.js": `exports.value = 1;`,
};

test("bundled third-party code is kept in a folder for the next process, privately and whole", async () => {
  const cacheFolder = join(temporaryFolder(), "cache", "vendor");
  const folder = project(files);
  const path = join(folder, "node_modules/dep/index.js");
  utimesSync(path, 1_700_000_000, 1_700_000_000);
  const first = await bundle(join(folder, "a.ts"), { cacheFolder });
  await disposeBundler();

  // Changed behind the cache's back, which shows that what follows comes from the cache.
  writeFileSync(path, `exports.value = 2;`);
  utimesSync(path, 1_700_000_000, 1_700_000_000);
  const again = await bundle(join(folder, "a.ts"), { cacheFolder });
  expect(again.hash).toBe(first.hash);
  expect(await run(again, "m.value")).toBe(1);

  const names = readdirSync(cacheFolder);
  expect(names).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.vendor$/)]);
  expect(statSync(join(cacheFolder, names[0]!)).mode & 0o077).toBe(0);
  expect(statSync(cacheFolder).mode & 0o077).toBe(0);
});

test("kept third-party code is not used once a file of it changed, or when the record is damaged", async () => {
  const cacheFolder = temporaryFolder();
  const folder = project(files);
  await bundle(join(folder, "a.ts"), { cacheFolder });
  await disposeBundler();
  writeFileSync(join(folder, "node_modules/dep/index.js"), `exports.value = 10;`);
  expect(await run(await bundle(join(folder, "a.ts"), { cacheFolder }), "m.value")).toBe(10);

  const record = join(cacheFolder, readdirSync(cacheFolder)[0]!);
  const whole = readFileSync(record);
  for (const damaged of [whole.toString().replace("value = 10", "value = 66"), whole.subarray(0, 300), "", "{}\n"]) {
    await disposeBundler();
    writeFileSync(record, damaged);
    expect(await run(await bundle(join(folder, "a.ts"), { cacheFolder }), "m.value")).toBe(10);
  }
});

test("a package found to be native while it was bundled stays external when that is taken from the cache", async () => {
  const cacheFolder = temporaryFolder();
  const folder = project({
    ...files,
    "a.ts": `import "hidden"; export { value } from "dep";`,
    "node_modules/hidden/package.json": `{"name":"hidden","version":"1.0.0","main":"index.js"}`,
    "node_modules/hidden/index.js": `require("./bin/x.node")`,
    "node_modules/hidden/bin/x.node": "",
  });
  const first = await bundle(join(folder, "a.ts"), { cacheFolder });
  expect(first.external).toEqual([{ name: "hidden", version: "1.0.0", why: "native" }]);
  const module = new URL("../../runtime/bundle/bundle.ts", import.meta.url).href;
  const program = `import { bundle } from ${JSON.stringify(module)};
    const { hash, external } = await bundle(${JSON.stringify(join(folder, "a.ts"))}, { cacheFolder: ${JSON.stringify(cacheFolder)} });
    process.stdout.write(JSON.stringify({ hash, external }));`;
  const child = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program]);
  expect(JSON.parse(child.stdout)).toEqual({ hash: first.hash, external: first.external });
});

test("a folder that cannot be written to does not stop the bundling", async () => {
  const folder = project(files);
  const cacheFolder = join(folder, "package.json", "cache");
  expect(await run(await bundle(join(folder, "a.ts"), { cacheFolder }), "m.value")).toBe(1);
});
