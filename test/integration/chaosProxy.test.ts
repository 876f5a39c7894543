import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ChaosOptions, ChaosProxy } from "../lab/chaosProxy.ts";
import { until } from "../support/home.ts";

/** An echo that hears what it was sent. */
let server: Server;
let heard = 0;
const opened: ChaosProxy[] = [];

beforeEach(async () => {
  heard = 0;
  server = createServer((socket) => {
    socket.on("data", (data) => (heard += data.byteLength)).on("error", () => undefined);
    socket.pipe(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
});

afterEach(async () => {
  for (const proxy of opened.splice(0)) await proxy[Symbol.asyncDispose]();
  server.close();
  // Which it does not before every connection has ended.
  await once(server, "close");
});

async function through(options: ChaosOptions = {}): Promise<ChaosProxy> {
  const { port } = server.address() as AddressInfo;
  const proxy = await ChaosProxy.start({ address: "127.0.0.1", port }, options);
  opened.push(proxy);
  return proxy;
}

interface Connection {
  socket: Socket;
  received: () => string;
  ended: () => string | undefined;
}

async function dial(proxy: ChaosProxy): Promise<Connection> {
  const socket = connect(proxy.port, proxy.host);
  let received = "";
  let ended: string | undefined;
  socket.on("data", (data) => (received += data.toString()));
  socket.on("error", (error: NodeJS.ErrnoException) => (ended = error.code));
  socket.on("close", () => (ended ??= "closed"));
  await once(socket, "connect");
  return { socket, received: () => received, ended: () => ended };
}

async function answers({ socket, received }: Connection): Promise<number> {
  const beganAtMs = performance.now();
  const before = received();
  socket.write("ping");
  expect(await until(received, (seen) => seen === `${before}ping`)).toBe(`${before}ping`);
  return performance.now() - beganAtMs;
}

describe("the chaos proxy", () => {
  it("gives everything on unchanged, and ends when both sides have", async () => {
    const proxy = await through();
    const connection = await dial(proxy);
    const text = "0123456789".repeat(100_000);
    connection.socket.write(text);
    await until(connection.received, (seen) => seen.length === text.length);
    expect(connection.received()).toBe(text);
    connection.socket.end();
    expect(await until(connection.ended, Boolean)).toBe("closed");
    expect(
      await until(
        () => proxy.connections,
        (count) => count === 0,
      ),
    ).toBe(0);
    expect(proxy.accepted).toBe(1);
  });

  it("delays each way", async () => {
    const proxy = await through();
    const connection = await dial(proxy);
    await answers(connection);
    proxy.set({ delayMs: 100 });
    expect(await answers(connection)).toBeGreaterThanOrEqual(199);
  });

  it("cuts after a time, after so many bytes, and when it is told to", async () => {
    const proxy = await through({ cutAfterMs: 50 });
    expect(await until((await dial(proxy)).ended, Boolean)).toBe("ECONNRESET");

    proxy.set({ cutAfterBytes: 1_000 });
    const filled = await dial(proxy);
    filled.socket.write("x".repeat(100_000));
    expect(await until(filled.ended, Boolean)).toBeDefined();
    expect(heard).toBe(1_000);

    proxy.set({ cut: "close" });
    const closed = await dial(proxy);
    await answers(closed);
    proxy.cut();
    expect(await until(closed.ended, Boolean)).toBe("closed");
  });

  it("is a black hole until it is healed", async () => {
    const proxy = await through();
    const connection = await dial(proxy);
    await answers(connection);
    proxy.blackHole();
    connection.socket.write("lost");
    const unheard = await dial(proxy);
    unheard.socket.write("too");
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect([heard, connection.received(), unheard.received()]).toEqual([4, "ping", ""]);
    proxy.heal();
    await until(connection.received, (seen) => seen === "pinglost");
    expect(connection.received()).toBe("pinglost");
  });

  it("refuses until it accepts again", async () => {
    const proxy = await through();
    const before = await dial(proxy);
    await proxy.refuse();
    await expect(dial(proxy)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await answers(before);
    await proxy.accept();
    await answers(await dial(proxy));
  });
});
