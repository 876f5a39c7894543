import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { InstallRequest } from "../spec/env.ts";
import { FarcallError } from "../spec/errors.ts";
import { runNpm, type NpmRun } from "./npm.ts";
import { npmFailure } from "./npmFailure.ts";

function manifestOf({ dependencies, overrides, allowScripts }: InstallRequest): object {
  return {
    name: "farcall-env",
    private: true,
    dependencies,
    overrides,
    // Newer versions of npm run only the scripts that are named here: https://docs.npmjs.com/cli/v11/configuring-npm/package-json#allowscripts
    ...(Array.isArray(allowScripts) && { allowScripts: Object.fromEntries(allowScripts.map((name) => [name, true])) }),
  };
}

/** Against settings in the user's .npmrc that would change what is installed; registries, proxies and tokens stay his. */
const fixedOptions = [
  "--no-audit",
  "--no-fund",
  "--no-update-notifier",
  "--no-progress",
  "--color=false",
  "--loglevel=notice",
  "--global=false",
  "--package-lock=true",
  "--lockfile-version=3",
  "--install-strategy=hoisted",
  "--omit=dev",
  "--include=optional",
  "--include=peer",
];

/**
 * Writes the package.json of an env into the folder `cwd` and installs what it names; without packages npm is
 * not run. Install scripts run only where the request allows them, and never before the content was checked.
 * Throws `env.install-failed` or `disk.full`.
 */
export async function installPackages(request: InstallRequest, run: NpmRun): Promise<void> {
  const folder = run.cwd;
  await writeFile(join(folder, "package.json"), JSON.stringify(manifestOf(request), undefined, 2));
  if (Object.keys(request.dependencies).length === 0) return;
  const npm = async (...args: string[]): Promise<void> => {
    const [command, ...rest] = args;
    // The prefix keeps npm from taking the folder for a workspace of a project around it.
    const exit = await runNpm([command!, `--prefix=${folder}`, ...fixedOptions, ...rest], run);
    if (exit.status !== 0) throw npmFailure(exit);
  };
  const { allowScripts } = request;
  if (allowScripts === true) {
    // Resolved first and installed then, as a rebuild afterwards would fail where an optional package cannot be built.
    await npm("install", "--ignore-scripts", "--package-lock-only");
    await checkIntegrity(folder, request);
    await npm("ci", "--ignore-scripts=false", "--dangerously-allow-all-scripts");
    return;
  }
  await npm("install", "--ignore-scripts");
  await checkIntegrity(folder, request);
  if (Array.isArray(allowScripts) && allowScripts.length > 0) {
    await npm("rebuild", "--ignore-scripts=false", "--", ...allowScripts);
  }
}

/** Throws when the registry of this node serves other content than the one the lockfile was made with. */
async function checkIntegrity(folder: string, { integrity }: InstallRequest): Promise<void> {
  const expected = new Map(Object.entries(integrity));
  if (expected.size === 0) return;
  const lock = JSON.parse(await readFile(join(folder, "package-lock.json"), "utf8")) as {
    packages?: Record<string, { name?: string; version?: string; integrity?: string }>;
  };
  for (const [path, entry] of Object.entries(lock.packages ?? {})) {
    const package_ = `${entry.name ?? path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length)}@${entry.version}`;
    const wanted = expected.get(package_);
    if (wanted === undefined || entry.integrity === undefined || entry.integrity.split(" ").includes(wanted)) continue;
    throw new FarcallError(
      "env.install-failed",
      `Cannot install ${package_}: the registry served other content than the lockfile recorded (${entry.integrity} instead of ${wanted}).`,
      {
        hint: "Find out which of the two is right before anything else; if the registry is, let your package manager write the lockfile again.",
      },
    );
  }
}
