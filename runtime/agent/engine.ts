import { existsSync, readFileSync, statfsSync, writeFileSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Broker } from "../queue/jetstream/broker.ts";
import type { SeatConfig } from "../queue/jetstream/brokerConfig.ts";
import type { JetStreamQueueOptions } from "../queue/jetstream/queue.ts";
import { leaseMs } from "../queue/leaseMs.ts";
import type { MapQueue } from "../queue/mapQueue.ts";
import { SqliteQueue } from "../queue/sqlite.ts";
import { FarcallError } from "../spec/errors.ts";
import type { NodeFile } from "../spec/nodeFile.ts";

/** What holds the maps of this node's cluster: a file on a node that is alone, a broker that all nodes share otherwise. */
export interface Engine {
  queue: MapQueue;
  /** For what nodes say to each other; undefined on a node that is alone. */
  nats: NatsConnection | undefined;
  /** What this node is to know of the others has changed. True when it is to reach the queue by another way from now on. */
  reread(node: NodeFile): boolean;
  /** Whether there is no way to the queue at the moment. */
  readonly isCutOff: boolean;
  /** With `end` the cluster goes down: a server of the broker that runs here ends too. */
  close(end: boolean): Promise<void>;
}

const joinWithinMs = 60_000;
const betweenTriesMs = 200;
/** How long the servers of a queue wait for each other before their first start. */
const gatherWithinMs = 5_000;
/** Share of the free disk that a seat may fill, and of the memory that it should keep to. */
const diskShare = 0.5;
/** Where that is less than the queue sets aside for inputs alone, a seat may fill more. */
const smallDisk = { bytes: 2 * 1024 ** 3, share: 0.9 } as const;
const memoryShare = 0.25;

export async function openEngine(
  folder: string,
  node: NodeFile | undefined,
  onWarning: (text: string) => void,
): Promise<Engine> {
  if (node?.broker) return openShared(folder, node, node.broker, onWarning);
  const queue = await SqliteQueue.open(join(folder, "queue.db"), {
    leaseMs,
    onCorrupt: (movedTo) =>
      onWarning(
        `The queue was damaged, and with it the inputs and outcomes of earlier maps. It was kept as ${movedTo}, and a new one begun.`,
      ),
  });
  return { queue, nats: undefined, reread: () => false, isCutOff: false, close: () => queue.close() };
}

async function openShared(
  folder: string,
  { number, seat }: NodeFile,
  way: NonNullable<NodeFile["broker"]>,
  onWarning: (text: string) => void,
): Promise<Engine> {
  const { replicas, ...broker } = way;
  const address = { ...broker, inboxPrefix: `_INBOX_n${number}` };
  const server = seat && (await startSeat(folder, seat, onWarning));
  const { connectToBroker } = await import("../queue/jetstream/connection.ts");
  const queue = await joinQueue({ ...address, replicas, leaseMs });
  try {
    // A connection of its own: what is said does not wait behind inputs and outcomes.
    const nats = await connectToBroker(address);
    const link = followLink(nats);
    return {
      queue,
      nats,
      reread: (after) => {
        if (after.seat) server?.reload(seatConfig(after.seat, folder));
        return JSON.stringify(after.broker) !== JSON.stringify(way);
      },
      get isCutOff() {
        return !link.isUp;
      },
      close: async (end) => {
        await queue.close();
        await nats.close();
        await (end ? server?.end() : server?.leave());
      },
    };
  } catch (error) {
    await queue.close();
    throw error;
  }
}

function followLink(nats: NatsConnection): { isUp: boolean } {
  const link = { isUp: true };
  const follow = async () => {
    for await (const { type } of nats.status()) {
      if (type === "disconnect") link.isUp = false;
      else if (type === "reconnect") link.isUp = true;
    }
  };
  void follow().catch(() => undefined);
  return link;
}

async function startSeat(
  folder: string,
  seat: NonNullable<NodeFile["seat"]>,
  onWarning: (text: string) => void,
): Promise<Broker> {
  const { Broker } = await import("../queue/jetstream/broker.ts");
  const { gather } = await import("../queue/jetstream/gathering.ts");
  const place = join(folder, "broker");
  const broker = new Broker({
    program: join(place, "nats-server"),
    folder: place,
    memoryBytes: Math.floor(totalmem() * memoryShare),
    onRestart: (why) => onWarning(`The server of the queue was started again: ${why}`),
  });
  const { cluster } = seat;
  if (cluster && broker.isNew) await gather(cluster, cluster.seats, gatherWithinMs);
  broker.start(seatConfig(seat, folder));
  return broker;
}

function seatConfig({ cluster, ...rest }: NonNullable<NodeFile["seat"]>, folder: string): SeatConfig {
  return {
    ...rest,
    ...(cluster ? { cluster } : {}),
    sync: cluster ? "1s" : "always",
    storeBytes: storeBytesOf(join(folder, "broker")),
  };
}

/** The same for good: what the seat stores takes from what is free, and a server that runs cannot change it. */
function storeBytesOf(place: string): number {
  const file = join(place, "store-bytes");
  const before = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  if (before > 0) return before;
  const { bavail, bsize } = statfsSync(place);
  const freeBytes = bavail * bsize;
  const bytes = Math.floor(Math.max(freeBytes * diskShare, Math.min(freeBytes * smallDisk.share, smallDisk.bytes)));
  writeFileSync(file, String(bytes), { mode: 0o600 });
  return bytes;
}

/** The other seats may be coming up as well. */
async function joinQueue(options: JetStreamQueueOptions): Promise<MapQueue> {
  const { JetStreamQueue } = await import("../queue/jetstream/queue.ts");
  const deadlineMs = performance.now() + joinWithinMs;
  for (;;) {
    try {
      return await JetStreamQueue.open(options);
    } catch (error) {
      if (!(error instanceof FarcallError && error.retryable) || performance.now() > deadlineMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, betweenTriesMs));
    }
  }
}
