import { spawnSync } from "node:child_process";
import { existsSync, globSync, statSync } from "node:fs";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { ensureChromium, ensureCodeServer } from "./install.ts";
import { installedExtension } from "./installedExtension.ts";

const root = join(import.meta.dirname, "../../..");
const sources = ["{runtime,extension,webview}/**", "scripts/build.ts", "package.json"];

declare module "vitest" {
  interface ProvidedContext {
    /** The folder with the packed extension as it was installed. */
    extensions: string;
  }
}

/** Once for a run: the editor and the browser are there, and the extension is built and packed. */
export default async function setUp(project: TestProject): Promise<void> {
  await ensureChromium();
  await ensureCodeServer();
  buildIfNeeded();
  project.provide("extensions", await installedExtension(join(root, ".cache/e2e")));
}

/** Builds only: a run of tests must never install packages under the feet of the tests, as the npm scripts may. */
function buildIfNeeded(): void {
  const stamp = join(root, "dist/.built");
  const builtAtMs = existsSync(stamp) ? statSync(stamp).mtimeMs : 0;
  if (globSync(sources, { cwd: root }).every((path) => statSync(join(root, path)).mtimeMs <= builtAtMs)) return;
  const types = existsSync(join(root, "dist/types")) ? ["--types"] : [];
  const args = [join(root, "scripts/build.ts"), ...types];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(`The extension could not be built:\n${stdout}${stderr}`);
}
