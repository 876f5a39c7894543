/**
 * A process that works a job of a distributed queue: `jetStreamWorker.ts SERVER JOB LEASE_MS [STEP]`. It prints a
 * line for each chunk it settled, and kills itself at a step of the first settlement, which is then a split:
 *
 * `claimed`, `before outcome`, `before children`, `between children`, `before acknowledgement`.
 *
 * With `close` it closes the queue after the first chunk, while a claim waits, and ends when nothing is left to do.
 */
import { writeSync } from "node:fs";
import { Connection } from "../../runtime/queue/jetstream/connection.ts";
import { JetStreamQueue } from "../../runtime/queue/jetstream/queue.ts";
import type { Lease } from "../../runtime/queue/mapQueue.ts";
import { chunk, result, settleWhole } from "./queueData.ts";

const [server, job, leaseMs, step] = process.argv.slice(2) as [string, string, string, string | undefined];

const die = (): void => void process.kill(process.pid, "SIGKILL");

const openConnection = Connection.open.bind(Connection);
Connection.open = async (address) => {
  const connection = await openConnection(address);
  const { nats } = connection;
  const publish = nats.publish.bind(nats);
  let children = 0;
  nats.publish = (subject, payload, options) => {
    const isChild = /^w\..*\.c$/.test(subject);
    if (step === "before outcome" && subject.startsWith("r.")) return die();
    if (step === "before children" && isChild) return die();
    if (step === "before acknowledgement" && payload === "+ACK") return die();
    if (step === "between children" && isChild && children++ > 0) return void nats.flush().then(die, die);
    publish(subject, payload, options);
  };
  return connection;
};

const queue = await JetStreamQueue.open({ servers: [server], leaseMs: Number(leaseMs) });
writeSync(1, "ready\n");
let closed = false;
while (!closed) {
  for (const lease of await queue.claim(job, { max: 4, waitMs: 1_000 })) {
    if (step === "claimed") die();
    if (step === undefined || step === "close") await settleWhole(queue, lease, "other process");
    else await split(lease);
    writeSync(1, `settled ${lease.chunk.lo} ${lease.chunk.count}\n`);
    if (step !== "close") continue;
    const waiting = queue.claim(job, { max: 1, waitMs: 600_000 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    await queue.close();
    await waiting;
    closed = true;
  }
}

async function split({ chunk: { lo, count }, ...rest }: Lease): Promise<void> {
  const whole = { ...rest, chunk: { ...chunk(lo, count), deaths: 0 } };
  const children = [chunk(lo + 1, 1, 1), chunk(lo + 2, 1), chunk(lo + 3, count - 3)];
  await queue.settle(whole, { results: [result(lo, 1, 0, "other process")], children });
}
