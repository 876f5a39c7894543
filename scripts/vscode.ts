/**
 * `npm run vscode`: VS Code in a browser with this checkout's extension and the word-counts example, to try it as a
 * person would. `--port` (default 8765) says where; the next free one is taken. Ctrl-C ends it and all it started.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CodeServer, type CodeServerOptions } from "../test/e2e/support/codeServer.ts";
import { currentTarget } from "./packaging/targets.ts";
import { packageVsix } from "./packaging/vsix.ts";

const root = join(import.meta.dirname, "..");
const profile = join(root, ".cache/vscode");
const portsToTry = 50;

/** A copy of the example that finds the packages it imports. */
async function copyExample(): Promise<string> {
  const project = join(profile, "word-counts");
  if (existsSync(project)) return project;
  await cp(join(root, "examples/word-counts"), project, { recursive: true });
  await writeFile(join(project, "package.json"), '{ "type": "module", "private": true }\n');
  const linkType = process.platform === "win32" ? "junction" : "dir";
  await symlink(join(root, "node_modules"), join(project, "node_modules"), linkType);
  return project;
}

async function freePort(first: number): Promise<number> {
  for (let port = first; port < first + portsToTry; port++) if (await isFree(port)) return port;
  throw new Error(`All ports from ${first} to ${first + portsToTry - 1} are taken; choose another with --port.`);
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

const { values } = parseArgs({ options: { port: { type: "string", default: "8765" } } });
if (!/^\d{1,5}$/.test(values.port)) {
  process.stderr.write(`--port is a number, not ${values.port}.\n`);
  process.exit(2);
}

const options: CodeServerOptions = {
  extensionsDir: join(profile, "extensions"),
  userDataDir: join(profile, "user"),
  home: join(profile, "home"),
  trust: true,
  port: await freePort(Number(values.port)),
};
await mkdir(profile, { recursive: true });
const { path } = await packageVsix(currentTarget(), profile);
// The version number stays the same between builds, so the one before has to go.
await rm(options.extensionsDir, { recursive: true, force: true });
await mkdir(options.extensionsDir, { recursive: true });
await CodeServer.installExtension(path, options);
const project = await copyExample();
const server = await CodeServer.start(options);
process.stdout.write(`VS Code with Farcall: ${server.addressOf(project)}\nCtrl-C ends it.\n`);

let isEnding = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => void end());

async function end(): Promise<void> {
  if (isEnding) return;
  isEnding = true;
  await server[Symbol.asyncDispose]();
  stopAgent();
  process.exit(0);
}

/** The agent outlives editors on purpose, but not this one. */
function stopAgent(): void {
  spawnSync(process.execPath, [join(root, "dist/cli.js"), "down", "local", "--force"], {
    env: { ...process.env, FARCALL_HOME: options.home },
    stdio: ["ignore", "ignore", "inherit"],
  });
}
