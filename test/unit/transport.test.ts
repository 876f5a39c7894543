import { spawn } from "node:child_process";
import { createHash, randomFillSync } from "node:crypto";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { streamTransport } from "../../runtime/transport/stream.ts";
import { highWaterBytes, type Transport, type TransportHandlers } from "../../runtime/transport/transport.ts";
import { dialUnixSocket } from "../../runtime/transport/websocket.ts";
import { listen, socketPair, socketPath, transportPairs } from "../support/transportPairs.ts";

/** Takes what a transport gives and keeps the order in which it came. */
class Recorder implements TransportHandlers {
  readonly frames: Buffer[] = [];
  readonly events: string[] = [];
  readonly closed = Promise.withResolvers<Error | undefined>();
  #arrived: (() => void) | undefined;

  onFrame(frame: Uint8Array): void {
    this.frames.push(Buffer.from(frame));
    this.events.push("frame");
    this.#arrived?.();
  }

  onClose(cause?: Error): void {
    this.events.push("close");
    this.closed.resolve(cause);
  }

  async count(frames: number): Promise<void> {
    while (this.frames.length < frames) await new Promise<void>((resolve) => (this.#arrived = resolve));
  }
}

function record(transport: Transport): Recorder {
  const recorder = new Recorder();
  transport.start(recorder);
  return recorder;
}

const turns = (ms = 30) => new Promise((resolve) => setTimeout(resolve, ms));
const numbered = (n: number, size = 4): Buffer => {
  const frame = Buffer.alloc(Math.max(4, size));
  frame.writeUInt32LE(n);
  return frame;
};
const numbersOf = ({ frames }: Recorder) => frames.map((frame) => frame.readUInt32LE());
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

describe.each(Object.keys(transportPairs) as (keyof typeof transportPairs)[])("a %s transport", (kind) => {
  test("brings every frame whole, once and in order, both ways at the same time", async () => {
    const [left, right] = await transportPairs[kind]();
    const sizes = [0, 1, 3, 4, 5, 125, 126, 127, 65_535, 65_536, 65_537, 3_000_000, 0, 7];
    const frames = [...sizes, ...range(500).map((i) => i % 90)].map((size) => randomFillSync(Buffer.alloc(size)));
    const recorders = [record(left), record(right)];
    for (const frame of frames) {
      left.send(frame);
      right.send(frame);
    }
    await Promise.all(recorders.map((recorder) => recorder.count(frames.length)));
    for (const recorder of recorders) expect(recorder.frames.every((each, i) => each.equals(frames[i]!))).toBe(true);
    left.close();
  });

  test("keeps frames that come before it is started, and a close behind them", async () => {
    const [left, right] = await transportPairs[kind]();
    const leftEnd = record(left);
    for (const n of range(100)) left.send(numbered(n));
    left.close();
    await turns();
    const rightEnd = record(right);
    await Promise.all([rightEnd.closed.promise, leftEnd.closed.promise]);
    expect(numbersOf(rightEnd)).toEqual(range(100));
    expect(rightEnd.events.at(-1)).toBe("close");
  });

  test("that was destroyed before its start still tells of the close", async () => {
    const [left, right] = await transportPairs[kind]();
    record(right);
    left.destroy();
    await turns();
    const leftEnd = record(left);
    await leftEnd.closed.promise;
    expect(leftEnd.events).toEqual(["close"]);
  });

  test.each<[string, (left: Transport, right: Transport) => void]>([
    ["one side closes", (left) => left.close()],
    ["both sides close", (left, right) => (left.close(), right.close())],
    ["one side destroys", (left) => left.destroy()],
    ["one side closes again and again", (left) => (left.close(), left.close(), left.destroy(), left.destroy())],
    ["one side closes and the other destroys", (left, right) => (left.close(), right.destroy())],
  ])("tells both sides of the close once, after the last frame, when %s", async (_what, act) => {
    const [left, right] = await transportPairs[kind]();
    const ends = [record(left), record(right)];
    for (const n of range(50)) {
      left.send(numbered(n));
      right.send(numbered(n));
    }
    act(left, right);
    // Frames on their way while the close is, too.
    right.send(numbered(50));
    queueMicrotask(() => right.send(numbered(51)));
    await Promise.all(ends.map((end) => end.closed.promise));
    await turns();
    for (const { events } of ends) expect(events.indexOf("close")).toBe(events.length - 1);
    for (const end of ends) expect(numbersOf(end)).toEqual(range(end.frames.length));
  });

  test("takes frames after the close in silence", async () => {
    const [left, right] = await transportPairs[kind]();
    const leftEnd = record(left);
    const rightEnd = record(right);
    left.close();
    for (let i = 0; i < 100; i++) left.send(numbered(i));
    await Promise.all([leftEnd.closed.promise, rightEnd.closed.promise]);
    for (const end of [left, right]) {
      end.send(numbered(0, 100_000));
      end.close();
      end.destroy();
      end.keepProcessAlive(false);
    }
    await left.drained();
    await turns();
    expect(rightEnd.events).toEqual(["close"]);
  });

  test("delivers what was sent before the close to a side that reads on", async () => {
    const [left, right] = await transportPairs[kind]();
    const rightEnd = record(right);
    const leftEnd = record(left);
    for (const n of range(200)) left.send(numbered(n, 100_000));
    left.close();
    expect(await rightEnd.closed.promise).toBeUndefined();
    expect(await leftEnd.closed.promise).toBeUndefined();
    expect(numbersOf(rightEnd)).toEqual(range(200));
    expect(rightEnd.frames.every((frame) => frame.byteLength === 100_000)).toBe(true);
  });

  test("sends on after its other side went away, and nothing breaks", async () => {
    const [left, right] = await transportPairs[kind]();
    const leftEnd = record(left);
    record(right);
    right.destroy();
    for (const n of range(1_000)) left.send(numbered(n, 10_000));
    await leftEnd.closed.promise;
    await turns();
    expect(leftEnd.events.filter((event) => event === "close").length).toBe(1);
  });
});

describe.each(["stream", "websocket"] as const)("a %s transport", (kind) => {
  const chunk = Buffer.alloc(1024 * 1024);

  test("counts what the other side has not taken, and says when there is room again", async () => {
    const [left, right] = await transportPairs[kind]();
    record(left);
    for (let i = 0; i < 48; i++) left.send(chunk);
    expect(left.bufferedBytes).toBeGreaterThan(highWaterBytes);
    const rightEnd = record(right);
    await left.drained();
    expect(left.bufferedBytes).toBeLessThanOrEqual(highWaterBytes);
    await rightEnd.count(48);
    left.close();
  });

  test("ends the wait for room when the connection goes", async () => {
    const [left, right] = await transportPairs[kind]();
    record(left);
    for (let i = 0; i < 48; i++) left.send(chunk);
    const drained = left.drained();
    right.destroy();
    left.destroy();
    await drained;
  });

  test("that is told not to does not keep its process alive", async () => {
    const [path, dial] =
      kind === "stream"
        ? [await listen(createServer()), "streamTransport(connect(path))"]
        : [await webSocketServer(), "await dialUnixSocket(path)"];
    const program = `
      import { connect } from "node:net";
      import { streamTransport } from ${JSON.stringify(import.meta.resolve("../../runtime/transport/stream.ts"))};
      import { dialUnixSocket } from ${JSON.stringify(import.meta.resolve("../../runtime/transport/websocket.ts"))};
      const path = ${JSON.stringify(path)};
      const transport = ${dial};
      transport.start({ onFrame() {}, onClose() { console.log("closed"); } });
      setTimeout(() => transport.keepProcessAlive(false), 50);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], { timeout: 20_000 });
    let said = "";
    child.stdout.on("data", (text: Buffer) => (said += text.toString()));
    child.stderr.on("data", (text: Buffer) => (said += text.toString()));
    const [code] = (await once(child, "close")) as [number | null];
    expect({ code, said }).toEqual({ code: 0, said: "" });
  });
});

describe("a stream transport", () => {
  test("reads frames however the bytes are cut", async () => {
    const [left, right] = await socketPair();
    const end = record(streamTransport(right));
    const frames = range(40).map((n) => numbered(n, n));
    const bytes = Buffer.concat(frames.flatMap((frame) => [Buffer.from(Uint32Array.of(frame.length).buffer), frame]));
    for (const byte of bytes) {
      left.write(Buffer.of(byte));
      if (byte % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await end.count(frames.length);
    expect(Buffer.concat(end.frames).equals(Buffer.concat(frames))).toBe(true);
  });

  test("closes on a frame over its limit before it holds it", async () => {
    const [left, right] = await socketPair();
    const end = record(streamTransport(right, 1_000));
    left.write(Buffer.concat([Buffer.from(Uint32Array.of(1_000).buffer), Buffer.alloc(1_000)]));
    left.write(Buffer.from(Uint32Array.of(1_001).buffer));
    const cause = await end.closed.promise;
    expect(cause?.message).toContain("1001");
    expect(end.events).toEqual(["frame", "close"]);
  });

  test("drops a frame of which only a part came", async () => {
    const [left, right] = await socketPair();
    const end = record(streamTransport(right));
    left.end(Buffer.concat([Buffer.from(Uint32Array.of(10).buffer), Buffer.alloc(9)]));
    expect(await end.closed.promise).toBeUndefined();
    expect(end.events).toEqual(["close"]);
  });

  test("closes when its stream ends, also one that would stay open for writing", async () => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    const end = record(streamTransport(stream));
    stream.push(null);
    expect(await end.closed.promise).toBeUndefined();
    expect(end.events).toEqual(["close"]);
  });

  test("names the cause when its stream breaks, also before it is started", async () => {
    for (const early of [true, false]) {
      const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
      const transport = streamTransport(stream);
      const end = new Recorder();
      if (!early) transport.start(end);
      stream.destroy(new Error("the cable was cut"));
      await turns(5);
      if (early) transport.start(end);
      expect((await end.closed.promise)?.message).toBe("the cable was cut");
      expect(end.events).toEqual(["close"]);
    }
  });
});

/** Answers the upgrade as RFC 6455 asks and then does what `act` says with the bare socket. */
async function webSocketServer(act: (socket: Socket) => void = () => undefined): Promise<string> {
  const server = createHttpServer();
  server.on("upgrade", (request, socket: Socket) => {
    const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash("sha1").update(key).digest("base64");
    socket.on("error", () => undefined);
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    act(socket);
  });
  return listen(server);
}

describe("a websocket transport", () => {
  test("closes on a frame over the limit before it holds it", async () => {
    const claims300MiB = Buffer.from([0x82, 0x7f, 0, 0, 0, 0, 0x12, 0xc0, 0, 0]);
    const path = await webSocketServer((socket) => socket.write(claims300MiB));
    const end = record(await dialUnixSocket(path));
    expect((await end.closed.promise)?.message).toMatch(/payload/i);
    expect(end.events).toEqual(["close"]);
  });

  test("closes with a cause when the other side speaks nonsense", async () => {
    const path = await webSocketServer((socket) => socket.write(Buffer.alloc(64, 0xff)));
    const end = record(await dialUnixSocket(path));
    expect(await end.closed.promise).toBeInstanceOf(Error);
    expect(end.events).toEqual(["close"]);
  });

  test("is refused in words where nobody listens", async () => {
    await expect(dialUnixSocket(socketPath())).rejects.toMatchObject({ code: "agent.unreachable", retryable: true });
  });

  test("is refused in words by a side that never answers, within its bound", async () => {
    const path = await listen(createServer());
    await expect(dialUnixSocket(path, { timeoutMs: 100 })).rejects.toMatchObject({ code: "timeout", retryable: true });
  });

  test("gives up dialling when it is told to", async () => {
    const server = createServer();
    const path = await listen(server);
    const stop = new AbortController();
    const ended = once(server, "connection").then(([socket]) => once((socket as Socket).resume(), "close"));
    const dialling = dialUnixSocket(path, { signal: stop.signal });
    setTimeout(() => stop.abort(new Error("enough")), 50);
    await expect(dialling).rejects.toThrow("enough");
    await ended;
    await expect(dialUnixSocket(path, { signal: stop.signal })).rejects.toThrow("enough");
  });
});
