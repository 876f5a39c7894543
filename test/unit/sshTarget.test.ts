import { existsSync } from "node:fs";
import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SshConfigFile } from "../../runtime/transport/ssh/config.ts";
import { hostKeyName, parseHost, resolveTarget, type SshTarget } from "../../runtime/transport/ssh/target.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farcall-ssh-config-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function write(name: string, ...lines: string[]): Promise<string> {
  const file = join(folder, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, lines.join("\n"));
  return file;
}

/** What becomes of `host` under a configuration of these lines. */
async function resolved(host: string, lines: string[], env: NodeJS.ProcessEnv = {}): Promise<SshTarget> {
  const file = await write("config", ...lines);
  return resolveTarget(host, SshConfigFile.load({ ...env, FARCALL_SSH_CONFIG: file }));
}

describe("the hosts of a configuration", () => {
  it("are those that it names, without patterns, each once", async () => {
    await write("more", "Host behind");
    const file = await write(
      "config",
      "Host m1 m2 !m3",
      "  HostName 10.0.0.1",
      "Host *.corp web? *",
      'Host m1 "the box" last',
      "Match host x",
      `Include ${join(folder, "more")}`,
    );
    const { hosts } = SshConfigFile.load({ FARCALL_SSH_CONFIG: file });
    expect(hosts.filter((host) => host !== "behind")).toEqual(["m1", "m2", "last"]);
    expect(SshConfigFile.load({ FARCALL_SSH_CONFIG: await write("none") }).hosts).toEqual([]);
  });
});

describe("a host as a person writes it", () => {
  it.each([
    ["example.org", { host: "example.org" }],
    ["me@example.org", { user: "me", host: "example.org" }],
    ["me@example.org:2222", { user: "me", host: "example.org", port: 2222 }],
    ["my.name@corp.example@example.org", { user: "my.name@corp.example", host: "example.org" }],
    ["10.0.0.7:22", { host: "10.0.0.7", port: 22 }],
    ["ssh://me@example.org:2222/", { user: "me", host: "example.org", port: 2222 }],
    ["::1", { host: "::1" }],
    ["[::1]", { host: "::1" }],
    ["me@[fe80::1%eth0]:2222", { user: "me", host: "fe80::1%eth0", port: 2222 }],
    ["me@2001:db8::7", { user: "me", host: "2001:db8::7" }],
    ["my_box", { host: "my_box" }],
    ["a", { host: "a" }],
  ])("%s is taken apart", (text, parts) => {
    expect(parseHost(text)).toEqual(parts);
  });

  it.each([
    "",
    " ",
    "me@",
    "@example.org",
    "-oProxyCommand=id",
    "me@-oProxyCommand=id",
    "-l@example.org",
    "example.org:0",
    "example.org:65536",
    "example.org:port",
    "exam ple.org",
    "example.org\n",
    "example.org\0",
    "me\u0007@example.org",
    "example.org;id",
    "$(id)",
    "`id`",
    "a/b",
    "me:secret@example.org",
    "[::1",
    "http://example.org",
  ])("%j is refused", (text) => {
    expect(() => parseHost(text)).toThrow(expect.objectContaining({ code: "spec.invalid" }));
  });
});

describe("the ssh configuration", () => {
  it("need not say anything", async () => {
    expect(await resolved("example.org", [], { SSH_AUTH_SOCK: "/run/agent" })).toEqual({
      name: "example.org",
      host: "example.org",
      port: 22,
      user: userInfo().username,
      identityFiles: ["id_ed25519", "id_ecdsa", "id_rsa"].map((name) => join(homedir(), ".ssh", name)),
      identitiesOnly: false,
      agentSocket: "/run/agent",
      hostKeyAlias: undefined,
      knownHostsFiles: [
        join(homedir(), ".ssh/known_hosts"),
        join(homedir(), ".ssh/known_hosts2"),
        "/etc/ssh/ssh_known_hosts",
        "/etc/ssh/ssh_known_hosts2",
      ],
      jump: undefined,
    });
  });

  it("names address, user, port and keys, and what the person writes comes before it", async () => {
    const lines = [
      "# all of it in several spellings",
      "host Box box",
      "  hostname=10.0.0.7",
      '  User "someone"',
      "  Port = 2222",
      "  IdentityFile ~/keys/%r@%h",
      '  IdentityFile "/keys/with space/%n%%"',
      "  identityfile relative",
      "  identitiesOnly YES",
      "  HostKeyAlias theBox",
      `  UserKnownHostsFile /hosts/one "/hosts/t w o"`,
      "  GlobalKnownHostsFile none",
      "  IdentityAgent none",
    ];
    expect(await resolved("box", lines, { SSH_AUTH_SOCK: "/run/agent" })).toMatchObject({
      host: "10.0.0.7",
      port: 2222,
      user: "someone",
      identityFiles: [
        join(homedir(), "keys/someone@10.0.0.7"),
        "/keys/with space/box%",
        join(homedir(), ".ssh/relative"),
      ],
      identitiesOnly: true,
      hostKeyAlias: "theBox",
      knownHostsFiles: ["/hosts/one", "/hosts/t w o"],
      agentSocket: undefined,
    });
    expect(await resolved("me@box:22", lines)).toMatchObject({
      host: "10.0.0.7",
      port: 22,
      user: "me",
      identityFiles: [join(homedir(), "keys/me@10.0.0.7"), "/keys/with space/box%", join(homedir(), ".ssh/relative")],
    });
  });

  it("says the first thing that it says, by patterns and their negation", async () => {
    const lines = [
      "Host *.lab !new.lab",
      "  User old",
      "Host *.lab",
      "  User young",
      "  HostName %h.example.org",
      "Host *",
      "  User anybody",
      "  Port 2022",
    ];
    expect(await resolved("a.lab", lines)).toMatchObject({ user: "old", port: 2022, host: "a.lab.example.org" });
    expect(await resolved("new.lab", lines)).toMatchObject({ user: "young" });
    expect(await resolved("elsewhere", lines)).toMatchObject({ user: "anybody", host: "elsewhere" });
  });

  it("takes the agent's socket from a variable", async () => {
    const lines = ["Host a", "  IdentityAgent $OTHER_AGENT", "Host b", "  IdentityAgent SSH_AUTH_SOCK"];
    const env = { OTHER_AGENT: "/run/other", SSH_AUTH_SOCK: "/run/agent" };
    expect(await resolved("a", lines, env)).toMatchObject({ agentSocket: "/run/other" });
    expect(await resolved("b", lines, env)).toMatchObject({ agentSocket: "/run/agent" });
  });

  it("includes files, by pattern, after which the block goes on that they stood in", async () => {
    await write("conf.d/1.conf", "Host one", "  User first");
    await write("conf.d/2.conf", "Host two", "  User second");
    const lines = [
      `Include ${folder}/conf.d/*.conf "${folder}/not there"`,
      "Port 2022",
      "Host three",
      `  Include ${folder}/conf.d/1.conf`,
      "  User third",
    ];
    expect(await resolved("one", lines)).toMatchObject({ user: "first", port: 2022 });
    expect(await resolved("two", lines)).toMatchObject({ user: "second", port: 2022 });
    expect(await resolved("three", lines)).toMatchObject({ user: "third", port: 2022 });
    expect(await resolved("four", lines)).toMatchObject({ user: userInfo().username, port: 2022 });
  });

  it("is refused when it cannot be read, includes itself, or has no sense", async () => {
    expect(() => SshConfigFile.load({ FARCALL_SSH_CONFIG: join(folder, "none") })).toThrow(
      expect.objectContaining({ code: "spec.invalid", message: expect.stringContaining(join(folder, "none")) }),
    );
    await expect(resolved("a", [`Include ${folder}/config`])).rejects.toThrow("includes itself");
    await expect(resolved("a", ["Port many"])).rejects.toThrow("Port many");
  });

  it("runs nothing", async () => {
    const canary = join(folder, "canary");
    const lines = [`Match exec "touch ${canary}"`, "  User matched", "Host *", "  User plain"];
    expect(await resolved("a", lines)).toMatchObject({ user: "plain" });
    expect(existsSync(canary)).toBe(false);
    await expect(resolved("b", ["ProxyCommand nc %h %p"])).rejects.toMatchObject({
      code: "spec.invalid",
      hint: "Use ProxyJump instead.",
    });
    expect(await resolved("b", ["ProxyCommand none"])).toMatchObject({ host: "b" });
  });
});

describe("ProxyJump", () => {
  it("is followed through several machines, each with its own configuration", async () => {
    const lines = [
      "Host inner",
      "  HostName 10.0.0.7",
      "  ProxyJump outer,other@middle:2022",
      "Host outer",
      "  HostName outer.example.org",
      "  User gate",
    ];
    expect(await resolved("inner", lines)).toMatchObject({
      host: "10.0.0.7",
      jump: {
        host: "middle",
        user: "other",
        port: 2022,
        jump: { host: "outer.example.org", user: "gate", jump: undefined },
      },
    });
  });

  it("for all hosts is not for the one that it names", async () => {
    const lines = ["Host gate", "  HostName gate.example.org", "Host *", "  ProxyJump me@gate"];
    expect(await resolved("inner", lines)).toMatchObject({ jump: { host: "gate.example.org", jump: undefined } });
    expect(await resolved("gate", lines)).toMatchObject({ jump: undefined });
    expect(await resolved("inner", ["Host *", "  ProxyJump none"])).toMatchObject({ jump: undefined });
  });

  it("in a circle is refused", async () => {
    const lines = ["Host a", "  ProxyJump b", "Host b", "  ProxyJump a"];
    await expect(resolved("a", lines)).rejects.toMatchObject({ code: "spec.invalid" });
  });
});

describe("the name that a host key is known under", () => {
  const target = { host: "Example.org", port: 22 } as SshTarget;
  it.each([
    [target, "example.org"],
    [{ ...target, port: 2222 }, "[example.org]:2222"],
    [{ ...target, host: "::1", port: 2222 }, "[::1]:2222"],
    [{ ...target, port: 2222, hostKeyAlias: "Alias" }, "alias"],
  ])("of %o is %s", (each, name) => {
    expect(hostKeyName(each)).toBe(name);
  });
});
