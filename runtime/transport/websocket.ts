import type { Duplex } from "node:stream";
import { createConnection } from "node:net";
import WebSocket from "ws";
import { FarcallError, messageOf } from "../spec/errors.ts";
import { setReferenced } from "./stream.ts";
import { highWaterBytes, maxFrameBytes, type Transport, type TransportHandlers } from "./transport.ts";

const drainPollMs = 5;
/** https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1 */
const closedWithoutFarewell = 1006;

export interface DialOptions {
  signal?: AbortSignal | undefined;
  /** Default 10,000. */
  timeoutMs?: number;
}

/** Opens a WebSocket over any byte stream: a unix socket, a named pipe, an SSH channel. */
export async function dialWebSocket(open: () => Duplex, options: DialOptions = {}): Promise<Transport> {
  const { signal, timeoutMs = 10_000 } = options;
  signal?.throwIfAborted();
  // The address is never looked up: the stream below is already connected to the only party it can reach. It is that
  // of a unix socket because an editor's extension host sends every other request through its proxy settings.
  const stream = open();
  const socket = new WebSocket("ws+unix:farcall:/", {
    createConnection: (() => stream) as never,
    maxPayload: maxFrameBytes,
    // Masks are there to fool proxies between browsers and servers. A mask of zeros is one nobody has to apply.
    generateMask: (mask) => mask.fill(0),
    perMessageDeflate: false,
    skipUTF8Validation: true,
  });
  const transport = new WebSocketTransport(socket, stream);
  await new Promise<void>((resolve, reject) => {
    const giveUp = (error: Error) =>
      settle(() => {
        socket.on("error", () => undefined);
        socket.terminate();
        reject(error);
      });
    const abort = () => giveUp(signal?.reason as Error);
    // The library's own handshake timeout does not work on a stream that somebody else made.
    const timer = setTimeout(
      () =>
        giveUp(
          new FarcallError("timeout", `The agent took the connection but did not answer within ${timeoutMs} ms.`, {
            retryable: true,
          }),
        ),
      timeoutMs,
    );
    const settle = (act: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      socket.off("open", onOpen);
      socket.off("error", onError);
      act();
    };
    const onOpen = () => settle(resolve);
    const onError = (cause: Error) =>
      settle(() =>
        reject(
          new FarcallError("agent.unreachable", `Cannot reach the agent: ${messageOf(cause)}.`, {
            cause,
            retryable: true,
          }),
        ),
      );
    socket.on("open", onOpen);
    socket.on("error", onError);
    signal?.addEventListener("abort", abort, { once: true });
  });
  return transport;
}

/** Opens a WebSocket to a unix socket, or on Windows to a named pipe. */
export function dialUnixSocket(path: string, options?: DialOptions): Promise<Transport> {
  return dialWebSocket(() => createConnection({ path }), options);
}

/** Each WebSocket message is one frame. */
export class WebSocketTransport implements Transport {
  readonly #socket: WebSocket;
  #handlers: TransportHandlers | undefined;
  #early: Uint8Array[] = [];
  #cause: Error | undefined;
  #closed = false;
  #destroyed = false;

  readonly #stream: Duplex | undefined;

  /** `stream` is what the socket runs on, where that is known. */
  constructor(socket: WebSocket, stream?: Duplex) {
    this.#socket = socket;
    this.#stream = stream;
    socket.binaryType = "nodebuffer";
    socket.on("error", (cause) => {
      this.#cause ??= cause;
      // Left alone, the library waits half a minute for the other side's farewell.
      socket.terminate();
    });
    socket.on("message", (data: Buffer) => {
      if (this.#handlers) this.#handlers.onFrame(data);
      else this.#early.push(data);
    });
    socket.on("close", (code) => {
      this.#closed = true;
      if (code === closedWithoutFarewell && !this.#destroyed) this.#cause ??= new Error("it broke off");
      this.#handlers?.onClose(this.#cause);
    });
  }

  start(handlers: TransportHandlers): void {
    this.#handlers = handlers;
    const early = this.#early;
    this.#early = [];
    for (const frame of early) handlers.onFrame(frame);
    if (this.#closed) queueMicrotask(() => handlers.onClose(this.#cause));
  }

  send(frame: Uint8Array): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(frame, { binary: true });
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  async drained(): Promise<void> {
    // ws has no drain event of its own across versions, and the wait is for megabytes, so a short poll will do.
    while (!this.#closed && this.bufferedBytes > highWaterBytes) {
      await new Promise((resolve) => setTimeout(resolve, drainPollMs));
    }
  }

  close(): void {
    this.#socket.close();
  }

  destroy(): void {
    this.#destroyed = true;
    this.#socket.terminate();
  }

  keepProcessAlive(keep: boolean): void {
    if (this.#stream) setReferenced(this.#stream, keep);
  }
}
