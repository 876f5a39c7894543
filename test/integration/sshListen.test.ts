import { setTimeout as sleep } from "node:timers/promises";
import { pipeline } from "node:stream/promises";
import { expect, it } from "vitest";
import { isForbidden } from "../../runtime/transport/ssh/sshErrors.ts";
import { describeInLab } from "../lab/describeInLab.ts";
import type { Machine } from "../lab/machine.ts";
import { until } from "../support/home.ts";
import { open, targetOf } from "../support/ssh.ts";

const port = 21_021;

/** A program that connects to the port, says `hello`, and prints what it is answered, until the other side ends. */
const talk = `node -e 'const s = require("net").connect(${port}, "127.0.0.1"); s.on("error", (e) => console.log(e.code)); s.end("hello"); s.pipe(process.stdout)'`;

describeInLab("a port of a machine that is listened on over SSH", (lab) => {
  let machine: Machine;
  const box = async () => (machine ??= await lab().machine({ name: "listening" }));

  it("gives streams that carry both ways, as fast as they are read, until it is given up", async () => {
    await using connection = await open(lab(), await box());
    const taken: Buffer[] = [];
    const stop = await connection.listenTcp(port, (stream) => {
      stream.on("data", (part: Buffer) => taken.push(part));
      stream.write("and good bye");
      stream.on("end", () => stream.end());
    });
    expect(await machine.do(talk)).toBe("and good bye");
    expect(Buffer.concat(taken).toString()).toBe("hello");
    stop();
    expect(
      await until(
        () => machine.do(talk),
        (said) => said.includes("REFUSED"),
      ),
    ).toBe("ECONNREFUSED\n");
  });

  it("does not gather what nobody reads", async () => {
    await using connection = await open(lab(), await box());
    let read = 0;
    const begun = Promise.withResolvers<() => Promise<void>>();
    await connection.listenTcp(port, (stream) => {
      const go = () =>
        pipeline(stream, async (parts: AsyncIterable<Buffer>) => {
          for await (const part of parts) read += part.byteLength;
        });
      begun.resolve(go);
    });
    const sending = machine.do(
      `node -e 'let sent = 0; const s = require("net").connect(${port}, "127.0.0.1"); const b = Buffer.alloc(65536);
        s.on("drain", go); function go() { while (sent < 40e6) { sent += b.length; if (!s.write(b)) return; } s.end(); }
        go(); setTimeout(() => require("fs").writeFileSync("/tmp/sent", String(sent)), 1500)'`,
    );
    const go = await begun.promise;
    const sent = await until(
      () => machine.run("cat /tmp/sent").then(({ stdout }) => Number(stdout)),
      (count) => count > 0,
      10_000,
    );
    // Windows and buffers of both ends and of the system, far below all there is.
    expect(sent).toBeLessThan(12e6);
    await go();
    await sending;
    expect(read).toBeGreaterThan(40e6 - 1);
  });

  it("is refused to the second, and given to him when the first is gone", async () => {
    await using first = await open(lab(), await box());
    await using second = await open(lab(), machine);
    await first.listenTcp(port, (stream) => void stream.end("first"));
    const refusal = await second.listenTcp(port, () => undefined).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: "ssh.refused" });
    expect(isForbidden(refusal)).toBe(false);
    expect(await machine.do(talk)).toBe("first");
    await first.close();
    await sleep(200);
    await second.listenTcp(port, (stream) => void stream.end("second"));
    expect(await machine.do(talk)).toBe("second");
  });

  it("is known to be forbidden, as streams to ports are", async () => {
    const strict = await lab().machine({ name: "strict", sshd: ["AllowTcpForwarding no"] });
    await using connection = await open(lab(), targetOf(lab(), strict));
    await expect(connection.listenTcp(port, () => undefined)).rejects.toMatchObject({ code: "ssh.refused" });
    const error = await connection.dialTcp("127.0.0.1", 22).catch((reason: unknown) => reason);
    expect(isForbidden(error)).toBe(true);
  });
});
