import { expect, test } from "vitest";
import type { MapQueue } from "../../runtime/queue/mapQueue.ts";
import type { RunId } from "../../runtime/spec/names.ts";
import { chunk, chunks, claimOne, drain, newJob, settleWhole } from "./queueData.ts";
import { type OpenQueue, queueFixture } from "./queueFixture.ts";

const longMs = 30_000;

/** A claim that does not wait is answered after those before it have begun to wait. */
async function othersAreWaiting(queue: MapQueue, id: RunId): Promise<void> {
  expect(await queue.claim(id, { max: 1, waitMs: 0 })).toEqual([]);
}

/** Claims and leases. */
export function queueClaimTests(open: OpenQueue): void {
  const { start } = queueFixture(open);

  test("chunks sent together are leased lowest index first, up to the number asked for, each to one claim", async () => {
    const queue = await start();
    const id = await newJob(queue);
    await queue.addChunks(id, [chunk(30, 10), chunk(10, 10), chunk(0, 10), chunk(20, 10)]);
    const claims = await Promise.all([
      queue.claim(id, { max: 3, waitMs: 0 }),
      queue.claim(id, { max: 3, waitMs: 0 }),
      queue.claim(id, { max: 3, waitMs: 0 }),
    ]);
    expect(claims.map((leases) => leases.map(({ chunk: { lo } }) => lo))).toEqual([[0, 10, 20], [30], []]);
    const [lease] = claims[0];
    expect(lease).toMatchObject({ job: id, attempt: 1, chunk: { lo: 0, count: 10, deaths: 0 } });
    expect(Buffer.from(lease!.chunk.body)).toEqual(Buffer.from(chunk(0, 10).body));
    expect(await queue.counts(id)).toEqual({ pending: 0, leased: 40, settled: 0, errors: 0 });
  });

  test("a claim takes the chunks of its own job", async () => {
    const queue = await start();
    const [one, other] = [await newJob(queue), await newJob(queue)];
    await queue.addChunks(other, chunks(2, 1));
    expect(await queue.claim(one, { max: 9, waitMs: 0 })).toEqual([]);
    expect(await queue.claim(other, { max: 9, waitMs: 0 })).toHaveLength(2);
  });

  test("a chunk whose lease expired is leased again, and the attempt rises", async () => {
    const queue = await start({ leaseMs: 30 });
    const id = await newJob(queue);
    await queue.addChunks(id, [chunk(0, 3)]);
    const first = await claimOne(queue, id);
    const second = await claimOne(queue, id, longMs);
    const third = await claimOne(queue, id, longMs);
    expect([first, second, third].map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(new Set([first, second, third].map(({ token }) => token)).size).toBe(3);
    expect(await queue.extend(first)).toBe(false);
    await queue.release(first, 0);
    expect(await queue.counts(id)).toMatchObject({ pending: 0, leased: 3 });
  });

  test("a lease that is extended is kept, and lost when it is extended no more", async () => {
    const queue = await start({ leaseMs: 800 });
    const id = await newJob(queue);
    await queue.addChunks(id, [chunk(0, 1)]);
    const lease = await claimOne(queue, id);
    for (let i = 0; i < 6; i++) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(await queue.extend(lease)).toBe(true);
      expect(await queue.claim(id, { max: 1, waitMs: 0 })).toEqual([]);
    }
    expect(await claimOne(queue, id, longMs)).toMatchObject({ attempt: 2 });
    expect(await queue.extend(lease)).toBe(false);
  });

  test("a chunk that is given back is leased again at once, or after its delay", async () => {
    const queue = await start();
    const id = await newJob(queue);
    await queue.addChunks(id, [chunk(0, 1)]);
    await queue.release(await claimOne(queue, id), 0);
    const second = await claimOne(queue, id);
    const releasedMs = performance.now();
    await queue.release(second, 120);
    expect(await queue.counts(id)).toMatchObject({ pending: 1, leased: 0 });
    expect(await queue.extend(second)).toBe(false);
    expect(await queue.claim(id, { max: 1, waitMs: 0 })).toEqual([]);
    expect(await claimOne(queue, id, longMs)).toMatchObject({ attempt: 3 });
    expect(performance.now() - releasedMs).toBeGreaterThanOrEqual(119);
  });

  test("a paused job leases nothing until it runs again", async () => {
    const queue = await start();
    const id = await newJob(queue);
    await queue.addChunks(id, chunks(2, 1));
    const kept = await claimOne(queue, id);
    await queue.setState(id, "pause", 1);
    expect(await queue.claim(id, { max: 1, waitMs: 0 })).toEqual([]);
    expect(await queue.extend(kept)).toBe(true);
    expect(await settleWhole(queue, kept)).toBe("stored");
    const waiting = queue.claim(id, { max: 5, waitMs: longMs });
    await queue.addChunks(id, [chunk(2, 1)]);
    await queue.setState(id, "run", 2);
    expect(await waiting).toHaveLength(2);
  });

  test("a claim that waits is woken by new chunks, a chunk given back, one that expires, and children", async () => {
    const queue = await start({ leaseMs: 200 });
    const id = await newJob(queue);
    const wait = () => queue.claim(id, { max: 1, waitMs: longMs });
    const forAdded = wait();
    await queue.addChunks(id, [chunk(0, 4)]);
    const [added] = await forAdded;
    const forReleased = wait();
    await queue.release(added!, 0);
    const [released] = await forReleased;
    const forChild = wait();
    await queue.settle(released!, { results: [], children: [chunk(0, 4, 1)] });
    expect((await forChild)[0]).toMatchObject({ attempt: 1, chunk: { deaths: 1 } });
    expect((await wait())[0]).toMatchObject({ attempt: 2 });
  });

  test("claims that wait are served in their order, with no chunk left over", async () => {
    const queue = await start();
    const id = await newJob(queue);
    const served: number[] = [];
    const waiting = Array.from({ length: 8 }, async (_, i) => {
      const leases = await queue.claim(id, { max: 1, waitMs: longMs });
      served.push(i);
      return leases;
    });
    await queue.addChunks(id, chunks(3, 1));
    await queue.addChunks(id, [chunk(3, 1), chunk(4, 1), chunk(5, 1), chunk(6, 1), chunk(7, 1)]);
    expect((await Promise.all(waiting)).flat()).toHaveLength(8);
    expect(served).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test("a claim gives up when its time is over, its job ends, or the queue is closed", async () => {
    const queue = await start();
    const id = await newJob(queue);
    expect(await queue.claim(id, { max: 1, waitMs: 30 })).toEqual([]);
    const atEnd = queue.claim(id, { max: 1, waitMs: longMs });
    await othersAreWaiting(queue, id);
    await queue.setState(id, "done", 1);
    expect(await atEnd).toEqual([]);
    expect(await queue.claim(id, { max: 1, waitMs: longMs })).toEqual([]);
    const other = await newJob(queue);
    const atClose = queue.claim(other, { max: 1, waitMs: longMs });
    await othersAreWaiting(queue, other);
    const justNow = queue.claim(other, { max: 1, waitMs: longMs });
    await queue.close();
    expect([await atClose, await justNow]).toEqual([[], []]);
  });

  test("a claim that is aborted gets nothing and holds no lease", async () => {
    const queue = await start();
    const id = await newJob(queue);
    expect(await queue.claim(id, { max: 1, waitMs: longMs, signal: AbortSignal.abort() })).toEqual([]);

    const whileWaiting = new AbortController();
    const waiting = queue.claim(id, { max: 1, waitMs: longMs, signal: whileWaiting.signal });
    await othersAreWaiting(queue, id);
    whileWaiting.abort();
    expect(await waiting).toEqual([]);

    // Aborted in the same moment in which chunks arrive: two claims wait, and what one does not get the other must.
    const early = new AbortController();
    const late = new AbortController();
    const aborted = queue.claim(id, { max: 5, waitMs: longMs, signal: early.signal });
    const other = queue.claim(id, { max: 5, waitMs: longMs, signal: late.signal });
    const stop = queue.onChange(() => early.abort());
    await queue.addChunks(id, chunks(3, 1));
    const leases = await aborted;
    if (leases.length === 3) late.abort();
    leases.push(...(await other));
    while (leases.length < 3) leases.push(await claimOne(queue, id, longMs));
    stop();
    expect(leases).toHaveLength(3);
    expect(await queue.counts(id)).toEqual({ pending: 0, leased: 3, settled: 0, errors: 0 });
    for (const lease of leases) expect(await settleWhole(queue, lease)).toBe("stored");
    expect(await drain(queue, id)).toBe(0);
  });
}
