import { expect, test } from "vitest";
import type { Lease, MapQueue, Settlement } from "../../runtime/queue/mapQueue.ts";
import type { RunId } from "../../runtime/spec/names.ts";
import {
  chunk,
  claimOne,
  drain,
  firstFault,
  newJob,
  readOutcomes,
  result,
  seededRandom,
  settleWhole,
} from "./queueData.ts";
import { type OpenQueue, queueFixture } from "./queueFixture.ts";

const longMs = 30_000;

export interface SettleTestOptions {
  /** Of the test that leaves to chance what becomes of each; its numbers are others each time. Default 20,000. */
  chunks?: number;
}

/** One outcome for each input, whatever happens on the way. */
export function queueSettleTests(open: OpenQueue, { chunks = 20_000 }: SettleTestOptions = {}): void {
  const { newDir, start } = queueFixture(open);

  test("a chunk that is settled twice at once has one outcome", async () => {
    const queue = await start();
    const id = await newJob(queue);
    await queue.addChunks(id, [chunk(0, 2)]);
    const lease = await claimOne(queue, id);
    const both = await Promise.all([settleWhole(queue, lease, "first"), settleWhole(queue, lease, "second")]);
    expect(both).toEqual(["stored", "already"]);
    expect(await settleWhole(queue, lease, "third")).toBe("already");
    const outcomes = await readOutcomes(queue, id, { order: "index" });
    expect(outcomes).toHaveLength(1);
    expect(Buffer.from(outcomes[0]!.body)).toEqual(Buffer.from(result(0, 2, 0, "first").body));
    expect(await queue.counts(id)).toEqual({ pending: 0, leased: 0, settled: 2, errors: 0 });
  });

  test("the first to settle wins, even with a lease that was lost", async () => {
    const queue = await start({ leaseMs: 30 });
    const id = await newJob(queue);
    await queue.addChunks(id, [chunk(0, 2), chunk(2, 2)]);
    const lost = await claimOne(queue, id);
    const other = await claimOne(queue, id);
    await settleWhole(queue, other);
    const held = await claimOne(queue, id, longMs);
    expect(held.chunk.lo).toBe(0);
    expect(await settleWhole(queue, lost, "early")).toBe("stored");
    expect(await settleWhole(queue, held, "late")).toBe("already");
    expect(await queue.counts(id)).toEqual({ pending: 0, leased: 0, settled: 4, errors: 0 });
    expect(await queue.claim(id, { max: 1, waitMs: 60 })).toEqual([]);
  });

  test("a chunk given back, or delayed, can still be settled by the one who had it", async () => {
    const queue = await start();
    const id = await newJob(queue);
    await queue.addChunks(id, [chunk(0, 2), chunk(2, 2)]);
    const ready = await claimOne(queue, id);
    const delayed = await claimOne(queue, id);
    await queue.release(ready, 0);
    await queue.release(delayed, 50);
    expect(await settleWhole(queue, ready)).toBe("stored");
    expect(await settleWhole(queue, delayed)).toBe("stored");
    expect(await queue.counts(id)).toEqual({ pending: 0, leased: 0, settled: 4, errors: 0 });
    expect(await queue.claim(id, { max: 1, waitMs: 100 })).toEqual([]);
  });

  test("a chunk is split into results and children, and children again", async () => {
    const queue = await start();
    const id = await newJob(queue);
    await queue.addChunks(id, [chunk(0, 100)]);
    const parent = await claimOne(queue, id);
    const split: Settlement = {
      results: [result(10, 40, 3), result(90, 10)],
      children: [chunk(0, 10), chunk(50, 39, 1), chunk(89, 1, 2)],
    };
    expect(await queue.settle(parent, split)).toBe("stored");
    expect(await queue.settle(parent, split)).toBe("already");
    expect(await queue.counts(id)).toEqual({ pending: 50, leased: 0, settled: 50, errors: 3 });

    const children = await queue.claim(id, { max: 10, waitMs: 0 });
    expect(children.map(({ chunk: { lo, count, deaths } }) => [lo, count, deaths])).toEqual([
      [0, 10, 0],
      [50, 39, 1],
      [89, 1, 2],
    ]);
    expect(await settleWhole(queue, parent)).toBe("already");
    await queue.settle(children[0]!, { results: [result(0, 9)], children: [chunk(9, 1, 1)] });
    await queue.settle(children[1]!, { results: [], children: [chunk(50, 38, 2), chunk(88, 1, 2)] });
    expect(await settleWhole(queue, children[1]!)).toBe("already");
    await settleWhole(queue, children[2]!);
    expect(await drain(queue, id)).toBe(3);
    expect(firstFault(await readOutcomes(queue, id, { order: "index" }))).toBe(100);
  });

  test("a chunk that becomes its own child is a chunk of its own", async () => {
    const queue = await start();
    const id = await newJob(queue);
    await queue.addChunks(id, [chunk(0, 1), chunk(1, 1)]);
    const leases: Lease[] = [];
    for (let deaths = 1; deaths <= 3; deaths++) {
      const lease = await claimOne(queue, id);
      expect(lease).toMatchObject({ attempt: 1, chunk: { lo: 0, count: 1, deaths: deaths - 1 } });
      leases.push(lease);
      expect(await queue.settle(lease, { results: [], children: [chunk(0, 1, deaths)] })).toBe("stored");
    }
    const held = await claimOne(queue, id);
    for (const old of leases) {
      expect(await queue.extend(old)).toBe(false);
      expect(await settleWhole(queue, old, "old")).toBe("already");
      await queue.release(old, 0);
    }
    expect(await queue.extend(held)).toBe(true);
    expect(await settleWhole(queue, held, "new")).toBe("stored");
    const [outcome] = await readOutcomes(queue, id, { order: "index" });
    expect(Buffer.from(outcome!.body)).toEqual(Buffer.from(result(0, 1, 0, "new").body));
    expect(await drain(queue, id)).toBe(1);
  });

  test("outcomes are credited to those in whose name they are stored, once, also by the next process", async () => {
    const dir = newDir();
    const queue = await start({}, dir);
    const id = await newJob(queue);
    await queue.addChunks(id, [chunk(0, 5), chunk(5, 5), chunk(10, 5)]);
    const first = await claimOne(queue, id, longMs);
    const second = await claimOne(queue, id, longMs);
    const third = await claimOne(queue, id, longMs);
    const { lo } = first.chunk;
    const by = "größer #2:1";
    expect(await queue.settle(first, { results: [result(lo, 3, 1)], children: [chunk(lo + 3, 2)], by })).toBe("stored");
    expect(await queue.settle(first, { results: [result(lo, 5, 5)], children: [], by })).toBe("already");
    expect(await queue.settle(second, { results: [result(second.chunk.lo, 5)], children: [], by })).toBe("stored");
    expect(await settleWhole(queue, third)).toBe("stored");
    expect(await queue.credits(id)).toEqual([{ by, settled: 8, errors: 1 }]);
    expect(await queue.credits(await newJob(queue))).toEqual([]);
    await queue.close();
    const next = await start({}, dir);
    expect(await next.credits(id)).toEqual([{ by, settled: 8, errors: 1 }]);
  });

  test("a settlement that is not the chunk is refused, and the chunk stays", async () => {
    const queue = await start();
    const id = await newJob(queue);
    await queue.addChunks(id, [chunk(10, 10)]);
    const lease = await claimOne(queue, id);
    const wrong: Settlement[] = [
      { results: [], children: [] },
      { results: [result(10, 9)], children: [] },
      { results: [result(10, 11)], children: [] },
      { results: [result(9, 11)], children: [] },
      { results: [result(10, 5), result(14, 6)], children: [] },
      { results: [result(10, 5)], children: [chunk(16, 4)] },
      { results: [result(10, 10)], children: [chunk(10, 10)] },
      { results: [{ ...result(10, 10), errors: 11 }], children: [] },
    ];
    for (const one of wrong) await expect(queue.settle(lease, one)).rejects.toMatchObject({ code: "internal" });
    expect(await queue.counts(id)).toEqual({ pending: 0, leased: 10, settled: 0, errors: 0 });
    expect(await settleWhole(queue, lease)).toBe("stored");
  });

  test("every input has one outcome after workers that split, repeat, give back, lose and forget leases", async () => {
    const seed = Number(process.env["FARCALL_TEST_SEED"] ?? Date.now() % 2 ** 31);
    const random = seededRandom(seed);
    const queue = await start({ leaseMs: 100, maxPendingBytes: 400_000 });
    const id = await newJob(queue);
    const total = await sendAndWork(queue, id, random, chunks);
    const outcomes = await readOutcomes(queue, id, { order: "index" });
    const where = `first fault with FARCALL_TEST_SEED=${seed}`;
    expect(firstFault(outcomes), where).toBe(total);
    const errors = outcomes.reduce((sum, range) => sum + range.errors, 0);
    expect(await queue.counts(id), where).toEqual({ pending: 0, leased: 0, settled: total, errors });
    expect(new Set((await readOutcomes(queue, id, { order: "settled" })).map(({ lo }) => lo)).size, where).toBe(
      outcomes.length,
    );
  });
}

/** Sends chunks, some twice and out of order, while eight erratic workers work; returns the number of inputs. */
async function sendAndWork(
  queue: MapQueue,
  id: RunId,
  random: (below: number) => number,
  number: number,
): Promise<number> {
  let total = 0;
  let sent = false;
  const send = async (): Promise<void> => {
    for (let i = 0; i < number; i += 50) {
      const some = Array.from({ length: 50 }, () => {
        const next = chunk(total, 1 + random(4));
        total += next.count;
        return next;
      }).sort(() => random(3) - 1);
      if (random(3) === 0) some.push(some[random(some.length)]!);
      for (let stored = false; !stored;) {
        try {
          await queue.addChunks(id, some);
          stored = random(10) > 0;
        } catch (error) {
          expect(error).toMatchObject({ code: "queue.back-pressure" });
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      }
    }
    sent = true;
  };
  const old: Lease[] = [];
  const work = async (): Promise<void> => {
    for (;;) {
      const { pending, leased } = await queue.counts(id);
      if (sent && pending + leased === 0) return;
      const leases = await queue.claim(id, { max: 1 + random(20), waitMs: 20 });
      await Promise.all(leases.map((lease) => treat(queue, lease, random, old)));
    }
  };
  await Promise.all([send(), ...Array.from({ length: 8 }, work)]);
  await queue.closeInput(id, total);
  return total;
}

async function treat(queue: MapQueue, lease: Lease, random: (below: number) => number, old: Lease[]): Promise<void> {
  const { lo, count, deaths } = lease.chunk;
  if (random(20) === 0) old.push(lease);
  switch (random(24)) {
    case 0: // the worker dies and says nothing
      return;
    case 1:
      return queue.release(lease, random(2) * random(10));
    case 2: // given back, and settled all the same
      await queue.release(lease, 0);
      await settleWhole(queue, lease);
      return;
    case 3:
      await Promise.all([settleWhole(queue, lease), settleWhole(queue, lease), queue.release(lease, 0)]);
      return;
    case 4:
      if (deaths < 3) await queue.settle(lease, { results: [], children: [chunk(lo, count, deaths + 1)] });
      else await settleWhole(queue, lease, "poison", 1);
      return;
    case 5: {
      const head = random(count);
      const results = head > 0 ? [result(lo, head, random(head + 1))] : [];
      await queue.settle(lease, { results, children: [chunk(lo + head, count - head, deaths)] });
      return;
    }
    case 6: {
      const lost = old[random(old.length)];
      if (lost !== undefined) await settleWhole(queue, lost, "late");
      await queue.extend(lease);
      await settleWhole(queue, lease);
      return;
    }
    default:
      await settleWhole(queue, lease, "outcome", random(count + 1));
  }
}
