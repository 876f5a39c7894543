import { createConnection } from "node:net";
import type { SetupTarget } from "./messages.ts";

const tryMs = 3_000;
const everyMs = 250;

/** Tries to get through to other nodes, while these come up. */
export class Reach {
  /** Resolves when all have answered. */
  readonly all: Promise<void>;
  readonly #open: Set<SetupTarget>;
  readonly #beganAtMs = Date.now();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #done: () => void;
  #ended = false;

  constructor(targets: readonly SetupTarget[]) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.all = promise;
    this.#done = resolve;
    this.#open = new Set(targets);
    for (const target of targets) this.#try(target);
    if (targets.length === 0) resolve();
  }

  /** Those that never answered. */
  get missing(): SetupTarget[] {
    return [...this.#open];
  }

  /** Whether some have not answered in so long. */
  hasLasted(ms: number): boolean {
    return this.#open.size > 0 && Date.now() - this.#beganAtMs > ms;
  }

  end(): void {
    this.#ended = true;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #try(target: SetupTarget): void {
    const socket = createConnection({ host: target.host, port: target.port, timeout: tryMs });
    const again = () => {
      socket.destroy();
      if (this.#ended || !this.#open.has(target)) return;
      const timer = setTimeout(() => (this.#timers.delete(timer), this.#try(target)), everyMs);
      this.#timers.add(timer);
    };
    socket.on("connect", () => {
      this.#open.delete(target);
      socket.destroy();
      if (this.#open.size === 0) this.#done();
    });
    socket.on("timeout", again);
    socket.on("error", again);
  }
}
