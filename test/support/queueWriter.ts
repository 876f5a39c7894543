/**
 * A process that writes to the queue file named on its command line until it is killed, and prints each write
 * when it was acknowledged: `job`, `add LO COUNT`, `settle LO COUNT`. It prints `refused CODE` when it cannot open it.
 */
import { writeSync } from "node:fs";
import { SqliteQueue } from "../../runtime/queue/sqlite.ts";
import { FarcallError } from "../../runtime/spec/errors.ts";
import { chunk, settleWhole } from "./queueData.ts";

const [file, id] = process.argv.slice(2) as [string, string];
const say = (line: string): void => void writeSync(1, `${line}\n`);

try {
  const queue = await SqliteQueue.open(file);
  const job = await queue.createJob({ id, spec: "{}", createdAtMs: 1 });
  say("job");
  await Promise.all([add(queue, job.accepted), ...Array.from({ length: 3 }, () => work(queue))]);
} catch (error) {
  say(`refused ${error instanceof FarcallError ? error.code : String(error)}`);
}

async function add(queue: SqliteQueue, from: number): Promise<never> {
  for (let lo = from; ;) {
    const chunks = Array.from({ length: 1 + (lo % 7) }, (_, i) => chunk(lo + i * 5, 5));
    await queue.addChunks(id, chunks);
    for (const { lo: first, count } of chunks) say(`add ${first} ${count}`);
    lo += chunks.length * 5;
  }
}

async function work(queue: SqliteQueue): Promise<never> {
  for (;;) {
    for (const lease of await queue.claim(id, { max: 3, waitMs: 1000 })) {
      const { lo, count } = lease.chunk;
      if (lo % 3 === 0 && count > 1) {
        await queue.settle(lease, { results: [], children: [chunk(lo, 1), chunk(lo + 1, count - 1)] });
      } else {
        await settleWhole(queue, lease);
        say(`settle ${lo} ${count}`);
      }
    }
  }
}
