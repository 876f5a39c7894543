import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheFolder, withLock } from "./cache.ts";
import { esbuildPlatforms, esbuildProgram, type Target } from "./targets.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");

/**
 * The folder of the package with esbuild's program for `target`: the installed one where it fits, else one that npm
 * fetched and that has the content package-lock.json asks for.
 */
export async function esbuildPackage(target: Target): Promise<string> {
  const name = `@esbuild/${esbuildPlatforms[target]}`;
  const installed = join(root, "node_modules", name);
  if (existsSync(join(installed, esbuildProgram(target)))) return installed;
  const { version, integrity } = await locked(name);
  const folder = cacheFolder("esbuild", `${esbuildPlatforms[target]}-${version}`);
  await withLock(`${folder}.lock`, async () => {
    if (!existsSync(folder)) await fetchPackage(`${name}@${version}`, integrity, folder);
  });
  return folder;
}

async function locked(name: string): Promise<{ version: string; integrity: string }> {
  const lock = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, { version?: string; integrity?: string }>;
  };
  const { version, integrity } = lock.packages[`node_modules/${name}`] ?? {};
  if (!version || !integrity) throw new Error(`package-lock.json has no ${name}; run npm install for all platforms.`);
  return { version, integrity };
}

async function fetchPackage(spec: string, integrity: string, folder: string): Promise<void> {
  const aside = `${folder}.${process.pid}.tmp`;
  await rm(aside, { recursive: true, force: true });
  await mkdir(aside, { recursive: true });
  try {
    const npm = process.env["npm_execpath"];
    const [command, ...first]: [string, ...string[]] =
      npm && /\.[cm]?js$/.test(npm) ? [process.execPath, npm] : ["npm"];
    const { stdout } = await run(command, [...first, "pack", spec, "--json", "--pack-destination", aside], {
      cwd: aside,
      shell: process.platform === "win32" && command === "npm",
    });
    const tarball = join(aside, filenameIn(stdout, spec));
    const digest = createHash("sha512")
      .update(await readFile(tarball))
      .digest("base64");
    if (`sha512-${digest}` !== integrity)
      throw new Error(`${spec} from the registry is sha512-${digest}, but package-lock.json wants ${integrity}.`);
    await run("tar", ["-xzf", tarball, "-C", aside]);
    const program = join(aside, "package", "bin/esbuild");
    if (existsSync(program)) await chmod(program, 0o755);
    await rename(join(aside, "package"), folder);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

/** npm prints an array of packages up to version 11 and an object by name from 12 on. */
function filenameIn(stdout: string, spec: string): string {
  const printed = JSON.parse(stdout) as Record<string, { filename?: string }>;
  const filename = Object.values(printed)[0]?.filename;
  if (!filename) throw new Error(`npm pack ${spec} named no file: ${stdout}`);
  return filename;
}
