import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { describeInLab } from "../lab/describeInLab.ts";
import type { Lab } from "../lab/lab.ts";
import type { Machine } from "../lab/machine.ts";
import { until } from "../support/home.ts";
import { expectNothingLeft, logInAndOut, open } from "../support/ssh.ts";

const echoServer = `
const net = require("node:net");
net.createServer((s) => s.on("error", () => {}).pipe(s)).listen(process.argv[1], () => console.log("ready"));
`;

let echoes = 0;

/** A unix socket on the machine that echoes. */
async function startEcho(machine: Machine): Promise<string> {
  const path = `/tmp/echo${++echoes}.sock`;
  const start = `setsid node -e '${echoServer}' ${path} > ${path}.log 2>&1 < /dev/null & true`;
  await machine.do(start, { as: machine.user });
  await until(
    () => machine.run(`cat ${path}.log`),
    ({ stdout }) => stdout === "ready\n",
  );
  return path;
}

function received(stream: Duplex, bytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let left = bytes;
    const take = (part: Buffer) => {
      parts.push(part);
      left -= part.byteLength;
      if (left > 0) return;
      stream.off("data", take);
      resolve(Buffer.concat(parts));
    };
    stream.on("data", take);
    stream.once("close", () => reject(new Error("closed before all was there")));
  });
}

/** Machines are shared by the tests below, each under its name. */
const machines = new Map<Lab, Map<string, Promise<Machine>>>();
function shared(lab: Lab, shell: "bash" | "dash" | "busybox" | "fish" = "bash"): Promise<Machine> {
  let mine = machines.get(lab);
  if (!mine) machines.set(lab, (mine = new Map()));
  let machine = mine.get(shell);
  if (!machine) mine.set(shell, (machine = lab.machine({ shell, name: shell })));
  return machine;
}

describeInLab("commands over SSH", (lab) => {
  it.each(["bash", "dash", "busybox", "fish"] as const)("are the same under the login shell %s", async (shell) => {
    await using connection = await open(lab(), await shared(lab(), shell));
    // What Farcall sends: any script of `sh`, as long as it holds no single quote and no backslash.
    const command = `exec sh -c '
set -eu
value=$(cat)
for each in "$value" "two  spaces" "$((1 + 1))"; do
  printf "%s|" "$each"
done
[ "\${UNSET-}" = "" ] && echo "; \`echo old\` && ~ * # not a comment" >&2
exit 7
'`;
    const input = "$HOME; 'quoted' \"double\" \\ \u00fc\n`id` (x) {a,b} !! %s";
    expect(await connection.run(command, { input: Buffer.from(input) })).toEqual({
      status: 7,
      stdout: Buffer.from(`${input}|two  spaces|2|`),
      stderr: "; old && ~ * # not a comment\n",
    });
  });

  it("take and give much, byte for byte", async () => {
    await using connection = await open(lab(), await shared(lab()));
    const bytes = randomBytes(20 * 2 ** 20);
    const whole = await connection.run("exec cat", { input: bytes, maxOutputBytes: bytes.byteLength });
    expect(whole.stdout.equals(bytes)).toBe(true);
    async function* parts() {
      for (let at = 0; at < bytes.byteLength; at += 1_000_003) {
        await sleep(1);
        yield bytes.subarray(at, at + 1_000_003);
      }
    }
    const inParts = await connection.run("exec cat", { input: parts(), maxOutputBytes: bytes.byteLength });
    expect(inParts.stdout.equals(bytes)).toBe(true);
  });

  it("end as they end, whatever is left of their input", async () => {
    await using connection = await open(lab(), await shared(lab()));
    const input = Buffer.alloc(20 * 2 ** 20);
    expect(await connection.run("exit 3", { input })).toMatchObject({ status: 3 });
    expect(await connection.run("head -c 5", { input })).toMatchObject({ status: 0, stdout: Buffer.alloc(5) });
    expect(await connection.run("kill -9 $$")).toMatchObject({ status: null });
    expect(await connection.run("true")).toEqual({ status: 0, stdout: Buffer.alloc(0), stderr: "" });
  });

  it("end with the error of their input", async () => {
    await using connection = await open(lab(), await shared(lab()));
    async function* broken() {
      yield Buffer.from("a");
      await sleep(1);
      throw new Error("no more of it");
    }
    await expect(connection.run("cat", { input: broken() })).rejects.toThrow("no more of it");
  });

  it("keep only the end of what they complain of, and may not say more than is asked for", async () => {
    await using connection = await open(lab(), await shared(lab()));
    const { stderr } = await connection.run("seq 100000 >&2");
    expect(stderr.length).toBe(16 * 1024);
    expect(stderr.endsWith("\n99999\n100000\n")).toBe(true);
    await expect(connection.run("yes", { maxOutputBytes: 100_000 })).rejects.toMatchObject({
      code: "protocol.invalid",
    });
  });

  it("are given up when they take too long or are aborted, and are not left running", async () => {
    const machine = await shared(lab());
    await using connection = await open(lab(), machine);
    await expect(connection.run("exec sleep 1111", { timeoutMs: 200 })).rejects.toMatchObject({ code: "timeout" });
    const abort = new AbortController();
    const running = connection.run("exec sleep 2222", { signal: abort.signal });
    setTimeout(() => abort.abort(new Error("enough")), 200);
    await expect(running).rejects.toThrow("enough");
    await expect(connection.run("true", { signal: abort.signal })).rejects.toThrow("enough");
    const left = () => machine.processes().filter(({ command }) => /^sleep (1111|2222)/.test(command));
    expect(await until(left, (found) => found.length === 0)).toEqual([]);
    expect(await connection.run("true")).toMatchObject({ status: 0 });
  });

  it("are as many as one likes, beside streams and a shell, where sshd allows ten sessions", async () => {
    const machine = await shared(lab());
    await using connection = await open(lab(), machine);
    const path = await startEcho(machine);
    const streams = await Promise.all(Array.from({ length: 20 }, () => connection.dialSocket(path)));
    const shell = await connection.shell(undefined);
    const commands = Array.from({ length: 30 }, (_, at) =>
      connection.run("sleep 0.2; cat", { input: Buffer.from(`${at}`) }),
    );
    const late = connection.run("true", { signal: AbortSignal.timeout(100) });
    await expect(late).rejects.toMatchObject({ name: "TimeoutError" });
    const said = (await Promise.all(commands)).map(({ stdout }) => stdout.toString());
    expect(said).toEqual(commands.map((_, at) => `${at}`));
    shell.stream.resume().end("exit 3\n");
    expect(await shell.ended).toBe(3);
    for (const stream of streams) stream.destroy();
    machine.signal(new RegExp(path), "SIGKILL");
  });

  it("that are lost with their connection say so", async () => {
    const machine = await lab().machine();
    await using connection = await open(lab(), machine);
    const running = connection.run("exec sleep 3333").catch((error: unknown) => error);
    const stream = await connection.dialTcp("127.0.0.1", 22);
    const streamEnd = new Promise((resolve) =>
      stream
        .on("error", resolve)
        .on("end", () => resolve("end"))
        .resume(),
    );
    await machine.kill();
    expect(await running).toMatchObject({ code: "connection.lost" });
    // Not as if the other end had said all it had to.
    expect(await streamEnd).toMatchObject({ code: "connection.lost" });
    await expect(connection.run("true")).rejects.toMatchObject({ code: "connection.lost" });
    expect(await connection.closed).toMatchObject({ code: "connection.lost", retryable: true });
  });
});

describeInLab("streams over SSH", (lab) => {
  it("reach a unix socket, many at once, and end with it", async () => {
    const machine = await shared(lab());
    await using connection = await open(lab(), machine);
    const path = await startEcho(machine);
    const streams = await Promise.all(Array.from({ length: 100 }, () => connection.dialSocket(path)));
    await Promise.all(
      streams.map(async (stream, at) => {
        const bytes = randomBytes(10_000 + at);
        const echo = received(stream, bytes.byteLength);
        stream.write(bytes);
        expect((await echo).equals(bytes)).toBe(true);
      }),
    );
    const bytes = randomBytes(5 * 2 ** 20);
    const echo = received(streams[0]!, bytes.byteLength);
    streams[0]!.write(bytes);
    expect((await echo).equals(bytes)).toBe(true);

    let closed = 0;
    for (const stream of streams) stream.on("close", () => closed++);
    for (const stream of streams.slice(50)) stream.destroy();
    for (const stream of streams.slice(1, 50)) stream.end();
    expect(
      await until(
        () => closed,
        (count) => count === 99,
      ),
    ).toBe(99);
    // At the other end as well.
    const peers = async () => Number(await machine.do(`ss -xH state connected | grep -c ${path} || true`));
    expect(await until(peers, (count) => count === 1)).toBe(1);
    machine.signal(new RegExp(path), "SIGKILL");
    expect(
      await until(
        () => closed,
        (count) => count === 100,
      ),
    ).toBe(100);
    // It closes its connections before its socket.
    const server = () => machine.processes().filter(({ command, state }) => command.includes(path) && state !== "Z");
    await until(server, (left) => left.length === 0);
    await expect(connection.dialSocket(path)).rejects.toMatchObject({ code: "ssh.refused" });
  });

  it("are closed with their connection, and that is no error", async () => {
    const connection = await open(lab(), await shared(lab()));
    const stream = await connection.dialTcp("127.0.0.1", 22);
    const closed = once(stream, "close");
    await connection.close();
    await closed;
    expect(stream.destroyed).toBe(true);
    expect(stream.errored).toBeNull();
    await expect(connection.dialTcp("127.0.0.1", 22)).rejects.toMatchObject({ code: "connection.lost" });
  });

  it("that are not there are refused, and the connection goes on", async () => {
    await using connection = await open(lab(), await shared(lab()));
    await expect(connection.dialSocket("/tmp/nothing.sock")).rejects.toMatchObject({ code: "ssh.refused" });
    await expect(connection.dialSocket("/etc/shadow")).rejects.toMatchObject({ code: "ssh.refused" });
    await expect(connection.dialTcp("127.0.0.1", 9)).rejects.toMatchObject({ code: "ssh.refused" });
    const abort = AbortSignal.abort(new Error("never mind"));
    await expect(connection.dialSocket("/tmp/nothing.sock", abort)).rejects.toThrow("never mind");
    expect(await connection.run("echo still here")).toMatchObject({ status: 0 });
  });

  it("are opened and closed 1,000 times, and connections 100 times, and leave nothing", async () => {
    const machine = await shared(lab());
    const path = await startEcho(machine);
    await expectNothingLeft(machine, async () => {
      {
        await using connection = await open(lab(), machine);
        for (let i = 0; i < 1_000; i++) {
          const stream = await connection.dialSocket(path);
          if (i % 3 === 0) stream.end().resume();
          else stream.destroy();
        }
      }
      await logInAndOut(lab(), machine, 100);
    });
  }, 120_000);
});
