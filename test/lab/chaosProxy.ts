import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export interface ChaosOptions {
  /** How long bytes are held back, each way. */
  delayMs?: number;
  /** Every connection is cut after this long. */
  cutAfterMs?: number;
  /** Every connection is cut once so many bytes went through it, both ways together. */
  cutAfterBytes?: number;
  /** How a connection is cut: closed in order, or reset. Default `reset`. */
  cut?: "close" | "reset";
}

interface Pair {
  client: Socket;
  server: Socket;
  bytes: number;
  timer: NodeJS.Timeout | undefined;
}

const listen = { host: "127.0.0.1", port: 0 };

/** A TCP proxy that stands before a machine and behaves as badly as networks do. Everything can change on the way. */
export class ChaosProxy implements AsyncDisposable {
  readonly host = listen.host;
  readonly port: number;
  /** Connections that it took, refused ones left aside. */
  accepted = 0;
  #options: ChaosOptions;
  #server: Server | undefined;
  #isBlackHole = false;
  readonly #target: { host: string; port: number };
  readonly #pairs = new Set<Pair>();

  private constructor(target: { host: string; port: number }, options: ChaosOptions, server: Server) {
    this.#target = target;
    this.#options = options;
    this.port = (server.address() as AddressInfo).port;
    this.#take(server);
  }

  static async start(target: { address: string; port: number }, options: ChaosOptions = {}): Promise<ChaosProxy> {
    const server = createServer().listen(listen);
    await once(server, "listening");
    return new ChaosProxy({ host: target.address, port: target.port }, options, server);
  }

  /** Takes effect for what comes from now on; cuts by time for new connections. */
  set(options: ChaosOptions): void {
    this.#options = options;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Takes connections and bytes, and gives nothing on: who waits for an answer hears nothing. Until `heal`. */
  blackHole(): void {
    this.#isBlackHole = true;
    for (const { client, server } of this.#pairs) {
      client.pause();
      server.pause();
    }
  }

  heal(): void {
    this.#isBlackHole = false;
    for (const { client, server } of this.#pairs) {
      client.resume();
      server.resume();
    }
  }

  /** Cuts every connection there is. */
  cut(): void {
    for (const pair of this.#pairs) this.#cut(pair);
  }

  /** Refuses new connections, until `accept`. Those that are there go on. */
  async refuse(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    server?.close();
    // Until nobody listens any more; `close` waits for the connections.
    while (await canConnect(this.port)) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  async accept(): Promise<void> {
    if (this.#server) return;
    const server = createServer().listen({ ...listen, port: this.port });
    await once(server, "listening");
    this.#take(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server?.close();
    this.#options = {};
    this.cut();
    await Promise.resolve();
  }

  #take(server: Server): void {
    this.#server = server;
    server.on("connection", (client) => {
      this.accepted++;
      const pair: Pair = { client, server: connect(this.#target), bytes: 0, timer: undefined };
      this.#pairs.add(pair);
      for (const socket of [pair.client, pair.server]) {
        socket.setNoDelay(true);
        socket.on("error", () => this.#cut(pair));
        socket.on("close", () => this.#end(pair));
      }
      this.#pipe(pair, pair.client, pair.server);
      this.#pipe(pair, pair.server, pair.client);
      const { cutAfterMs } = this.#options;
      if (cutAfterMs !== undefined) pair.timer = setTimeout(() => this.#cut(pair), cutAfterMs);
      if (this.#isBlackHole) this.blackHole();
    });
  }

  #pipe(pair: Pair, from: Socket, to: Socket): void {
    const later = (act: () => void) => {
      const { delayMs = 0 } = this.#options;
      if (delayMs > 0) setTimeout(act, delayMs);
      else act();
    };
    from.on("data", (data) => {
      const { cutAfterBytes = Number.POSITIVE_INFINITY } = this.#options;
      const left = cutAfterBytes - pair.bytes;
      pair.bytes += data.byteLength;
      // The last bytes before the cut arrive, as they would.
      if (data.byteLength >= left) return to.write(data.subarray(0, Math.max(0, left)), () => this.#cut(pair));
      later(() => {
        if (to.writable && !to.write(data)) {
          from.pause();
          to.once("drain", () => this.#isBlackHole || from.resume());
        }
      });
    });
    from.on("end", () => later(() => to.end()));
  }

  #cut(pair: Pair): void {
    for (const socket of [pair.client, pair.server]) {
      if (this.#options.cut === "close") socket.destroy();
      else socket.resetAndDestroy();
    }
    this.#end(pair);
  }

  #end(pair: Pair): void {
    clearTimeout(pair.timer);
    if (pair.client.destroyed && pair.server.destroyed) this.#pairs.delete(pair);
  }
}

async function canConnect(port: number): Promise<boolean> {
  const socket = connect({ host: listen.host, port });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
