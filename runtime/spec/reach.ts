import { createConnection, type Socket } from "node:net";

/** Tries to get through to others, while these come up. */
export class Reach<T extends { host: string; port: number }> {
  /** Resolves when all have answered. */
  readonly all: Promise<void>;
  readonly #open: Set<T>;
  readonly #beganAtMs = Date.now();
  readonly #everyMs: number;
  readonly #tryMs: number;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #sockets = new Set<Socket>();
  readonly #done: () => void;
  #ended = false;

  /** Each is given `tryMs` to answer, 3,000 by default, and is tried again `everyMs` after it did not, by default 250. */
  constructor(targets: readonly T[], { everyMs = 250, tryMs = 3_000 }: { everyMs?: number; tryMs?: number } = {}) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.all = promise;
    this.#done = resolve;
    this.#everyMs = everyMs;
    this.#tryMs = tryMs;
    this.#open = new Set(targets);
    for (const target of targets) this.#try(target);
    if (targets.length === 0) resolve();
  }

  /** Those that never answered. */
  get missing(): T[] {
    return [...this.#open];
  }

  /** Whether some have not answered in so long. */
  hasLasted(ms: number): boolean {
    return this.#open.size > 0 && Date.now() - this.#beganAtMs > ms;
  }

  end(): void {
    this.#ended = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#sockets) socket.destroy();
  }

  #try(target: T): void {
    const socket = createConnection({ host: target.host, port: target.port, timeout: this.#tryMs });
    this.#sockets.add(socket);
    const again = () => {
      socket.destroy();
      if (this.#ended || !this.#open.has(target)) return;
      const timer = setTimeout(() => (this.#timers.delete(timer), this.#try(target)), this.#everyMs);
      this.#timers.add(timer);
    };
    socket.on("connect", () => {
      this.#open.delete(target);
      socket.destroy();
      if (this.#open.size === 0) this.#done();
    });
    socket.on("timeout", again);
    socket.on("error", again);
    socket.on("close", () => this.#sockets.delete(socket));
  }
}
