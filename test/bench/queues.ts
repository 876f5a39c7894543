/**
 * The queues alone: `node test/bench/queues.ts`. Chunks of 1,000 inputs are sent as a client sends them, and leased
 * and settled by one process, through SQLite and through a broker of one seat on this machine.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Broker } from "../../runtime/queue/jetstream/broker.ts";
import type { SeatConfig } from "../../runtime/queue/jetstream/brokerConfig.ts";
import { JetStreamQueue } from "../../runtime/queue/jetstream/queue.ts";
import type { MapQueue, NewChunk } from "../../runtime/queue/mapQueue.ts";
import { SqliteQueue } from "../../runtime/queue/sqlite.ts";
import { natsServerProgram } from "../support/natsProgram.ts";
import { chunk, newJob, result } from "../support/queueData.ts";

const each = 1_000;
const chunksPerRequest = 4;
const requestsOnTheWay = 16;
const leasesAtOnce = 32;
const readyMs = 30_000;
const port = 24_222;

interface Rates {
  sent: number;
  settled: number;
  read: number;
}

/** Chunks a second. */
async function measure(queue: MapQueue, number: number): Promise<Rates> {
  const id = await newJob(queue);
  const template = chunk(0, each);
  const requests: NewChunk[][] = [];
  for (let i = 0; i < number; i += chunksPerRequest) {
    requests.push(Array.from({ length: chunksPerRequest }, (_, k) => ({ ...template, lo: (i + k) * each })));
  }
  const sent = await rate(number, async () => {
    const lane = async (): Promise<void> => {
      for (let next = requests.pop(); next; next = requests.pop()) await queue.addChunks(id, next);
    };
    await Promise.all(Array.from({ length: requestsOnTheWay }, lane));
  });
  const { body } = result(0, each);
  const settled = await rate(number, async () => {
    for (let left = number; left > 0;) {
      const leases = await queue.claim(id, { max: leasesAtOnce, waitMs: 1_000 });
      left -= leases.length;
      await Promise.all(
        leases.map((lease) => {
          const { lo, count } = lease.chunk;
          return queue.settle(lease, { results: [{ lo, count, errors: 0, body }], children: [] });
        }),
      );
    }
  });
  const read = await rate(number, async () => {
    for (let from = 0; from < number * each;) {
      const { ranges } = await queue.outcomes(id, { order: "index", from, limit: 64, limitBytes: 1 << 20 });
      from = ranges.at(-1)!.lo + each;
    }
  });
  return { sent, settled, read };
}

async function rate(number: number, work: () => Promise<void>): Promise<number> {
  const beganAtMs = performance.now();
  await work();
  return (number / (performance.now() - beganAtMs)) * 1_000;
}

function show(what: string, { sent, settled, read }: Rates): void {
  const rates = [sent, settled, read].map((one) => `${Math.round(one)}`.padStart(7));
  console.log(`${what.padEnd(28)} sent ${rates[0]}/s, claimed and settled ${rates[1]}/s, read ${rates[2]}/s`);
}

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "farcall-bench-"));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

console.log(`Chunks of ${each} inputs a second:`);
for (const synchronous of ["NORMAL", "FULL"] as const) {
  await withFolder(async (folder) => {
    await using queue = await SqliteQueue.open(join(folder, "queue.db"), { synchronous });
    show(`SQLite, ${synchronous}`, await measure(queue, 2_000));
  });
}
for (const sync of ["10s", "1s", "always"] as const satisfies SeatConfig["sync"][]) {
  await withFolder(async (folder) => {
    const broker = new Broker({ program: await natsServerProgram(), folder, memoryBytes: 256 * 1024 ** 2 });
    const servers = [`nats://127.0.0.1:${port}`];
    broker.start({ name: "s1", listen: { host: "127.0.0.1", port }, sync, storeBytes: 10 * 1024 ** 3 });
    try {
      await broker.ready({ servers }, readyMs);
      await using queue = await JetStreamQueue.open({ servers });
      show(`JetStream, one seat, ${sync}`, await measure(queue, sync === "always" ? 400 : 2_000));
    } finally {
      await broker.end();
    }
  });
}
