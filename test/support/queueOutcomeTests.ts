import { expect, test } from "vitest";
import type { OutcomeRecord } from "../../runtime/queue/mapQueue.ts";
import { chunks, drain, firstFault, newJob, readOutcomes, settleWhole } from "./queueData.ts";
import { type OpenQueue, queueFixture } from "./queueFixture.ts";

const page = { limit: 7, limitBytes: 1 << 20 };

/** Reading outcomes. */
export function queueOutcomeTests(open: OpenQueue): void {
  const { start } = queueFixture(open);

  test("pages by index give every range once, lowest first", async () => {
    const queue = await start();
    const id = await newJob(queue);
    await queue.addChunks(id, chunks(40, 5));
    const leases = await queue.claim(id, { max: 40, waitMs: 0 });
    for (const lease of leases.toReversed()) await settleWhole(queue, lease);
    const outcomes = await readOutcomes(queue, id, { order: "index", ...page });
    expect(outcomes.map(({ lo }) => lo)).toEqual(Array.from({ length: 40 }, (_, i) => i * 5));
    const later = await queue.outcomes(id, { order: "index", from: 105, limit: 2, limitBytes: 1 << 20 });
    expect(later.ranges.map(({ lo }) => lo)).toEqual([105, 110]);
    const inside = await queue.outcomes(id, { order: "index", from: 109, limit: 2, limitBytes: 1 << 20 });
    expect(inside.ranges.map(({ lo }) => lo)).toEqual([105, 110]);
  });

  test("pages by time of settling give every range once while new ones arrive", async () => {
    const queue = await start();
    const id = await newJob(queue);
    const other = await newJob(queue);
    await queue.addChunks(id, chunks(300, 2));
    await queue.addChunks(other, chunks(300, 1));
    const settled: number[] = [];
    const work = async (): Promise<void> => {
      for (;;) {
        const leases = await queue.claim(id, { max: 5, waitMs: 0 });
        if (leases.length === 0) return;
        for (const lease of leases.toReversed()) {
          await settleWhole(queue, lease);
          settled.push(lease.chunk.lo);
        }
      }
    };
    const read: OutcomeRecord[] = [];
    const reading = async (): Promise<void> => {
      let from = 0;
      while (read.length < 300) {
        const { ranges } = await queue.outcomes(id, { order: "settled", from, ...page });
        read.push(...ranges);
        from = ranges.at(-1)?.sequence ?? from;
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await Promise.all([work(), drain(queue, other), reading()]);
    expect(read.map(({ lo }) => lo)).toEqual(settled);
    expect(firstFault(read)).toBe(600);
    const sequences = read.map(({ sequence }) => sequence);
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
  });

  test("a page ends at its number of bytes, and is never empty when there is something", async () => {
    const queue = await start();
    const id = await newJob(queue);
    await queue.addChunks(id, chunks(10, 10));
    await drain(queue, id);
    const [first] = await readOutcomes(queue, id, { order: "index" });
    const size = first!.body.byteLength;
    const pageOf = async (limitBytes: number): Promise<number> =>
      (await queue.outcomes(id, { order: "index", from: 0, limit: 100, limitBytes })).ranges.length;
    expect(await pageOf(0)).toBe(1);
    expect(await pageOf(size)).toBe(1);
    expect(await pageOf(size + 1)).toBe(2);
    expect(await pageOf(size * 1000)).toBe(10);
    expect((await queue.outcomes(id, { order: "index", from: 100, ...page })).ranges).toEqual([]);
  });

  test("only ranges with errors are read when those are asked for", async () => {
    const queue = await start();
    const id = await newJob(queue);
    await queue.addChunks(id, chunks(60, 3));
    const leases = await queue.claim(id, { max: 60, waitMs: 0 });
    for (const lease of leases.toReversed())
      await settleWhole(queue, lease, "outcome", lease.chunk.lo % 4 === 0 ? 2 : 0);
    const failed = leases.map(({ chunk: { lo } }) => lo).filter((lo) => lo % 4 === 0);
    const byIndex = await readOutcomes(queue, id, { order: "index", errorsOnly: true, ...page });
    expect(byIndex.map(({ lo, errors }) => [lo, errors])).toEqual(failed.map((lo) => [lo, 2]));
    const bySettling = await readOutcomes(queue, id, { order: "settled", errorsOnly: true, ...page });
    expect(bySettling.map(({ lo }) => lo)).toEqual(failed.toReversed());
    expect(await queue.counts(id)).toEqual({ pending: 0, leased: 0, settled: 180, errors: 2 * failed.length });
  });

  test("the epoch stays the same while a queue is open", async () => {
    const queue = await start();
    const id = await newJob(queue);
    const epochs = new Set<string>();
    for (let i = 0; i < 3; i++) {
      epochs.add((await queue.outcomes(id, { order: "settled", from: 0, ...page })).epoch);
      await queue.addChunks(id, chunks(i + 1, 1));
      await drain(queue, id);
    }
    expect(epochs.size).toBe(1);
  });
}
