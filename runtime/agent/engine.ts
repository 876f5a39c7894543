import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import type { MapQueue } from "../queue/mapQueue.ts";
import { SqliteQueue } from "../queue/sqlite.ts";
import type { NodeFile } from "./node.ts";

/** What holds the maps of this node's cluster: a file on a node that is alone, a broker that all nodes share otherwise. */
export interface Engine {
  queue: MapQueue;
  /** For what nodes say to each other; undefined on a node that is alone. */
  nats: NatsConnection | undefined;
  close(): Promise<void>;
}

export async function openEngine(
  folder: string,
  node: NodeFile | undefined,
  onWarning: (text: string) => void,
): Promise<Engine> {
  if (node?.broker) return openShared(folder, node.number, node.broker);
  const queue = await SqliteQueue.open(join(folder, "queue.db"), {
    onCorrupt: (movedTo) =>
      onWarning(
        `The queue was damaged, and with it the inputs and outcomes of earlier maps. It was kept as ${movedTo}, and a new one begun.`,
      ),
  });
  return { queue, nats: undefined, close: () => queue.close() };
}

async function openShared(
  folder: string,
  number: number,
  { servers, replicas }: NonNullable<NodeFile["broker"]>,
): Promise<Engine> {
  // Much code, for clusters of several nodes only.
  const [{ JetStreamQueue }, { connectToBroker }] = await Promise.all([
    import("../queue/jetstream/queue.ts"),
    import("../queue/jetstream/connection.ts"),
  ]);
  const read = (name: string) => readFileSync(join(folder, "broker", name), "utf8");
  const address = {
    servers,
    tls: { ca: read("ca.pem"), cert: read("node.pem"), key: read("node.key") },
    nkeySeed: read("node.seed").trim(),
    inboxPrefix: `_INBOX_n${number}`,
  };
  const queue = await JetStreamQueue.open({ ...address, replicas });
  try {
    // A connection of its own: what is said does not wait behind inputs and outcomes.
    const nats = await connectToBroker(address);
    return {
      queue,
      nats,
      close: async () => {
        await queue.close();
        await nats.close();
      },
    };
  } catch (error) {
    await queue.close();
    throw error;
  }
}
