/**
 * How servers that have never met begin together. Each wants to lead 100 to 800 ms after its start and asks the others
 * once; whoever has no answer then waits for 4 to 9 s (the raft of nats-server 2.15). So none starts before all can.
 */
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Reach } from "../../spec/reach.ts";
import { waitWithin } from "../../spec/waitWithin.ts";

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
  const server = createServer((socket) => void socket.on("error", () => undefined).destroy());
  await new Promise<void>((resolve) => {
    // Its server says better than this what is wrong with its place.
    server.once("error", () => resolve());
    server.listen(own.port, own.host, resolve);
  });
  const reach = new Reach(seats.map(placeOf), { everyMs, tryMs });
  await waitWithin(withinMs, reach.all);
  reach.end();
  await sleep(stayMs);
  await new Promise((resolve) => server.close(resolve));
}

function placeOf(seat: string): { host: string; port: number } {
  const { hostname, port } = new URL(`tcp://${seat}`);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port) };
}
