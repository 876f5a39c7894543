import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Lab } from "../lab/lab.ts";
import type { Machine } from "../lab/machine.ts";
import { executed } from "../lab/namespaces.ts";
import { TestHome, until } from "../support/home.ts";

/** A cluster of one machine of one's own, from the command line, as a person makes it. */
describe("a cluster of a machine of your own", () => {
  let lab: Lab;
  let machine: Machine;
  let home: TestHome;
  const env = () => ({ FARCALL_SSH_CONFIG: lab.sshConfigFile });
  const farcall = (args: readonly string[], input?: string) =>
    home.cli(args, { env: env(), ...(input === undefined ? {} : { input }) });

  beforeAll(async () => {
    lab = await Lab.start();
    machine = await lab.machine();
    home = await TestHome.create();
    await home.write(
      "where.ts",
      `import { hostname, userInfo } from "node:os";
       export function where() { console.log("here"); return [hostname(), userInfo().username]; }
       export function square(n: number) { return n * n; }
       export function fail(): never { throw new RangeError("too far"); }`,
    );
  });
  afterAll(async () => {
    await home[Symbol.asyncDispose]();
    await lab[Symbol.asyncDispose]();
  });

  it("comes up in one command, and again without doing anything", async () => {
    const first = await farcall(["up", "lab", "--host", machine.name]);
    expect(first.stderr).toMatch(/sending the agent\nlab is up: 1 node, after [\d.]+ s\.\n$/);
    expect(first.status).toBe(0);
    const again = await farcall(["up", "lab", "--host", machine.name]);
    expect(again.stderr).toMatch(/^lab is up: 1 node, after [\d.]+ s\.\n$/);
    const clusters = JSON.parse((await farcall(["clusters", "--json"])).stdout) as unknown[];
    expect(clusters).toEqual([
      expect.objectContaining({ name: "local", state: "down" }),
      expect.objectContaining({ name: "lab", provider: "ssh", state: "up", nodes: 1 }),
    ]);
    const record = await readFile(join(home.path, "clusters/lab.json"), "utf8");
    expect(record).toContain(machine.name);
  });

  it("runs and maps functions there, with their output and their errors", async () => {
    const run = await farcall(["run", "--on", "lab", "where.ts#where"]);
    expect(JSON.parse(run.stdout)).toEqual([machine.name, machine.user]);
    expect(run.stderr).toMatch(/here/);
    const inputs = Array.from({ length: 5_000 }, (_, at) => at).join("\n");
    const map = await farcall(["map", "--on", "lab", "where.ts#square", "--input", "-"], inputs);
    expect(map.status).toBe(0);
    const lines = map.stdout.trim().split("\n");
    expect(lines).toHaveLength(5_000);
    expect(lines.every((line, at) => line === `{"index":${at},"value":${at * at}}`)).toBe(true);
    const failed = await farcall(["run", "--on", "lab", "where.ts#fail"]);
    expect(failed.status).toBe(1);
    expect(failed.stderr).toMatch(/RangeError: too far/);
    expect(failed.stderr).toMatch(/where\.ts:4/);
  });

  it("shows its nodes, and refuses to become another", async () => {
    const status = await farcall(["status", "lab"]);
    expect(status.stdout).toMatch(new RegExp(`^NODE +HOST +SYSTEM +CORES +MIB\\n +1 +${machine.name} +linux x64`, "m"));
    expect(status.stdout).toMatch(/lab is up: agent/);
    const other = await farcall(["up", "lab", "--host", "elsewhere"]);
    expect(other.status).toBe(2);
    expect(other.stderr).toMatch(
      /error cluster\.changed: The cluster lab has m1 as well, and no host can be taken out/,
    );
    const more = await farcall(["up", "lab", "--host", machine.name, "--host", "elsewhere"]);
    expect(more.status).toBe(2);
    expect(more.stderr).toMatch(/error cluster\.changed: .* a file of its one machine, which elsewhere cannot share/);
    expect(more.stderr).toMatch(/Take it down first/);
    expect(await readFile(join(home.path, "clusters/lab.json"), "utf8")).not.toContain("elsewhere");
  });

  it("is logged in to by its name, and says which nodes it has", async () => {
    const shell = await farcall(["ssh", "lab"], "echo I am on $(hostname); exit 7\n");
    expect([shell.status, shell.stdout]).toEqual([7, expect.stringContaining(`I am on ${machine.name}`)]);
    const other = await farcall(["ssh", "lab", "9"]);
    expect(other.stderr).toMatch(/error usage: The cluster lab has no node 9 .*\n.*It has 1 \(m1\)/);
  });

  it("is stopped and started, and keeps its runs meanwhile", async () => {
    const before = (await farcall(["runs", "--on", "lab", "--json"])).stdout;
    expect(JSON.parse(before)).toHaveLength(3);
    expect((await farcall(["stop", "lab"])).stderr).toBe("lab is stopped.\n");
    expect(machine.processes().filter(({ command }) => command.includes("agent.js"))).toEqual([]);
    expect((await farcall(["status", "lab"])).stdout).toMatch(/^lab is stopped/);
    expect((await farcall(["start", "lab"])).stderr).toMatch(/^lab is up: 1 node, after [\d.]+ s\.\n$/);
    expect((await farcall(["runs", "--on", "lab", "--json"])).stdout).toBe(before);
  });

  it("has its agent again when that was killed", async () => {
    const agents = () => machine.processes().filter(({ command }) => /node .*agent\.js/.test(command));
    const [before] = agents();
    await machine.do(`kill -9 $(cat ${machine.home}/.farcall-node/*/agent.pid)`);
    const run = await farcall(["run", "--on", "lab", "where.ts#where"]);
    expect(JSON.parse(run.stdout)).toEqual([machine.name, machine.user]);
    expect(agents().map(({ pid }) => pid)).not.toContain(before!.pid);
    expect(agents()).toHaveLength(1);
  });

  it("is found by another client that names the same machine", async () => {
    await using other = await TestHome.create();
    const joined = await other.cli(["up", "lab", "--host", machine.name], { env: env() });
    expect(joined.stderr).toMatch(/^joining the cluster lab that is there already\nlab is up: 1 node/);
    const mine = (await farcall(["runs", "--on", "lab", "--json"])).stdout;
    expect((await other.cli(["runs", "--on", "lab", "--json"], { env: env() })).stdout).toBe(mine);
  });

  it("leaves nothing behind when it is taken down", async () => {
    const down = await farcall(["down", "lab"]);
    expect(down).toMatchObject({ status: 0, stderr: "lab is down.\n" });
    expect(await machine.do(`ls -A ${machine.home}`)).not.toMatch(/farcall|npm/);
    expect(machine.processes().filter(({ command }) => /farcall|agent\.js|worker\.js/.test(command))).toEqual([]);
    expect(existsSync(join(home.path, "clusters/lab.json"))).toBe(false);
    const gone = await farcall(["run", "--on", "lab", "where.ts#where"]);
    expect(gone.stderr).toMatch(/error cluster\.unknown: There is no cluster "lab"/);
  });
});

describe("bringing a machine up", () => {
  let lab: Lab;
  beforeAll(async () => void (lab = await Lab.start()));
  afterAll(() => lab[Symbol.asyncDispose]());

  const up = async (home: TestHome, machine: Machine, env: Record<string, string> = {}) =>
    home.cli(["up", "lab", "--host", machine.name], { env: { FARCALL_SSH_CONFIG: lab.sshConfigFile, ...env } });
  const nothingLeft = async (home: TestHome, machine: Machine) => {
    expect(await machine.do(`ls -A ${machine.home}`)).not.toMatch(/farcall/);
    expect(existsSync(join(home.path, "clusters/lab.json"))).toBe(false);
  };

  it.each(["dash", "busybox", "fish"] as const)("works with %s as the login shell", async (shell) => {
    await using home = await TestHome.create();
    const machine = await lab.machine({ shell });
    expect(await up(home, machine)).toMatchObject({ status: 0 });
    const down = await home.cli(["down", "lab"], { env: { FARCALL_SSH_CONFIG: lab.sshConfigFile } });
    expect(down).toMatchObject({ status: 0 });
    await nothingLeft(home, machine);
    await machine.kill();
  });

  it("works as root", async () => {
    await using home = await TestHome.create();
    const machine = await lab.machine({ user: "root" });
    expect(await up(home, machine)).toMatchObject({ status: 0 });
    expect(await home.cli(["down", "lab"], { env: { FARCALL_SSH_CONFIG: lab.sshConfigFile } })).toMatchObject({
      status: 0,
    });
    await machine.kill();
  });

  it("says what is wrong with a machine it cannot use, and leaves it alone", async () => {
    await using home = await TestHome.create();
    const readOnly = await lab.machine();
    await readOnly.do(`mount -t tmpfs -o size=1m none ${readOnly.home} && mount -o remount,ro ${readOnly.home}`);
    const refused = await up(home, readOnly);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toMatch(/error node\.unsupported: .* cannot be written to/);
    const full = await lab.machine({ diskMiB: 128 });
    await full.fillDisk();
    const noSpace = await up(home, full);
    expect(noSpace.stderr).toMatch(/error disk\.full: m\d+ has \d+ MiB left/);
    await full.freeDisk();
    await nothingLeft(home, full);
    await Promise.all([readOnly, full].map((machine) => machine.kill()));
    for (const tool of ["tar", "gzip"]) {
      const bare = await lab.machine({ node: "none", without: [tool] });
      expect((await up(home, bare)).stderr).toMatch(
        /error node\.unsupported: m\d+ has no Node\.js 24, and no tar and gzip/,
      );
      await nothingLeft(home, bare);
      await bare.kill();
    }
  });

  it("says why a machine cannot be logged in to, and keeps nothing", async () => {
    await using home = await TestHome.create();
    const machine = await lab.machine();
    const key = join(lab.folder, "not-let-in");
    await executed(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
    const known = join(lab.folder, "known_before");
    await writeFile(known, `${machine.address} ${(await readFile(`${key}.pub`, "utf8")).trim()}\n`);
    // It takes connections, and says nothing.
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    const hostOf = (name: string, identity: string, knownHosts: string) =>
      `Host ${name}\n  HostName ${machine.address}\n  User ${machine.user}\n  IdentityFile ${identity}\n  IdentitiesOnly yes\n  UserKnownHostsFile ${knownHosts}\n`;
    const config = join(lab.folder, "refusing_config");
    await writeFile(
      config,
      [
        hostOf("wrong-key", key, lab.knownHostsFile),
        hostOf("changed-host", machine.privateKeyFile, known),
        `Host silent\n  HostName 127.0.0.1\n  Port ${port}\n`,
      ].join(""),
    );
    const reasons = {
      "wrong-key": /^error ssh\.auth: .*wrong-key/m,
      "changed-host": /^error ssh\.host-key-changed: .*changed-host/m,
      silent: /^error ssh\.timeout: .*silent/m,
    };
    await Promise.all(
      Object.entries(reasons).map(async ([name, reason]) => {
        const up = await home.cli(["up", `of-${name}`, "--host", name], { env: { FARCALL_SSH_CONFIG: config } });
        expect([up.status, up.stderr]).toEqual([2, expect.stringMatching(reason)]);
      }),
    );
    silent.close();
    expect(JSON.parse((await home.cli(["clusters", "--json"])).stdout)).toMatchObject([{ name: "local" }]);
    await nothingLeft(home, machine);
    await machine.kill();
  });

  it("says so where there is no such user, and changes nothing", async () => {
    await using home = await TestHome.create();
    const machine = await lab.machine();
    const env = { FARCALL_SSH_CONFIG: lab.sshConfigFile };
    const files = () => machine.do("ls -lA /home /home/* /etc/passwd");
    const before = await files();
    const refused = await home.cli(["up", "lab", "--host", `nobody-here@${machine.name}`], { env });
    expect(refused.status).toBe(2);
    expect(refused.stderr).toMatch(/^error ssh\.auth: .* does not let nobody-here in\. Tried were .*\n.*another user/m);
    expect(await machine.sshdLog()).toMatch(/Invalid user nobody-here/);
    expect(await files()).toBe(before);
    await nothingLeft(home, machine);
    // The name is free for one that is there.
    expect(await up(home, machine)).toMatchObject({ status: 0 });
    expect(await home.cli(["down", "lab"], { env })).toMatchObject({ status: 0 });
    await machine.kill();
  });

  it("does not touch a folder that somebody else has under Farcall's name", async () => {
    await using home = await TestHome.create();
    const machine = await lab.machine();
    await machine.do(
      `mkdir ${machine.home}/.farcall-node && echo mine > ${machine.home}/.farcall-node/file && chown -R ${machine.user} ${machine.home}/.farcall-node`,
    );
    const refused = await up(home, machine);
    expect(refused.stderr).toMatch(/error node\.install-failed: .*is there already and not Farcall's/);
    expect(await machine.do(`cat ${machine.home}/.farcall-node/file`)).toBe("mine\n");
    await machine.kill();
  });

  it("launches once, however many ask at the same time", async () => {
    await using home = await TestHome.create();
    const machine = await lab.machine();
    const all = await Promise.all(Array.from({ length: 10 }, () => up(home, machine)));
    expect(all.map(({ status }) => status)).toEqual(all.map(() => 0));
    expect(all.filter(({ stderr }) => stderr.includes("sending the agent"))).toHaveLength(1);
    expect(machine.processes().filter(({ command }) => /node .*agent\.js/.test(command))).toHaveLength(1);
    await home.cli(["down", "lab"], { env: { FARCALL_SSH_CONFIG: lab.sshConfigFile } });
    await machine.kill();
  });

  it("does not forget what an earlier client put on a machine when that is away for a later one", async () => {
    await using home = await TestHome.create();
    const machine = await lab.machine();
    const child = home.spawnCli(["up", "lab", "--host", machine.name], {
      env: { FARCALL_SSH_CONFIG: lab.sshConfigFile },
    });
    await until(
      () => machine.do(`ls -A ${machine.home}`),
      (files) => files.includes(".farcall-node"),
      20_000,
    );
    child.kill("SIGKILL");
    await machine.kill();
    expect(await up(home, machine)).toMatchObject({ status: 2 });
    expect(existsSync(join(home.path, "clusters/lab.json"))).toBe(true);
    await machine.boot();
    const down = await home.cli(["down", "lab"], { env: { FARCALL_SSH_CONFIG: lab.sshConfigFile } });
    expect(down).toMatchObject({ status: 0 });
    await nothingLeft(home, machine);
    await machine.kill();
  });

  it("goes on where a client that was killed left off", async () => {
    await using home = await TestHome.create();
    const machine = await lab.machine();
    for (const afterMs of [100, 250, 400, 600]) {
      const child = home.spawnCli(["up", "lab", "--host", machine.name], {
        env: { FARCALL_SSH_CONFIG: lab.sshConfigFile },
      });
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      child.kill("SIGKILL");
    }
    expect(await up(home, machine)).toMatchObject({ status: 0 });
    expect(machine.processes().filter(({ command }) => /node .*agent\.js/.test(command))).toHaveLength(1);
    expect(await home.cli(["down", "lab"], { env: { FARCALL_SSH_CONFIG: lab.sshConfigFile } })).toMatchObject({
      status: 0,
    });
    await nothingLeft(home, machine);
    await machine.kill();
  });
});

describe("the registry", () => {
  it("says so when a record is damaged, and does not act on it", async () => {
    await using home = await TestHome.create();
    await home.cli(["clusters"]);
    const { mkdir } = await import("node:fs/promises");
    await mkdir(join(home.path, "clusters"), { recursive: true, mode: 0o700 });
    await writeFile(join(home.path, "clusters/lab.json"), '{"checksum":"0","record":{"schema":1}}');
    const status = await home.cli(["status", "lab"]);
    expect(status).toMatchObject({ status: 2 });
    expect(status.stderr).toMatch(/error registry\.corrupt: .*its checksum is wrong/);
  });
});
