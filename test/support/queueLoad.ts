/** A map under way: inputs are sent, worked and settled by several at once, whatever happens to the queue. */
import { expect } from "vitest";
import type { MapQueue } from "../../runtime/queue/mapQueue.ts";
import type { RunId } from "../../runtime/spec/names.ts";
import { chunk, firstFault, readOutcomes, settleWhole } from "./queueData.ts";

const each = 5;

/** Works `number` chunks through the queues, each of which is a process of its own, and checks what came of it. */
export async function workThrough(queues: readonly MapQueue[], id: RunId, number: number): Promise<void> {
  const [sender] = queues;
  const send = async (): Promise<void> => {
    for (let i = 0; i < number; i += 10) {
      const some = Array.from({ length: Math.min(10, number - i) }, (_, k) => chunk((i + k) * each, each));
      await sender!.addChunks(id, some);
    }
  };
  const work = async (queue: MapQueue): Promise<void> => {
    for (;;) {
      const { settled } = await queue.counts(id);
      if (settled === number * each) return;
      const leases = await queue.claim(id, { max: 4, waitMs: 200 });
      for (const lease of leases) {
        const { lo, count, deaths } = lease.chunk;
        if (lo % 7 === 0 && count > 1 && deaths === 0) {
          const children = [chunk(lo, 1, 1), chunk(lo + 1, count - 1, 1)];
          await queue.settle(lease, { results: [], children });
        } else {
          await settleWhole(queue, lease);
        }
      }
    }
  };
  await Promise.all([send(), ...queues.flatMap((queue) => [work(queue), work(queue)])]);
  for (const queue of queues) {
    expect(firstFault(await readOutcomes(queue, id, { order: "index" }))).toBe(number * each);
    expect(firstFault(await readOutcomes(queue, id, { order: "settled" }))).toBe(number * each);
    expect(await queue.counts(id)).toEqual({ pending: 0, leased: 0, settled: number * each, errors: 0 });
  }
  await sender!.closeInput(id, number * each);
}
