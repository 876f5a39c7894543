import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { connect } from "@nats-io/transport-node";
import { onTestFinished } from "vitest";
import { WebSocketServer } from "ws";
import { dialOverBroker, listenOnBroker } from "../../runtime/transport/broker.ts";
import { memoryPair } from "../../runtime/transport/memory.ts";
import { streamTransport } from "../../runtime/transport/stream.ts";
import { maxFrameBytes, type Transport } from "../../runtime/transport/transport.ts";
import { dialUnixSocket, WebSocketTransport } from "../../runtime/transport/websocket.ts";
import { natsServerProgram } from "./natsProgram.ts";

export type TransportPair = () => Promise<[left: Transport, right: Transport]>;

/** Path of a unix socket in a folder that lives as long as the running test. */
export function socketPath(): string {
  const folder = mkdtempSync(join(tmpdir(), "farcall-socket-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "s");
}

/** Lets a server listen until the running test is over, when it and all its connections are ended. */
export async function listen(server: Server): Promise<string> {
  const path = socketPath();
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  server.listen(path);
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return path;
}

/** Both ends of a connection over a unix socket. */
export async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer({ pauseOnConnect: true });
  const path = await listen(server);
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const left = createConnection(path);
  await once(left, "connect");
  onTestFinished(() => void left.destroy());
  return [left, (await accepted)[0]];
}

/** The two ends of every kind of transport there is, real ones over a unix socket. */
export const transportPairs: Record<"memory" | "stream" | "websocket" | "broker", TransportPair> = {
  memory: () => Promise.resolve(memoryPair()),

  stream: async () => {
    const [left, right] = await socketPair();
    return [streamTransport(left), streamTransport(right)];
  },

  websocket: async () => {
    const server = createHttpServer();
    const sockets = new WebSocketServer({ server, maxPayload: maxFrameBytes, perMessageDeflate: false });
    const path = await listen(server);
    const accepted = new Promise<Transport>((resolve) => {
      sockets.on("connection", (socket) => resolve(new WebSocketTransport(socket)));
    });
    const left = await dialUnixSocket(path);
    const right = await accepted;
    onTestFinished(() => {
      left.destroy();
      sockets.close();
    });
    return [left, right];
  },

  broker: async () => {
    const servers = `127.0.0.1:${await brokerPort()}`;
    const [a, b] = await Promise.all([connect({ servers }), connect({ servers })]);
    onTestFinished(async () => void (await Promise.all([a.close(), b.close()])));
    const taken = Promise.withResolvers<Transport>();
    using _listening = listenOnBroker(b, "b", (transport) => taken.resolve(transport));
    await b.flush();
    const left = await dialOverBroker(a, "a", "b");
    return [left, await taken.promise];
  },
};

let port: Promise<number> | undefined;

/** Of a real server, one for all tests of a file. */
function brokerPort(): Promise<number> {
  port ??= (async () => {
    const child = spawn(await natsServerProgram(), ["--addr", "127.0.0.1", "--port", "-1"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    process.on("exit", () => child.kill("SIGKILL"));
    for await (const line of createInterface({ input: child.stderr })) {
      const found = /Listening for client connections on 127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      if (found === undefined) continue;
      child.stderr.resume();
      return Number(found);
    }
    throw new Error("nats-server did not start");
  })();
  return port;
}
