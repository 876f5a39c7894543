import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { EnvStore, envId } from "../../runtime/agent/envs.ts";
import { findNpm, npmEnvironment } from "../../runtime/agent/npm.ts";
import { npmFailure } from "../../runtime/agent/npmFailure.ts";
import { resolveInstall } from "../../runtime/bundle/requirements.ts";
import type { InstallRequest } from "../../runtime/spec/env.ts";
import { FarcallError } from "../../runtime/spec/errors.ts";
import { lockedProject } from "../support/lockedProject.ts";
import { NpmRegistry, type PublishedPackage } from "../support/npmRegistry.ts";

let home: string;
let folder: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "farcall-envs-"));
  folder = join(home, "envs");
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function requestFor(dependencies: Record<string, string>, more: Partial<InstallRequest> = {}): InstallRequest {
  return { dependencies, overrides: {}, integrity: {}, allowScripts: false, ...more };
}

async function failure(promise: Promise<unknown>): Promise<FarcallError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(FarcallError);
  return error as FarcallError;
}

/** Two packages that leave a file behind when their install script runs. */
const marking: PublishedPackage[] = ["marks", "marks-too"].map((name) => ({
  name,
  version: "1.0.0",
  manifest: { scripts: { postinstall: "node mark.cjs" } },
  files: { "mark.cjs": "require('fs').writeFileSync('marked', process.version)", "index.js": "module.exports = 1" },
}));
const plain: PublishedPackage = { name: "plain", version: "1.0.0", files: { "index.js": "module.exports = 'plain'" } };

test("a request without packages is ready without npm", async () => {
  const lines: string[] = [];
  const store = new EnvStore(folder);
  const first = await store.install(requestFor({}), { onOutput: (line) => lines.push(line) });
  expect(first.state).toBe("installed");
  expect(readdirSync(first.folder).toSorted()).toEqual(["package.json", "ready.json"]);
  expect(lines).toEqual([]);
  expect(await store.install(requestFor({}))).toEqual({ ...first, state: "reused" });
  expect(statSync(folder).mode & 0o777).toBe(0o700);
});

test("an env made from a lockfile holds exactly the lockfile's packages, from the public registry", async () => {
  await using project = await lockedProject("npm3");
  const packages = ["@isaacs/cliui", "tiny", "ms"].map((name) => ({ name }));
  const request = await resolveInstall(project.file("packages/a/x.ts"), packages, false);
  const env = await new EnvStore(folder).install(request);

  const lock = JSON.parse(readFileSync(join(env.folder, "package-lock.json"), "utf8")) as {
    packages: Record<string, { name?: string; version: string }>;
  };
  const installed = Object.entries(lock.packages)
    .filter(([path]) => path !== "")
    .map(([path, { name, version }]) => `${name ?? path.split("node_modules/").at(-1)}@${version}`);
  expect([...new Set(installed)].toSorted()).toEqual(Object.keys(request.integrity));
  const require = createRequire(join(env.folder, "x.js"));
  const inside = createRequire(require.resolve("string-width-cjs"));
  expect([versionOf(require, "strip-ansi"), versionOf(inside, "strip-ansi")]).toEqual(["7.0.1", "6.0.1"]);
  expect(require("tiny")(5)).toBe(true);
});

test("a package with a prebuilt binary works in an env, from the public registry", async () => {
  const env = await new EnvStore(folder).install(requestFor({ "@node-rs/xxhash": "1.7.6" }));
  const require = createRequire(join(env.folder, "x.js"));
  expect(require("@node-rs/xxhash").xxh32("farcall", 0)).toEqual(expect.any(Number));
});

test("installs of the same env at the same time run npm once and share its output", async () => {
  await using registry = await NpmRegistry.start([plain]);
  const store = new EnvStore(folder);
  const heard: string[][] = [[], []];
  const states = await Promise.all(
    heard.map((lines) => store.install(requestFor({ plain: "1.0.0" }), { onOutput: (line) => lines.push(line) })),
  );
  expect(states[0]).toEqual(states[1]);
  expect(heard[0]!.join("\n")).toContain("added 1 package");
  expect(heard[1]).toEqual(heard[0]);
  expect(registry.requests.filter((path) => path === "/plain")).toHaveLength(1);
  expect(readdirSync(folder)).toEqual([states[0]!.id]);
  expect((await new EnvStore(folder).install(requestFor({ plain: "1.0.0" }))).state).toBe("reused");
});

test("how it stands with an env is known before, during and after its install, and when it is gone", async () => {
  await using registry = await NpmRegistry.start([plain]);
  const store = new EnvStore(folder);
  const request = requestFor({ plain: "1.0.0" });
  const id = envId(request);
  const nothing = { error: undefined, sizeBytes: null };
  expect(await store.status(id)).toEqual({ state: "absent", ...nothing });
  const installing = store.install(request);
  expect(await store.status(id)).toEqual({ state: "installing", ...nothing });
  await installing;
  expect(await store.status(id)).toEqual({ state: "ready", ...nothing });
  await expect.poll(async () => (await store.status(id)).sizeBytes).toBeGreaterThan("module.exports = 'plain'".length);
  await store.remove(id);
  await store.remove(id);
  expect(await store.status(id)).toEqual({ state: "absent", ...nothing });
  expect(readdirSync(folder)).toEqual([]);
  const missing = requestFor({ "not-there": "1.0.0" });
  const { message } = await failure(store.install(missing));
  expect(await store.status(envId(missing))).toEqual({ state: "failed", error: message, sizeBytes: null });
  expect(registry.requests).toContain("/not-there");
});

test("install scripts run only where the request allows them", async () => {
  await using _registry = await NpmRegistry.start(marking);
  const store = new EnvStore(folder);
  const marked = async (allowScripts: boolean | string[]): Promise<boolean[]> => {
    const env = await store.install(requestFor({ marks: "1.0.0", "marks-too": "1.0.0" }, { allowScripts }));
    return ["marks", "marks-too"].map((name) => existsSync(join(env.folder, "node_modules", name, "marked")));
  };
  expect(await marked(false)).toEqual([false, false]);
  expect(await marked(["marks"])).toEqual([true, false]);
  expect(await marked(true)).toEqual([true, true]);
  const { id } = await store.install(requestFor({ marks: "1.0.0", "marks-too": "1.0.0" }, { allowScripts: true }));
  expect(readFileSync(join(folder, id, "node_modules/marks/marked"), "utf8")).toBe(process.version);
});

test("content other than the lockfile recorded is refused before any script runs, and removed", async () => {
  const canary = join(home, "canary");
  const evil: PublishedPackage = {
    name: "evil",
    version: "1.0.0",
    manifest: { scripts: { postinstall: "node mark.cjs" } },
    files: { "mark.cjs": `require('fs').writeFileSync(${JSON.stringify(canary)}, '')` },
  };
  await using registry = await NpmRegistry.start([evil]);
  const store = new EnvStore(folder);
  const recorded = `sha512-${"A".repeat(86)}==`;
  for (const allowScripts of [false, true, ["evil"]]) {
    const error = await failure(
      store.install(requestFor({ evil: "1.0.0" }, { integrity: { "evil@1.0.0": recorded }, allowScripts })),
    );
    expect(error.code).toBe("env.install-failed");
    expect(error.message).toContain("the registry served other content than the lockfile recorded");
  }
  expect([readdirSync(folder), existsSync(canary)]).toEqual([[], false]);
  const honest = { integrity: { "evil@1.0.0": registry.integrity.get("evil@1.0.0")! }, allowScripts: true };
  expect((await store.install(requestFor({ evil: "1.0.0" }, honest))).state).toBe("installed");
});

test("a package or version that does not exist fails with npm's words and a hint, and leaves nothing", async () => {
  await using _registry = await NpmRegistry.start([plain]);
  const store = new EnvStore(folder);
  const missing = await failure(store.install(requestFor({ "not-there": "1.0.0" })));
  expect([missing.code, missing.hint?.includes("private registry")]).toEqual(["env.install-failed", true]);
  expect(missing.message).toMatch(/code E404[^]*not-there/);
  const version = await failure(store.install(requestFor({ plain: "9.9.9" })));
  expect(version.message).toMatch(/code ETARGET/);
  expect(version.hint).toContain("version");
  expect(readdirSync(folder)).toEqual([]);
});

test("an install script that fails fails the install with its output, and knows the marker of its agent", async () => {
  const failing: PublishedPackage = {
    name: "failing",
    version: "1.0.0",
    manifest: { scripts: { install: "echo the compiler is missing, $MARK >&2; exit 3" } },
  };
  await using _registry = await NpmRegistry.start([failing]);
  const groups: number[] = [];
  const store = new EnvStore(folder, { marker: "MARK=a=b", onGroup: (pid) => groups.push(pid) });
  for (const allowScripts of [true, ["failing"]]) {
    const error = await failure(store.install(requestFor({ failing: "1.0.0" }, { allowScripts })));
    expect(error.message).toContain("the compiler is missing, a=b");
  }
  expect(groups).toHaveLength(4);
  expect(readdirSync(folder)).toEqual([]);
});

test("an aborted install ends npm and its scripts, and cleans up before it rejects", async () => {
  // The script lives as long as its connection to this server does.
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const waiting: PublishedPackage = {
    name: "waiting",
    version: "1.0.0",
    manifest: { scripts: { postinstall: "node wait.cjs" } },
    files: { "wait.cjs": `require('net').connect(${port}, '127.0.0.1').on('error', () => {})` },
  };
  await using _registry = await NpmRegistry.start([waiting]);
  const store = new EnvStore(folder);
  const controller = new AbortController();
  const install = store.install(requestFor({ waiting: "1.0.0" }, { allowScripts: true }), {
    signal: controller.signal,
  });
  const settled = install.catch((reason: unknown) => reason);
  const [socket] = (await once(server, "connection")) as [Socket];
  const ended = once(socket.on("error", () => undefined).resume(), "close");
  controller.abort(new Error("changed my mind"));
  expect(await settled).toEqual(new Error("changed my mind"));
  expect(readdirSync(folder)).toEqual([]);
  await ended;
  server.close();
});

test("an install goes on while somebody still waits for it, and can be begun anew after all have left", async () => {
  await using registry = await NpmRegistry.start([plain]);
  registry.silentAbout = ".tgz";
  const store = new EnvStore(folder);
  const request = requestFor({ plain: "1.0.0" });
  const [first, second] = [new AbortController(), new AbortController()];
  const one = store.install(request, { signal: first.signal }).catch((reason: unknown) => reason);
  const two = store.install(request, { signal: second.signal }).catch((reason: unknown) => reason);
  await expect.poll(() => registry.requests.some((path) => path.endsWith(".tgz")), { timeout: 20_000 }).toBe(true);
  first.abort(new Error("first left"));
  expect(await one).toEqual(new Error("first left"));
  expect(readdirSync(folder)).toHaveLength(1);

  second.abort(new Error("second left"));
  registry.silentAbout = undefined;
  const third = store.install(request);
  expect(await two).toEqual(new Error("second left"));
  expect((await third).state).toBe("installed");
});

test("an install that takes too long is ended", async () => {
  await using registry = await NpmRegistry.start([plain]);
  registry.silentAbout = "plain";
  const error = await failure(new EnvStore(folder).install(requestFor({ plain: "1.0.0" }), { timeoutMs: 500 }));
  expect([error.code, error.message.includes("did not finish")]).toEqual(["env.install-failed", true]);
  expect(readdirSync(folder)).toEqual([]);
});

test("a half install of a killed process is never used, and swept", async () => {
  await using registry = await NpmRegistry.start([plain]);
  registry.silentAbout = ".tgz";
  const request = requestFor({ plain: "1.0.0" });
  const program = `
    import { EnvStore } from ${JSON.stringify(new URL("../../runtime/agent/envs.ts", import.meta.url).href)};
    const store = new EnvStore(${JSON.stringify(folder)}, { onGroup: (pid) => console.log(pid) });
    await store.install(${JSON.stringify(request)});`;
  const killed = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [group] = (await once(killed.stdout, "data")) as [Buffer];
  await expect.poll(() => registry.requests.some((path) => path.endsWith(".tgz")), { timeout: 20_000 }).toBe(true);
  const store = new EnvStore(folder);
  await store.sweep();
  // It belongs to a process that is alive.
  expect(readdirSync(folder)).toEqual([expect.stringMatching(/^\.tmp-/)]);
  killed.kill("SIGKILL");
  await once(killed, "exit");
  process.kill(-Number(group), "SIGKILL");

  registry.silentAbout = undefined;
  await store.sweep();
  expect(readdirSync(folder)).toEqual([]);
  expect((await store.install(request)).state).toBe("installed");
});

test("the id of an env follows from what is installed, not from the order in which it is written", () => {
  const base = requestFor({ a: "1.0.0", b: "2.0.0" }, { allowScripts: ["x", "y"] });
  expect(envId(base)).toMatch(/^[0-9a-f]{32}$/);
  expect(envId({ ...base, dependencies: { b: "2.0.0", a: "1.0.0" }, allowScripts: ["y", "x"] })).toBe(envId(base));
  const others = [
    { ...base, dependencies: { a: "1.0.0", b: "2.0.1" } },
    { ...base, overrides: { c: "1.0.0" } },
    { ...base, integrity: { "a@1.0.0": "sha512-x" } },
    { ...base, allowScripts: true },
  ];
  expect(new Set([base, ...others].map(envId)).size).toBe(5);
});

test("npm is run by this Node, without what an npm around us left in the environment", async () => {
  const [command, script] = await findNpm();
  expect(command).toBe(process.execPath);
  expect(script).toMatch(/npm-cli\.js$/);
  const kept = {
    PATH: "/bin",
    HOME: "/home/me",
    npm_config_registry: "https://r",
    "npm_config_//r/:_authToken": "t",
    https_proxy: "p",
  };
  const dropped = {
    npm_lifecycle_event: "test",
    npm_config_prefix: "/x",
    npm_package_name: "y",
    NODE_OPTIONS: "--x",
    INIT_CWD: "/",
  };
  expect(npmEnvironment({ ...kept, ...dropped }, false)).toEqual(kept);
  expect(npmEnvironment({ ...kept, ...dropped }, true)).toEqual({ ...kept, ELECTRON_RUN_AS_NODE: "1" });
});

test("a failure of npm shows its own lines, without the prefix, and a full disk as such", () => {
  const lines = [
    "npm warn old",
    "npm error code E404",
    "npm error 404 Not Found",
    "npm error A complete log of this run can be found in: x",
  ];
  expect(npmFailure({ status: 1, lines }).message).toBe(
    "Cannot install the packages of an env: npm ended with status 1.\ncode E404\n404 Not Found",
  );
  expect(npmFailure({ status: 1, lines: ["npm error code ENOSPC", "npm error nospc"] }).code).toBe("disk.full");
  expect(npmFailure({ status: 1, lines: ["npm ERR! code ENOTFOUND"] }).retryable).toBe(true);
  const many = Array.from({ length: 100 }, (_, i) => `npm error ${i}`);
  expect(npmFailure({ status: undefined, lines: many }).message.split("\n")).toHaveLength(17);
});

/** The version of the package that a module with this `require` gets; its package.json need not be exported. */
function versionOf(require: NodeJS.Require, name: string): string {
  const found = require.resolve.paths(name)!.find((path) => existsSync(join(path, name)));
  return (JSON.parse(readFileSync(join(found!, name, "package.json"), "utf8")) as { version: string }).version;
}
