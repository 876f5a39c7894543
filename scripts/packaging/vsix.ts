import { execFile } from "node:child_process";
import { readFile, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";
import { surprises } from "./contents.ts";
import { stage } from "./stage.ts";
import type { Target } from "./targets.ts";
import { zipEntries } from "./zipEntries.ts";

const run = promisify(execFile);
const require = createRequire(import.meta.url);
const here = join(import.meta.dirname, "../..");

export interface Vsix {
  target: Target;
  path: string;
  sizeBytes: number;
}

/**
 * Packs the built extension in `root`, by default this checkout, for one platform and checks what came out. Throws
 * with all that is wrong with it.
 */
export async function packageVsix(target: Target, outFolder: string, root: string = here): Promise<Vsix> {
  const folder = join(outFolder, `.stage-${target}-${process.pid}`);
  const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
    name: string;
    version: string;
    repository?: unknown;
  };
  const path = join(outFolder, `${manifest.name}-${target}-${manifest.version}.vsix`);
  try {
    await stage(target, folder, root);
    await pack(target, folder, path, manifest.repository !== undefined);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const wrong = surprises(target, await zipEntries(path));
  if (wrong.length > 0) throw new Error(`${path} is not as it should be:\n  ${wrong.join("\n  ")}`);
  return { target, path, sizeBytes: (await stat(path)).size };
}

async function pack(target: Target, folder: string, path: string, hasRepository: boolean): Promise<void> {
  const vsce = require.resolve("@vscode/vsce/vsce");
  const args = ["package", "--no-dependencies", "--target", target, "--out", path];
  // Relative links can only be made absolute when it is known to what.
  if (!hasRepository) args.push("--allow-missing-repository", "--no-rewrite-relative-links");
  try {
    await run(process.execPath, [vsce, ...args], { cwd: folder, maxBuffer: 16 * 1024 * 1024 });
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`vsce could not pack the extension for ${target}:\n${stdout}${stderr}`, { cause: error });
  }
}
