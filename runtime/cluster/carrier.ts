import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { isConnectionLoss } from "../client/loss.ts";
import { FarcallError } from "../spec/errors.ts";
import type { SshConnection } from "../transport/ssh/connection.ts";
import { isForbidden } from "../transport/ssh/sshErrors.ts";
import { setReferenced } from "../transport/stream.ts";
import type { Connections } from "./connections.ts";

/**
 * Carries the traffic of one node: listens on a port of the node's own loopback, over the SSH connection to it, and
 * hands on whoever connects there to a seat of the queue, over the connection to that one. What goes by is encrypted
 * from end to end.
 */
export interface CarrierOptions {
  connections: Connections;
  /** Of the node. */
  host: string;
  /** On the node; one that is free is taken. */
  ports: number[];
  seats: { hosts: string[]; port: number };
  /** Ends it. */
  signal: AbortSignal;
}

interface Listening {
  port: number;
  /** Resolves when it is over, or worth another try. */
  ended: Promise<unknown>;
}

const loopback = "127.0.0.1";
/** The agent gives up soon after, and comes again. */
const dialWithinMs = 4_500;
const beginKeepingMs = 5_000;
const firstPauseMs = 500;
const longestPauseMs = 15_000;

export class Carrier {
  readonly #options: CarrierOptions;
  #listening: Promise<Listening> | undefined;
  #isKept = false;
  /** Counts up to the seat that is tried first. */
  #first = 0;

  constructor(options: CarrierOptions) {
    this.#options = options;
  }

  /** Listens unless it does; gives the port. */
  async listen(): Promise<number> {
    return (await this.#listen()).port;
  }

  /** From some seconds later on sees to it that it listens, whatever is lost meanwhile. */
  keep(): void {
    if (this.#isKept) return;
    this.#isKept = true;
    void this.#keep().finally(() => (this.#isKept = false));
  }

  /** Rejects with `node.unreachable` where the machine of a seat lets no streams through. A seat that is away is none. */
  async checkSeats(): Promise<void> {
    const late = this.#within(dialWithinMs);
    await Promise.all(
      this.#options.seats.hosts.map(async (host) => {
        try {
          (await this.#dial(host, late)).destroy();
        } catch (error) {
          if (isForbidden(error)) throw this.#forbidden(host, error);
        }
      }),
    );
  }

  async #keep(): Promise<void> {
    const { signal } = this.#options;
    let pauseMs = firstPauseMs;
    let waitMs = beginKeepingMs;
    for (;;) {
      await rest(waitMs, signal);
      if (signal.aborted) return;
      try {
        const { ended } = await this.#listen();
        pauseMs = firstPauseMs;
        await ended;
      } catch (error) {
        // What a person has to see to is said by `up`. The next connect tries again.
        if (!isConnectionLoss(error)) return;
        pauseMs = Math.min(2 * pauseMs, longestPauseMs);
      }
      waitMs = pauseMs * (0.5 + Math.random());
    }
  }

  #listen(): Promise<Listening> {
    if (this.#listening) return this.#listening;
    const listening = this.#listenSomewhere();
    const forget = () => (this.#listening = undefined);
    listening.then(({ ended }) => ended.then(forget), forget);
    return (this.#listening = listening);
  }

  async #listenSomewhere(): Promise<Listening> {
    const { connections, host, ports, signal } = this.#options;
    const connection = await connections.to(host, signal);
    let refusal: unknown;
    for (const port of ports) {
      try {
        const stop = await connection.listenTcp(port, (stream) => void this.#take(stream), signal);
        signal.addEventListener("abort", stop, { once: true });
        return { port, ended: connection.closed };
      } catch (error) {
        if (!(error instanceof FarcallError) || error.code !== "ssh.refused") throw error;
        refusal = error;
      }
    }
    // Other clients have all of them, or the machine lets nobody listen.
    if (!(await isTaken(connection, ports[0]!, signal))) throw this.#forbidden(host, refusal);
    return { port: ports[0]!, ended: rest(longestPauseMs, signal) };
  }

  async #take(stream: Duplex): Promise<void> {
    // Nobody's process is kept alive in order to relay.
    setReferenced(stream, false);
    stream.on("error", () => undefined);
    try {
      const seat = await this.#dialAny(this.#within(dialWithinMs));
      setReferenced(seat, false);
      let spoke = false;
      seat.once("data", () => (spoke = true));
      const { signal } = this.#options;
      await Promise.allSettled([pipeline(stream, seat, { signal }), pipeline(seat, stream, { signal })]);
      // A server that is stopped takes connections and says nothing.
      if (!spoke) this.#first++;
    } catch {
      // Whoever connected sees it end, and comes again.
      stream.destroy();
    }
  }

  /** A stream to the first seat that takes one. */
  async #dialAny(signal: AbortSignal): Promise<Duplex> {
    const { hosts } = this.#options.seats;
    for (let tries = 1; ; tries++) {
      const first = this.#first;
      try {
        return await this.#dial(hosts[first % hosts.length]!, signal);
      } catch (error) {
        // Unless somebody else has found out meanwhile.
        if (this.#first === first) this.#first++;
        if (signal.aborted || tries >= hosts.length) throw error;
      }
    }
  }

  async #dial(host: string, signal: AbortSignal): Promise<Duplex> {
    const { connections, seats } = this.#options;
    const connection = await connections.to(host, signal);
    return connection.dialTcp(loopback, seats.port, signal);
  }

  #within(ms: number): AbortSignal {
    return AbortSignal.any([this.#options.signal, AbortSignal.timeout(ms)]);
  }

  #forbidden(machine: string, cause: unknown): FarcallError {
    return new FarcallError(
      "node.unreachable",
      `The traffic of ${this.#options.host} cannot be relayed: sshd on ${machine} does not let ports be forwarded.`,
      {
        cause,
        hint: `Set \`AllowTcpForwarding yes\` in the sshd_config of ${machine}, and have its sshd read that again.`,
      },
    );
  }
}

/** Whether somebody listens on a port of the machine's loopback. */
async function isTaken(connection: SshConnection, port: number, signal: AbortSignal): Promise<boolean> {
  try {
    (await connection.dialTcp(loopback, port, signal)).destroy();
    return true;
  } catch {
    return false;
  }
}

/** Waits without keeping the process alive, or until the signal. */
async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
