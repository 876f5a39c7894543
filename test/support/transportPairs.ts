import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { WebSocketServer } from "ws";
import { memoryPair } from "../../runtime/transport/memory.ts";
import { streamTransport } from "../../runtime/transport/stream.ts";
import { maxFrameBytes, type Transport } from "../../runtime/transport/transport.ts";
import { dialUnixSocket, WebSocketTransport } from "../../runtime/transport/websocket.ts";

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
export const transportPairs: Record<"memory" | "stream" | "websocket", TransportPair> = {
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
};
