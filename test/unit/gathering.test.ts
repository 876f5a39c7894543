/** Servers of a queue that begin together. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { gather } from "../../runtime/queue/jetstream/gathering.ts";
import { freePorts } from "../support/natsServer.ts";

const host = "127.0.0.1";

const freeSeats = async (count: number) => (await freePorts(count)).map((port) => ({ host, port }));

const names = (seats: readonly { host: string; port: number }[]): string[] =>
  seats.map(({ port }) => `${host}:${port}`);

test("none begins before the last has come, and then each has its port", async () => {
  const seats = await freeSeats(3);
  let begun = 0;
  const come = (at: number) => gather(seats[at]!, names(seats), 20_000).then(() => ++begun);
  const early = [come(0), come(1)];
  await sleep(300);
  expect(begun).toBe(0);
  await Promise.all([...early, come(2)]);
  for (const { port } of seats) {
    const server = createServer().listen(port, host);
    await once(server, "listening");
    server.close();
  }
});

test("whoever does not come is waited for as long as was said", async () => {
  const [own, other] = await freeSeats(2);
  const beganAtMs = performance.now();
  await gather(own!, names([own!, other!]), 200);
  expect(performance.now() - beganAtMs).toBeGreaterThan(190);
});

test("a port that is taken is left to the server to complain of", async () => {
  const holder = createServer().listen(0, host);
  await once(holder, "listening");
  const taken = { host, port: (holder.address() as AddressInfo).port };
  await gather(taken, names([taken]), 5_000);
  holder.close();
});
