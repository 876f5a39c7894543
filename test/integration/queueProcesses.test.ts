/** Processes that share a distributed queue and know nothing of each other, and their deaths. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, describe, expect, test } from "vitest";
import { JetStreamQueue, type JetStreamQueueOptions } from "../../runtime/queue/jetstream/queue.ts";
import type { RunId } from "../../runtime/spec/names.ts";
import { sharedBroker } from "../support/natsServer.ts";
import { chunk, chunks, claimOne, drain, firstFault, newJob, readOutcomes, settleWhole } from "../support/queueData.ts";
import { queueFixture } from "../support/queueFixture.ts";

const workerFile = join(import.meta.dirname, "../support/jetStreamWorker.ts");
const { servers, use } = await sharedBroker();
const longMs = 30_000;

describe("processes that share a queue", () => {
  const open = async (dir: string, limits?: Partial<JetStreamQueueOptions>): Promise<JetStreamQueue> => {
    await use(dir);
    return JetStreamQueue.open({ servers, ...limits });
  };
  const { start, newDir } = queueFixture(open);
  const workers: ChildProcess[] = [];
  afterEach(() => {
    for (const worker of workers.splice(0)) worker.kill("SIGKILL");
  });

  const startWorker = async (
    job: RunId,
    leaseMs: number,
    step?: string,
  ): Promise<{ lines: string[]; ended: Promise<unknown> }> => {
    const args = [workerFile, servers[0]!, job, String(leaseMs), ...(step ? [step] : [])];
    const worker = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    workers.push(worker);
    const ended = once(worker, "exit");
    const lines: string[] = [];
    const reader = createInterface(worker.stdout);
    const ready = once(reader, "line");
    reader.on("line", (line) => lines.push(line));
    await ready;
    return { lines, ended };
  };

  test("work one job together, and each sees what the other does", async () => {
    const queue = await start();
    const id = await newJob(queue);
    const told: number[] = [];
    queue.onChange(() => told.push(told.length));
    const { lines } = await startWorker(id, longMs);
    const number = 300;
    await queue.addChunks(id, chunks(number, 3));
    let here = 0;
    const seen: number[] = [];
    let from = 0;
    while (seen.length < number) {
      const [lease] = await queue.claim(id, { max: 1, waitMs: 20 });
      if (lease) {
        await settleWhole(queue, lease);
        here++;
      }
      const { ranges } = await queue.outcomes(id, { order: "settled", from, limit: 50, limitBytes: 1 << 20 });
      seen.push(...ranges.map(({ lo }) => lo));
      from = ranges.at(-1)?.sequence ?? from;
    }
    await expect.poll(() => lines.length - 1 + here).toBe(number);
    expect(here).toBeGreaterThan(0);
    expect(lines.length).toBeGreaterThan(1);
    expect(new Set(seen).size).toBe(number);
    expect(await queue.counts(id)).toEqual({ pending: 0, leased: 0, settled: 3 * number, errors: 0 });
    await queue.closeInput(id, 3 * number);
    expect(told.length).toBeGreaterThan(0);
  });

  test("see jobs, states and inputs of one another", async () => {
    const dir = newDir();
    const [one, other] = [await start({}, dir), await start({}, dir)];
    const id = await newJob(one);
    const waiting = other.claim(id, { max: 1, waitMs: longMs });
    await one.addChunks(id, [chunk(0, 2)]);
    const [lease] = await waiting;
    await one.setState(id, "pause", 1);
    await one.addChunks(id, [chunk(2, 2)]);
    await expect.poll(async () => (await other.job(id))?.state).toBe("pause");
    expect(await other.claim(id, { max: 1, waitMs: 50 })).toEqual([]);
    expect(await settleWhole(one, lease!, "first")).toBe("stored");
    expect(await settleWhole(other, lease!, "second")).toBe("already");
    await other.closeInput(id, 4);
    await expect(other.setState(id, "done", 1)).rejects.toMatchObject({ code: "run.state" });
    const later = one.claim(id, { max: 1, waitMs: longMs });
    await other.setState(id, "cancelled", 2);
    expect(await later).toEqual([]);
    await other.deleteJob(id);
    await expect.poll(() => one.job(id)).toBeUndefined();
  });

  for (const step of ["claimed", "before outcome", "before children", "between children", "before acknowledgement"]) {
    test(`lose and double nothing when one is killed while it splits a chunk: ${step}`, async () => {
      const leaseMs = 500;
      const queue = await start({ leaseMs });
      const id = await newJob(queue);
      const { ended } = await startWorker(id, leaseMs, step);
      await queue.addChunks(id, [chunk(0, 10)]);
      expect(await ended).toEqual([null, "SIGKILL"]);
      const settledByIt = step === "claimed" || step === "before outcome" ? 0 : 1;
      await expect.poll(async () => (await queue.counts(id)).settled).toBe(settledByIt);
      const seen: string[] = [];
      while ((await queue.counts(id)).settled < 10) {
        const lease = await claimOne(queue, id, longMs);
        const { lo, count, deaths, body } = lease.chunk;
        expect(Buffer.from(body)).toEqual(Buffer.from(chunk(lo, count).body));
        seen.push(`${lo}+${count} ${deaths}`);
        await settleWhole(queue, lease);
      }
      expect(seen.sort()).toEqual(settledByIt ? ["1+1 1", "2+1 0", "3+7 0"] : ["0+10 0"]);
      expect(firstFault(await readOutcomes(queue, id, { order: "index" }))).toBe(10);
      // Nothing comes again, neither the chunk nor a child that was stored twice.
      expect(await queue.claim(id, { max: 9, waitMs: 2 * leaseMs })).toEqual([]);
    });
  }

  test("end by themselves when they have closed it", async () => {
    const queue = await start();
    const id = await newJob(queue);
    const { ended, lines } = await startWorker(id, longMs, "close");
    await queue.addChunks(id, [chunk(0, 1)]);
    await expect.poll(() => lines).toContain("settled 0 1");
    // A socket or a timer that is left over would keep it.
    expect(await ended).toEqual([0, null]);
  });

  test("give back at once what one held when it closes", async () => {
    const dir = newDir();
    const [one, other] = [await start({}, dir), await start({}, dir)];
    const id = await newJob(one);
    await one.addChunks(id, chunks(3, 1));
    await one.claim(id, { max: 3, waitMs: longMs });
    // Less than a lease.
    const waiting = claimOne(other, id, 10_000);
    await one.close();
    expect((await waiting).attempt).toBe(2);
    expect(await drain(other, id)).toBe(2);
  });
});
