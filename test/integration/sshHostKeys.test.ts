import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import ssh2, { type Server } from "ssh2";
import { SshConnection } from "../../runtime/transport/ssh/connection.ts";
import type { HostKeyQuestion, HostKeyTrust } from "../../runtime/transport/ssh/hostKeys.ts";
import { fingerprintOf } from "../../runtime/transport/ssh/knownHosts.ts";
import type { SshTarget } from "../../runtime/transport/ssh/target.ts";
import { describeInLab } from "../lab/describeInLab.ts";
import { executed } from "../lab/namespaces.ts";
import { until } from "../support/home.ts";
import { open, targetOf } from "../support/ssh.ts";

interface HostKey {
  privateKey: string;
  type: string;
  base64: string;
  fingerprint: string;
}

function makeKey(kind: "ed25519" | "rsa"): HostKey {
  const { private: privateKey, public: line } = ssh2.utils.generateKeyPairSync(kind as "rsa", { bits: 2048 });
  const [type, base64] = line.split(" ") as [string, string];
  return { privateKey, type, base64, fingerprint: fingerprintOf(Buffer.from(base64, "base64")) };
}

const shown = makeKey("ed25519");
const other = makeKey("ed25519");
const rsa = makeKey("rsa");

/** An SSH server that lets anybody in and remembers how they tried. */
class RecordingServer implements AsyncDisposable {
  readonly attempts: string[] = [];
  readonly #server: Server;

  private constructor(keys: HostKey[]) {
    this.#server = new ssh2.Server({ hostKeys: keys.map(({ privateKey }) => privateKey) }, (client) => {
      client.on("authentication", (context) => {
        this.attempts.push(context.method);
        context.accept();
      });
      client.on("error", () => undefined);
    });
  }

  static async start(...keys: HostKey[]): Promise<RecordingServer> {
    const server = new RecordingServer(keys);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await once(this.#server, "close");
  }
}

let folder: string;
let ownFile: string;
let knownHostsFile: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farcall-host-keys-"));
  ownFile = join(folder, "farcall", "known_hosts");
  knownHostsFile = join(folder, "known_hosts");
});
afterEach(() => rm(folder, { recursive: true }));

function targetAt(server: RecordingServer, changes: Partial<SshTarget> = {}): SshTarget {
  return {
    name: "box",
    host: "127.0.0.1",
    port: server.port,
    user: "me",
    identityFiles: [],
    identitiesOnly: true,
    agentSocket: undefined,
    hostKeyAlias: undefined,
    knownHostsFiles: [knownHostsFile],
    jump: undefined,
    ...changes,
  };
}

async function connect(target: SshTarget, trust: Partial<HostKeyTrust> = {}): Promise<void> {
  const connection = await SshConnection.open(target, { hostKeys: { ownFile, ...trust } });
  await connection.close();
}

function know(server: RecordingServer, key: HostKey): Promise<void> {
  return writeFile(knownHostsFile, `[127.0.0.1]:${server.port} ${key.type} ${key.base64}\n`);
}

describe("the key of a host", () => {
  it("that is known is taken without a question", async () => {
    await using server = await RecordingServer.start(shown);
    await know(server, shown);
    await connect(targetAt(server));
    expect(server.attempts).toEqual(["none"]);
    await writeFile(knownHostsFile, `127.0.0.1 ${shown.type} ${shown.base64}\n`);
    await connect(targetAt(server));
    await writeFile(knownHostsFile, `elsewhere ${shown.type} ${shown.base64}\n`);
    await connect(targetAt(server, { hostKeyAlias: "elsewhere" }));
  });

  it("that has changed is refused before anything is said, with both fingerprints and no question", async () => {
    await using server = await RecordingServer.start(shown);
    await know(server, other);
    const ask = () => Promise.reject(new Error("was asked"));
    const refused = expect(connect(targetAt(server), { ask })).rejects;
    await refused.toMatchObject({
      code: "ssh.host-key-changed",
      message: expect.stringMatching(new RegExp(`${escaped(shown.fingerprint)}.*${escaped(other.fingerprint)}`)),
      hint: expect.stringContaining(`${knownHostsFile}, line 1`),
    });
    expect(server.attempts).toEqual([]);
  });

  it("that is revoked is refused", async () => {
    await using server = await RecordingServer.start(shown);
    const line = `${shown.type} ${shown.base64}\n`;
    await writeFile(knownHostsFile, `[127.0.0.1]:${server.port} ${line}@revoked * ${line}`);
    await expect(connect(targetAt(server))).rejects.toMatchObject({
      code: "ssh.host-key-changed",
      message: expect.stringContaining("revoked"),
    });
    expect(server.attempts).toEqual([]);
  });

  it("that is not known is refused where nobody can be asked", async () => {
    await using server = await RecordingServer.start(shown);
    await expect(connect(targetAt(server))).rejects.toMatchObject({
      code: "ssh.host-key-unknown",
      message: expect.stringContaining(shown.fingerprint),
    });
    await expect(connect(targetAt(server), { ask: () => Promise.resolve(false) })).rejects.toMatchObject({
      code: "ssh.host-key-unknown",
    });
    expect(server.attempts).toEqual([]);
    await expect(stat(ownFile)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("that a person says yes to goes once into Farcall's own file, which only they can read", async () => {
    await using server = await RecordingServer.start(shown);
    const questions: HostKeyQuestion[] = [];
    const ask = async (question: HostKeyQuestion) => {
      questions.push(question);
      await new Promise((resolve) => setTimeout(resolve, 100));
      return true;
    };
    // Many connections at once are one question.
    await Promise.all(Array.from({ length: 5 }, () => connect(targetAt(server), { ask })));
    await connect(targetAt(server));
    expect(questions).toEqual([
      { host: "box", address: "127.0.0.1", keyType: "ssh-ed25519", fingerprint: shown.fingerprint },
    ]);
    expect(await readFile(ownFile, "utf8")).toBe(`[127.0.0.1]:${server.port} ssh-ed25519 ${shown.base64}\n`);
    expect((await stat(ownFile)).mode & 0o777).toBe(0o600);
  });

  it("is added behind a last line that has no end", async () => {
    await using server = await RecordingServer.start(shown);
    ownFile = join(folder, "own");
    await writeFile(ownFile, `box ${other.type} ${other.base64}`, { mode: 0o644 });
    await connect(targetAt(server), { ask: () => Promise.resolve(true) });
    await connect(targetAt(server));
    expect((await readFile(ownFile, "utf8")).split("\n")).toHaveLength(3);
    expect((await stat(ownFile)).mode & 0o777).toBe(0o600);
  });

  it("that was pinned is the only one, whatever the files say", async () => {
    await using server = await RecordingServer.start(shown);
    await know(server, other);
    await connect(targetAt(server), { pins: [other.fingerprint, shown.fingerprint] });
    await know(server, shown);
    await expect(connect(targetAt(server), { pins: [other.fingerprint] })).rejects.toMatchObject({
      code: "ssh.host-key-changed",
      hint: expect.stringContaining("pinned"),
    });
  });

  it("is asked for by the type that is known", async () => {
    await using server = await RecordingServer.start(shown, rsa);
    await know(server, rsa);
    await connect(targetAt(server));
    await know(server, shown);
    await connect(targetAt(server));
  });

  it("is refused while a file cannot be read", async () => {
    await using server = await RecordingServer.start(shown);
    await know(server, shown);
    // A folder cannot be read as a file, whoever one is.
    await expect(connect(targetAt(server, { knownHostsFiles: [knownHostsFile, folder] }))).rejects.toMatchObject({
      code: "ssh.known-hosts",
      message: expect.stringContaining(folder),
    });
    expect(server.attempts).toEqual([]);
  });
});

describeInLab("the key of a real sshd", (lab) => {
  it("is found in a file that ssh-keygen has hashed", async () => {
    const machine = await lab().machine();
    const file = join(lab().folder, "hashed");
    await writeFile(file, machine.knownHostsLine);
    await executed(["ssh-keygen", "-q", "-H", "-f", file]);
    expect(readFileSync(file, "utf8")).toMatch(/^\|1\|/);
    await using connection = await open(lab(), targetOf(lab(), machine, { knownHostsFiles: [file] }));
    expect(connection.isClosed).toBe(false);
  });

  it("that changes with the machine is refused, and nobody tries to log in", async () => {
    const machine = await lab().machine();
    await using before = await open(lab(), machine);
    await machine.kill();
    expect(await before.closed).toMatchObject({ code: "connection.lost" });
    await machine.changeHostKeys();
    await machine.boot();
    await machine.do("true > /var/log/sshd.log");
    await expect(open(lab(), machine)).rejects.toMatchObject({ code: "ssh.host-key-changed" });
    const log = await until(
      () => machine.sshdLog(),
      (text) => text.includes("[preauth]"),
    );
    expect(log).not.toMatch(/user me/);
  });
});

function escaped(text: string): string {
  return text.replace(/[+/]/g, "\\$&");
}
