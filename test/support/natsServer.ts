/** Real servers for tests of the distributed queue. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll } from "vitest";
import { Broker } from "../../runtime/queue/jetstream/broker.ts";
import type { SeatConfig } from "../../runtime/queue/jetstream/brokerConfig.ts";
import { natsServerProgram } from "./natsProgram.ts";
import { fastFolder } from "./queueFixture.ts";

/** Ports that nobody listened on a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

export interface TestSeat {
  broker: Broker;
  folder: string;
  server: string;
  seat: SeatConfig;
}

const mebibyte = 1024 ** 2;

const started: TestSeat[] = [];

// Of the file that imports this: inside a test nothing can be put after all tests any more.
afterAll(async () => {
  await Promise.all(
    started.map(async ({ broker, folder }) => {
      await broker.end();
      rmSync(folder, { recursive: true, force: true });
    }),
  );
});

/** Seats on this machine, ended and removed after the tests of the file. */
export async function startSeats(count: 1 | 3, secured: Partial<SeatConfig> = {}): Promise<TestSeat[]> {
  const program = await natsServerProgram();
  const ports = await freePorts(2 * count);
  const clusterPorts = ports.splice(count);
  const seats = ports.map((port, i): TestSeat => {
    const folder = mkdtempSync(join(fastFolder(), "farcall-nats-"));
    const seat: SeatConfig = {
      name: `s${i + 1}`,
      listen: { host: "127.0.0.1", port },
      sync: "10s",
      storeBytes: 10_240 * mebibyte,
      ...(count === 3
        ? {
            cluster: {
              host: "127.0.0.1",
              port: clusterPorts[i]!,
              seats: clusterPorts.map((one) => `127.0.0.1:${one}`),
            },
          }
        : {}),
      ...secured,
    };
    const broker = new Broker({ program, folder, memoryBytes: 256 * mebibyte });
    return { broker, folder, seat, server: `${secured.tls ? "tls" : "nats"}://127.0.0.1:${port}` };
  });
  started.push(...seats);
  for (const { broker, seat } of seats) broker.start(seat);
  return seats;
}

export interface SharedBroker {
  servers: string[];
  /** Empties the server, unless it was used with this folder last. */
  use(dir: string): Promise<void>;
}

/** One broker for a file of tests. */
export async function sharedBroker(count: 1 | 3 = 1): Promise<SharedBroker> {
  const seats = await startSeats(count);
  const servers = seats.map(({ server }) => server);
  await Promise.all(seats.map(({ broker }) => broker.ready({ servers }, 20_000)));
  let used: string | undefined;
  const use = async (dir: string): Promise<void> => {
    if (dir === used) return;
    used = dir;
    await using nats = await connect({ servers });
    const { streams } = await jetstreamManager(nats, { timeout: 10_000 });
    for await (const { config } of streams.list()) await streams.delete(config.name);
  };
  return { servers, use };
}
