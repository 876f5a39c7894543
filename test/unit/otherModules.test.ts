import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { OtherModules } from "../../extension/lenses/otherModules.ts";
import { readBeside } from "../../extension/lenses/readBeside.ts";
import { scanExports } from "../../extension/lenses/scanExports.ts";

/** Modules that a file passes on from are kept between scans, and never for longer than they say the same. */

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "farcall-barrel-"))));
afterAll(() => rm(folder, { recursive: true }));

const write = (name: string, text: string) => writeFile(join(folder, name), text);
const scan = (text: string) => {
  const fileName = join(folder, "index.ts");
  const readModule = (specifier: string) => readBeside(fileName, specifier);
  return scanExports(text, "typescript", { fileName, readModule }).functions.map(
    ({ exportPath, params }) => `${exportPath}(${params.map(({ name }) => name).join(", ")})`,
  );
};

it("follow their files, also behind another module", async () => {
  await write("deep.ts", "export function deep(a: string) {}");
  await write("middle.ts", 'export { deep } from "./deep.js";\nexport function middle(x: number) {}');
  const text = 'export { deep, middle } from "./middle.js";';
  expect(scan(text)).toEqual(["deep(a)", "middle(x)"]);
  expect(scan(text)).toEqual(["deep(a)", "middle(x)"]);
  await write("deep.ts", "export function deep(a: string, b: number) {}");
  expect(scan(text)).toEqual(["deep(a, b)", "middle(x)"]);
  await write("middle.ts", 'export { deep } from "./deep.js";\nexport const middle = 1;');
  expect(scan(text)).toEqual(["deep(a, b)"]);
});

it("are read anew when the time of the file changed, though not its length", async () => {
  await write("same.ts", "export function f(a) {}");
  const text = 'export { f } from "./same.js";';
  expect(scan(text)).toEqual(["f(a)"]);
  await write("same.ts", "export function f(b) {}");
  await utimes(join(folder, "same.ts"), new Date(), new Date(Date.now() + 5_000));
  expect(scan(text)).toEqual(["f(b)"]);
});

it("are scanned once for each text and language, and again only when they lead on to others", () => {
  const modules = new OtherModules();
  const scans: string[] = [];
  const find = (text: string, isWhole: boolean, language: "typescript" | "javascript" = "typescript") =>
    modules.find(text, language, "./a.js", () => {
      scans.push(text);
      return { found: [], errors: 0, isWhole };
    });
  for (const _ of [1, 2, 3]) find("alone", true);
  find("alone", true, "javascript");
  for (const _ of [1, 2]) find("leads on", false);
  expect(scans).toEqual(["alone", "alone", "leads on", "leads on"]);
});

it("are let go of when there are too many", () => {
  const modules = new OtherModules();
  let scans = 0;
  const find = (name: string) =>
    modules.find(name, "typescript", "./a.js", () => (scans++, { found: [], errors: 0, isWhole: true }));
  for (let i = 0; i < 2_001; i++) find(`module ${i}`);
  find("module 2000");
  expect(scans).toBe(2_001);
  find("module 0");
  expect(scans).toBe(2_002);
});
