import { existsSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder, withLock } from "../../../scripts/packaging/cache.ts";
import { ensureDebianPackages, runQuietly, say } from "../../support/debianPackages.ts";

/**
 * Puts in place what the tests of the extension need beside the checkout: a VS Code for the browser (code-server) and
 * a browser. What is there already is used; what cannot be installed is an error that says what to do.
 */
const codeServerVersion = "4.139.1";

/** Its native modules are compiled while it is installed. */
const packagesToBuild = [
  "libkrb5-dev",
  "libx11-dev",
  "libxkbfile-dev",
  "libsecret-1-dev",
  "python3",
  "make",
  "g++",
] as const;
const packagesToBrowse = ["chromium", "fonts-dejavu-core"] as const;

const browsers = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** Returns the script that starts code-server, installing it first where it is missing (about three minutes). */
export async function ensureCodeServer(): Promise<string> {
  const folder = cacheFolder(`code-server-${codeServerVersion}`);
  const entry = join(folder, "node_modules/code-server/out/node/entry.js");
  if (existsSync(entry)) return entry;
  await withLock(`${folder}.lock`, async () => {
    if (existsSync(entry)) return;
    await ensureDebianPackages(packagesToBuild, `build code-server ${codeServerVersion}`);
    await installCodeServer(folder);
  });
  return entry;
}

/** Returns the browser's program, installing it first where it is missing. `FARCALL_CHROMIUM` names another one. */
export async function ensureChromium(): Promise<string> {
  const named = process.env["FARCALL_CHROMIUM"];
  if (named) {
    if (!existsSync(named)) throw new Error(`FARCALL_CHROMIUM names ${named}, which does not exist.`);
    return named;
  }
  const found = () => browsers.find((path) => existsSync(path));
  if (!found()) await ensureDebianPackages(packagesToBrowse, "run Chromium");
  const browser = found();
  if (!browser) throw new Error(`No Chromium in ${browsers.join(", ")}: install one, or name it in FARCALL_CHROMIUM.`);
  return browser;
}

async function installCodeServer(folder: string): Promise<void> {
  const aside = `${folder}.${process.pid}.tmp`;
  await rm(aside, { recursive: true, force: true });
  await mkdir(aside, { recursive: true });
  const manifest = {
    private: true,
    dependencies: { "code-server": codeServerVersion },
    allowScripts: { "code-server": true, argon2: true },
  };
  await writeFile(join(aside, "package.json"), JSON.stringify(manifest));
  say(`Installing code-server ${codeServerVersion} into ${folder} (once, about three minutes)…`);
  try {
    await runQuietly(npmCommand(["install", "--no-audit", "--no-fund", "--loglevel=error"]), aside);
    await rm(folder, { recursive: true, force: true });
    await rename(aside, folder);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

function npmCommand(args: readonly string[]): [string, ...string[]] {
  const npm = process.env["npm_execpath"];
  return npm && /\.[cm]?js$/.test(npm) ? [process.execPath, npm, ...args] : ["npm", ...args];
}
