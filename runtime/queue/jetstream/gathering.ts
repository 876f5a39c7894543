/**
 * How servers that have never met begin together. Each wants to lead 100 to 800 ms after its start and asks the others
 * once; whoever has no answer then waits for 4 to 9 s (the raft of nats-server 2.15). So none starts before all can.
 */
import { createConnection, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const everyMs = 10;
const tryMs = 1_000;
/** Who has seen the others may not have been seen yet. */
const stayMs = 2 * everyMs;

/**
 * Resolves when all who gather at the `seats`, each `host:port`, have seen each other. Listens at its own meanwhile, as
 * its server will. After `withinMs` whoever is missing is left to the servers.
 */
export async function gather(
  own: { host: string; port: number },
  seats: readonly string[],
  withinMs: number,
): Promise<void> {
  const signal = AbortSignal.timeout(withinMs);
  const server = createServer((socket) => void socket.on("error", () => undefined).destroy());
  await new Promise<void>((resolve) => {
    // Its server says better than this what is wrong with its place.
    server.once("error", () => resolve());
    server.listen(own.port, own.host, resolve);
  });
  await Promise.all(seats.map((seat) => see(seat, signal)));
  await sleep(stayMs);
  await new Promise((resolve) => server.close(resolve));
}

async function see(seat: string, signal: AbortSignal): Promise<void> {
  const { hostname, port } = new URL(`tcp://${seat}`);
  const target = { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port) };
  while (!signal.aborted && !(await answers(target))) await sleep(everyMs);
}

function answers(target: { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ ...target, timeout: tryMs });
    const end = (isThere: boolean) => () => {
      socket.destroy();
      resolve(isThere);
    };
    socket.on("connect", end(true));
    socket.on("timeout", end(false));
    socket.on("error", end(false));
  });
}
