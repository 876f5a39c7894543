import { createServer } from "node:net";
import { existsSync, statSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { agentPaths } from "../../runtime/transport/agentPaths.ts";
import { agentMethods } from "../../runtime/protocol/messages/agent.ts";
import { protocolVersion } from "../../runtime/protocol/messages/session.ts";
import { Peer } from "../../runtime/protocol/rpc.ts";
import { dialUnixSocket } from "../../runtime/transport/websocket.ts";
import { isAlive, TestHome, until } from "../support/home.ts";

/** The agent as a process: how it comes up, who may talk to it, what it survives, how it goes. */

let home: TestHome;
let file: string;

beforeEach(async () => {
  home = await TestHome.create();
  file = await home.write(
    "f.ts",
    "export const f = (x: number) => x + 1; export const pid = () => process.ppid; export const slow = (x: number) => new Promise((r) => setTimeout(r, 50, x));",
  );
});
afterEach(async () => {
  await home[Symbol.asyncDispose]();
});

const call = (name = "f", args = "[1]", env: Record<string, string> = {}) =>
  home.cli(["run", `${file}#${name}`, args], { env });
const agentFolder = () => join(home.path, "local");

async function peer() {
  const transport = await dialUnixSocket(agentPaths(agentFolder()).socket);
  return new Peer(transport, agentMethods, { methods: {}, handlers: {} });
}

describe("an agent", () => {
  test("is started once, however many clients want it in the same instant", async () => {
    const results = await Promise.all(Array.from({ length: 6 }, () => call("pid", "[]")));
    expect(results.map(({ status, stderr }) => [status, stderr])).toEqual(results.map(() => [0, ""]));
    expect(new Set(results.map(({ stdout }) => stdout.trim())).size).toBe(1);
  });

  test("takes the place of one that died and left its socket", async () => {
    await call();
    process.kill(home.agentPid()!, "SIGKILL");
    await until(
      () => home.agentPid(),
      (pid) => pid === undefined,
    );
    expect(existsSync(agentPaths(agentFolder()).socket)).toBe(true);
    expect((await call()).stdout).toBe("2\n");
  });

  test("opens nothing but a socket that its owner alone may use, and keeps its token to itself", async () => {
    await call();
    const { socket, token } = agentPaths(agentFolder());
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    expect(statSync(token).mode & 0o777).toBe(0o600);
    expect(statSync(agentFolder()).mode & 0o777).toBe(0o700);
    const secret = await readFile(token, "utf8");
    const pid = home.agentPid()!;
    for (const name of ["cmdline", "environ"])
      expect(await readFile(`/proc/${pid}/${name}`, "utf8")).not.toContain(secret);
    // Listening TCP sockets stand in state 0A in the process's network namespace; none may be the agent's.
    const inodes = new Set<string>();
    for (const descriptor of await readdir(`/proc/${pid}/fd`)) {
      const { readlink } = await import("node:fs/promises");
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode) inodes.add(inode);
    }
    for (const table of ["tcp", "tcp6"]) {
      for (const line of (await readFile(`/proc/${pid}/net/${table}`, "utf8").catch(() => "")).split("\n").slice(1)) {
        const fields = line.trim().split(/\s+/);
        expect(inodes.has(fields[9] ?? "")).toBe(false);
      }
    }
  });

  test("answers nothing but a greeting with the right token", async () => {
    await call();
    const silent = await peer();
    await expect(silent.request("status", {})).rejects.toMatchObject({ code: "agent.auth" });
    silent.destroy();
    const wrong = await peer();
    await expect(
      wrong.request("hello", { protocol: protocolVersion, token: "0".repeat(64), version: "0", build: "0" }),
    ).rejects.toMatchObject({ code: "agent.auth" });
    await wrong.closed;
    const right = await peer();
    const token = await readFile(agentPaths(agentFolder()).token, "utf8");
    await right.request("hello", { protocol: protocolVersion, token, version: "0", build: "0" });
    expect((await right.request("status", {})).value.clients).toBe(1);
    right.destroy();
  });

  test("makes room for one of another build when nobody needs it, and serves on when somebody does", async () => {
    await call();
    const old = home.agentPid()!;
    const cluster = home.cluster();
    await cluster.upIfNot();
    const token = await readFile(agentPaths(agentFolder()).token, "utf8");
    const other = await peer();
    await other.request("hello", { protocol: protocolVersion, token, version: "9", build: "another" });
    expect((await other.request("retire", {})).value).toMatchObject({
      retiring: false,
      why: expect.stringContaining("1 other client"),
    });
    cluster.close();
    await until(
      async () => (await other.request("status", {})).value.clients,
      (clients) => clients === 1,
    );
    expect((await other.request("retire", {})).value).toEqual({ retiring: true });
    await other.closed;
    expect(
      await until(
        () => isAlive(old),
        (alive) => !alive,
      ),
    ).toBe(false);
    expect((await call()).stdout).toBe("2\n");
  });

  test("ends itself after its idle time, and not before", async () => {
    const env = { FARCALL_IDLE_MS: "600" };
    await home.cli(["map", `${file}#slow`, "--input", "-", "--detach"], {
      input: Array.from({ length: 40 }, (_, i) => `${i}\n`).join(""),
      env,
    });
    const pid = home.agentPid()!;
    await new Promise((resolve) => setTimeout(resolve, 900));
    expect(isAlive(pid)).toBe(true);
    expect(
      await until(
        () => isAlive(pid),
        (alive) => !alive,
        15_000,
      ),
    ).toBe(false);
    expect(home.leftovers()).toEqual([]);
    expect(existsSync(agentPaths(agentFolder()).socket)).toBe(false);
  });

  test("goes on with a map that was running when it was killed, as soon as somebody asks", async () => {
    const { stdout } = await home.cli(["map", `${file}#slow`, "--input", "-", "--detach"], {
      input: Array.from({ length: 100 }, (_, i) => `${i}\n`).join(""),
    });
    process.kill(home.agentPid()!, "SIGKILL");
    const results = await home.cli(["results", stdout.trim(), "--follow"]);
    expect(
      results.stdout
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as { value: number }).value),
    ).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  test.each(["queue.db", "runs.db", "agent.lock"])(
    "starts with a damaged %s, keeps the damaged one aside and says so",
    async (name) => {
      await call();
      await home.cli(["down", "local"]);
      for (const ending of ["-wal", "-shm"]) await rm(join(agentFolder(), name + ending), { force: true });
      await writeFile(join(agentFolder(), name), Buffer.alloc(20_000, "garbage"));
      expect((await call()).stdout).toBe("2\n");
      expect((await readdir(agentFolder())).some((entry) => entry.startsWith(`${name}.corrupt-`))).toBe(true);
      const { warnings } = JSON.parse((await home.cli(["status", "--json"])).stdout) as { warnings: string[] };
      if (name !== "agent.lock") expect(warnings.join()).toContain("damaged");
    },
  );

  test("lives in a folder of any name and of any length", async () => {
    for (const name of [`with space 'quote" $(x) é \u{1F600}`, "long".repeat(50)]) {
      const path = join(home.project, name);
      await mkdir(path, { recursive: true });
      const { status, stdout, stderr } = await home.cli(["run", `${file}#f`, "[41]"], { env: { FARCALL_HOME: path } });
      expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "42\n", stderr: "" });
      expect((await home.cli(["down", "local"], { env: { FARCALL_HOME: path } })).status).toBe(0);
    }
  });

  test("that listens but never answers is given up on with words", async () => {
    await mkdir(agentFolder(), { recursive: true, mode: 0o700 });
    await chmod(home.path, 0o700);
    const { socket, token } = agentPaths(agentFolder());
    await writeFile(token, "x", { mode: 0o600 });
    const mute = createServer(() => undefined);
    await new Promise<void>((resolve) => mute.listen(socket, resolve));
    const { status, stderr } = await home.cli(["status"], { timeoutMs: 40_000 });
    mute.close();
    expect(status).toBe(2);
    expect(stderr).toContain("did not answer");
  });
});
