import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { SshConfigFile } from "../../runtime/transport/ssh/config.ts";
import { SshConnection } from "../../runtime/transport/ssh/connection.ts";
import { resolveTarget, type SshTarget } from "../../runtime/transport/ssh/target.ts";
import { ChaosProxy } from "../lab/chaosProxy.ts";
import { describeInLab } from "../lab/describeInLab.ts";
import type { Machine } from "../lab/machine.ts";
import { until } from "../support/home.ts";
import { open, openFiles, targetOf } from "../support/ssh.ts";

const nowhere: SshTarget = {
  name: "box",
  host: "127.0.0.1",
  port: 1,
  user: "me",
  identityFiles: [],
  identitiesOnly: true,
  agentSocket: undefined,
  hostKeyAlias: undefined,
  knownHostsFiles: [],
  jump: undefined,
};
const hostKeys = { ownFile: "/nonexistent/known_hosts" };

const servers: Server[] = [];
const sockets = new Set<Socket>();
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) {
    server.close();
    await once(server, "close");
  }
});

/** A server of TCP that is no sshd, and its port. */
async function listen(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
    serve(socket.resume());
  }).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

describe("a machine that cannot be reached", () => {
  it("says why", async () => {
    await expect(SshConnection.open(nowhere, { hostKeys })).rejects.toMatchObject({
      code: "ssh.unreachable",
      message: expect.stringContaining("ECONNREFUSED"),
      retryable: true,
    });
    await expect(SshConnection.open({ ...nowhere, host: "nobody.invalid" }, { hostKeys })).rejects.toMatchObject({
      code: "ssh.unreachable",
      message: "There is no host nobody.invalid.",
    });
  });

  it("as it takes connections and never speaks is given up", async () => {
    const port = await listen(() => undefined);
    await expect(SshConnection.open({ ...nowhere, port }, { hostKeys, timeoutMs: 300 })).rejects.toMatchObject({
      code: "ssh.timeout",
      retryable: true,
    });
    // Nor is the socket kept.
    expect(
      await until(
        () => sockets.size,
        (count) => count === 0,
      ),
    ).toBe(0);
  });

  it.each([
    ["closes at once", (socket: Socket) => socket.end()],
    ["resets", (socket: Socket) => socket.resetAndDestroy()],
    ["speaks HTTP", (socket: Socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["speaks nonsense", (socket: Socket) => socket.end(`SSH-2.0-nonsense\r\n${"\u0000".repeat(10_000)}`)],
  ])("as it %s says so", async (_what, serve) => {
    const port = await listen(serve);
    await expect(SshConnection.open({ ...nowhere, port }, { hostKeys })).rejects.toMatchObject({
      code: "ssh.unreachable",
    });
    expect(
      await until(
        () => sockets.size,
        (count) => count === 0,
      ),
    ).toBe(0);
  });

  it("is given up when that is asked for", async () => {
    const port = await listen(() => undefined);
    const before = openFiles();
    const why = new Error("not needed any more");
    const aborted = { hostKeys, signal: AbortSignal.abort(why) };
    await expect(SshConnection.open({ ...nowhere, port }, aborted)).rejects.toBe(why);
    const abort = new AbortController();
    setTimeout(() => abort.abort(why), 100);
    await expect(SshConnection.open({ ...nowhere, port }, { hostKeys, signal: abort.signal })).rejects.toBe(why);
    const files = await until(openFiles, (count) => count <= before);
    expect(files).toBeLessThanOrEqual(before);
  });
});

describeInLab("an SSH connection", (lab) => {
  let machine: Machine;
  const box = async () => (machine ??= await lab().machine({ name: "box" }));

  it("can be aborted at each moment, and leaves nothing open", async () => {
    await using proxy = await ChaosProxy.start(await box(), { delayMs: 15 });
    const target = {
      ...targetOf(lab(), await box()),
      host: proxy.host,
      port: proxy.port,
      hostKeyAlias: machine.address,
    };
    await (await open(lab(), target)).close();
    const before = { files: openFiles(), processes: machine.processes().length };
    const why = new Error("aborted");
    let aborted = 0;
    for (let afterMs = 0; afterMs <= 500; afterMs += 20) {
      const abort = new AbortController();
      const timer = setTimeout(() => abort.abort(why), afterMs);
      try {
        await using connection = await open(lab(), target, { signal: abort.signal });
        await connection.run("sleep 0.05", { signal: abort.signal });
      } catch (error) {
        expect(error).toBe(why);
        aborted++;
      }
      clearTimeout(timer);
    }
    expect(aborted).toBeGreaterThan(10);
    expect(
      await until(
        () => proxy.connections,
        (count) => count === 0,
      ),
    ).toBe(0);
    const files = await until(openFiles, (count) => count <= before.files);
    expect(files).toBeLessThanOrEqual(before.files);
    const processes = await until(
      () => machine.processes().length,
      (count) => count <= before.processes,
    );
    expect(processes).toBeLessThanOrEqual(before.processes);
  });

  it("whose link is silent is noticed within 20 s, sooner when others are not, and can be closed", async () => {
    const silent = await lab().machine();
    await using connection = await open(lab(), silent);
    await using other = await open(lab(), silent);
    await using compared = await open(lab(), silent);
    compared.compareWith(() => Promise.resolve(true));
    const running = connection.run("exec sleep 4444", { timeoutMs: 60_000 }).catch((error: unknown) => error);
    await silent.powerOff();
    // Closing waits for nobody who cannot answer.
    const closedWithin = await Promise.race([other.close().then(() => "closed"), sleep(2_500)]);
    expect(closedWithin).toBe("closed");
    const first = await Promise.race([connection.closed, compared.closed, sleep(20_000)]);
    expect(first).toMatchObject({
      code: "connection.lost",
      message: expect.stringContaining("does not answer any more, as others do"),
    });
    const reason = await Promise.race([connection.closed, sleep(8_000)]);
    expect(reason).toMatchObject({
      code: "connection.lost",
      message: expect.stringMatching(/does not answer any more\.$/),
      retryable: true,
    });
    expect(await running).toMatchObject({ code: "connection.lost" });
  });

  it("outlives a link that is silent for a moment", async () => {
    await using connection = await open(lab(), await box());
    const asked: AbortSignal[] = [];
    connection.compareWith((signal) => Promise.resolve(asked.push(signal) > 0));
    await machine.partition();
    const running = connection.run("echo through");
    await until(
      () => asked.length,
      (count) => count > 0,
    );
    await machine.heal();
    expect(String((await running).stdout)).toBe("through\n");
    // What others answered is forgotten.
    expect(asked.map(({ aborted }) => aborted)).toEqual([true]);
    expect(connection.isClosed).toBe(false);
  });

  it("lets the process end when nothing goes over it, through a jump host as well", async () => {
    const beyond = await lab().machine();
    const direct = targetOf(lab(), await box());
    const through = { ...targetOf(lab(), beyond), jump: direct };
    const start = async (target: SshTarget, stream: "none" | "unref" | "held") => {
      const script = join(import.meta.dirname, "../lab/sshInAProcess.ts");
      const trust = JSON.stringify({ ownFile: join(lab().folder, "own_known_hosts") });
      const child = spawn(process.execPath, [script, JSON.stringify(target), trust, stream], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let ended: unknown;
      child.on("exit", (status, signal) => (ended = status ?? signal));
      let said = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
      expect(await until(() => said, Boolean, 30_000)).toBe("done\n");
      return { child, ended: () => ended };
    };
    for (const target of [direct, through]) {
      const [none, unref, held] = await Promise.all([
        start(target, "none"),
        start(target, "unref"),
        start(target, "held"),
      ]);
      expect(await until(none.ended, (ended) => ended !== undefined)).toBe(0);
      expect(await until(unref.ended, (ended) => ended !== undefined)).toBe(0);
      await sleep(1_000);
      expect(held.ended()).toBeUndefined();
      held.child.kill("SIGKILL");
    }
  });

  it("to a machine that is off is given up", async () => {
    const off = await lab().machine();
    await off.powerOff();
    await expect(open(lab(), off, { timeoutMs: 1_000 })).rejects.toMatchObject({
      code: expect.stringMatching(/^ssh\.(timeout|unreachable)$/),
      retryable: true,
    });
  });

  it("that is cut while much goes over it fails, and does not end", async () => {
    await using proxy = await ChaosProxy.start(await box());
    const target = {
      ...targetOf(lab(), await box()),
      host: proxy.host,
      port: proxy.port,
      hostKeyAlias: machine.address,
    };
    await using connection = await open(lab(), target);
    proxy.set({ cutAfterBytes: 3 * 2 ** 20 });
    const uploading = connection.run("exec cat > /dev/null", { input: Buffer.alloc(20 * 2 ** 20) });
    await expect(uploading).rejects.toMatchObject({ code: "connection.lost", retryable: true });
    proxy.set({ cut: "close" });
    await using again = await open(lab(), target);
    const downloading = again.run("head -c 20000000 /dev/zero", { maxOutputBytes: 2 ** 25 });
    setTimeout(() => proxy.cut(), 20);
    await expect(downloading).rejects.toMatchObject({ code: "connection.lost" });
  });

  it("is not disturbed by a stream that nobody reads", async () => {
    await using connection = await open(lab(), await box());
    const stream = await connection.dialTcp("127.0.0.1", 22);
    const unread = connection.run("head -c 900000 /dev/zero");
    for (let i = 0; i < 20; i++) expect(await connection.run("true")).toMatchObject({ status: 0 });
    expect((await unread).stdout.byteLength).toBe(900_000);
    stream.destroy();
  });
});

describeInLab("a connection through other machines", (lab) => {
  it("goes by ProxyJump, from one to the next, and is closed with all of them", async () => {
    const [outer, middle, inner] = (await lab().machines(3)) as [Machine, Machine, Machine];
    await appendFile(lab().sshConfigFile, `Host inside\n  HostName ${inner.address}\n  User me\n`);
    await appendFile(
      lab().sshConfigFile,
      `  IdentityFile ${lab().privateKeyFile}\n  ProxyJump ${outer.name},${middle.name}\n`,
    );
    await appendFile(lab().sshConfigFile, `  UserKnownHostsFile ${lab().knownHostsFile}\n`);
    // The only way there.
    await inner.block(lab().address);
    const config = SshConfigFile.load({ FARCALL_SSH_CONFIG: lab().sshConfigFile });
    const target = resolveTarget("inside", config);
    const before = openFiles();
    {
      await using connection = await open(lab(), target);
      const { stdout } = await connection.run("exec sh -c 'hostname; echo $SSH_CONNECTION'");
      expect(String(stdout)).toMatch(new RegExp(`^${inner.name}\n${middle.address} `));
      expect(outer.processes().some(({ command }) => command.startsWith("sshd: me"))).toBe(true);
    }
    for (const each of [outer, middle, inner]) {
      const sessions = () => each.processes().filter(({ command }) => command.startsWith("sshd: me"));
      expect(await until(sessions, (found) => found.length === 0)).toEqual([]);
    }
    expect(await until(openFiles, (count) => count <= before)).toBeLessThanOrEqual(before);

    await using connection = await open(lab(), target);
    await middle.kill();
    expect(await connection.closed).toMatchObject({ code: "connection.lost" });
    // Whether the machine before it hears that nobody is there, or nothing at all, is up to the network.
    await expect(open(lab(), target, { timeoutMs: 1_000 })).rejects.toMatchObject({
      code: expect.stringMatching(/^ssh\.(timeout|unreachable)$/),
      message: expect.stringContaining(`through ${outer.name}`),
    });
    await middle.boot();
    inner.signal(/sshd/, "SIGKILL");
    await expect(open(lab(), target)).rejects.toMatchObject({
      code: "ssh.unreachable",
      message: expect.stringContaining(`through ${middle.name}`),
    });
    const sessions = () =>
      [outer, middle].flatMap((each) => each.processes()).filter(({ command }) => command.startsWith("sshd: me"));
    expect(await until(sessions, (found) => found.length === 0)).toEqual([]);
  });
});
