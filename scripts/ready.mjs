/**
 * Makes a checkout ready and then runs something in it: `node scripts/ready.mjs TARGET ARGS…`.
 *
 * Every npm script goes through here, so that a fresh clone needs no set-up of its own. This file alone runs
 * under whatever Node npm was started with; the target runs under the Node that the project pins. What is up
 * to date is left alone, and finding that out takes milliseconds.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = join(root, "node_modules", ".bin");
const node = join(bin, process.platform === "win32" ? "node.exe" : "node");
const installStamp = join(root, "node_modules", ".farcall-installed");
const buildStamp = join(root, "dist", ".built");

function installIfNeeded() {
  const wanted = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  if (existsSync(node) && existsSync(installStamp) && readFileSync(installStamp, "utf8") === wanted) return;
  process.stderr.write("Installing what package-lock.json lists (once)…\n");
  const npm = process.env.npm_execpath;
  const [command, ...args] = npm && /\.[cm]?js$/.test(npm) ? [process.execPath, npm] : ["npm"];
  const { status } = spawnSync(command, [...args, "ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32" && command === "npm",
  });
  if (status !== 0 || !existsSync(node)) {
    process.stderr.write("The install failed; see above.\n");
    process.exit(2);
  }
  writeFileSync(installStamp, wanted);
}

function newest(path) {
  const stats = statSync(path);
  if (!stats.isDirectory()) return stats.mtimeMs;
  return readdirSync(path).reduce((latest, name) => Math.max(latest, newest(join(path, name))), stats.mtimeMs);
}

function buildIfNeeded() {
  const sources = ["runtime", "extension", "webview", "scripts/build.ts", "package.json", "package-lock.json"].map(
    (path) => join(root, path),
  );
  const builtAtMs = existsSync(buildStamp) ? statSync(buildStamp).mtimeMs : 0;
  if (sources.every((path) => newest(path) <= builtAtMs)) return;
  const { status } = spawnSync(node, [join(root, "scripts/build.ts")], { cwd: root, stdio: ["ignore", 2, 2] });
  if (status !== 0) process.exit(2);
}

const [target, ...args] = process.argv.slice(2);
installIfNeeded();
if (target !== "scripts/build.ts") buildIfNeeded();

const isFile = /\.[mc]?[jt]s$/.test(target);
const command = isFile ? [node, join(root, target), ...args] : [node, join(bin, target), ...args];
const isCli = target === "dist/cli.js";
const child = spawn(command[0], command.slice(1), {
  // The command line works where the person stands; everything else works in the checkout.
  cwd: isCli ? (process.env.INIT_CWD ?? process.cwd()) : root,
  stdio: "inherit",
  env: { ...process.env, PATH: `${bin}${process.platform === "win32" ? ";" : ":"}${process.env.PATH}` },
});
// A terminal sends Ctrl-C to the child as well; it decides what that means.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
  process.on(signal, () => signal === "SIGINT" || child.kill(signal));
// npm dies of a SIGTERM without passing it on; whoever ended it wanted this to end as well.
const parent = process.ppid;
setInterval(() => process.ppid !== parent && child.kill("SIGTERM"), 1_000).unref();
child.on("exit", (code, signal) => {
  process.exitCode = signal ? 1 : code;
});
