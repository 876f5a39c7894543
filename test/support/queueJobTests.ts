import { expect, test } from "vitest";
import { newRunId } from "../../runtime/spec/names.ts";
import { chunk, chunks, claimOne, drain, newJob, readOutcomes, settleWhole } from "./queueData.ts";
import { type OpenQueue, queueFixture } from "./queueFixture.ts";

/** Jobs, their inputs and their states. */
export function queueJobTests(open: OpenQueue): void {
  const { newDir, start } = queueFixture(open);

  test("a job that is created twice is one job", async () => {
    const queue = await start();
    const id = await newJob(queue);
    const again = await queue.createJob({ id, spec: "{}", createdAtMs: 2_000 });
    expect(again).toEqual({
      id,
      spec: `{"of":"${id}"}`,
      createdAtMs: 1_000,
      state: "run",
      revision: 1,
      total: undefined,
      accepted: 0,
    });
    const { spec: _, accepted: __, note: ___, ...head } = again;
    expect(await queue.jobs()).toEqual([head]);
    expect(await queue.head(id)).toEqual(head);
    await queue.setState(id, "pause", 1);
    expect(await queue.head(id)).toEqual({ ...head, state: "pause", revision: 2 });
    expect(await queue.head(newRunId())).toBeUndefined();
  });

  test("jobs are listed oldest first", async () => {
    const queue = await start();
    const late = await newJob(queue, 3_000);
    const early = await newJob(queue, 1_000);
    const between = await newJob(queue, 2_000);
    expect((await queue.jobs()).map(({ id }) => id)).toEqual([early, between, late]);
  });

  test("a job that does not exist is undefined or refused as unknown", async () => {
    const queue = await start();
    const id = "aaaaaaaaa-bbbbbbb";
    const unknown = { code: "run.unknown" };
    expect(await queue.job(id)).toBeUndefined();
    await expect(queue.addChunks(id, [chunk(0, 1)])).rejects.toMatchObject(unknown);
    await expect(queue.closeInput(id, 0)).rejects.toMatchObject(unknown);
    await expect(queue.setState(id, "pause", 1)).rejects.toMatchObject(unknown);
    await expect(queue.claim(id, { max: 1, waitMs: 0 })).rejects.toMatchObject(unknown);
    await expect(queue.counts(id)).rejects.toMatchObject(unknown);
    await expect(readOutcomes(queue, id, { order: "index" })).rejects.toMatchObject(unknown);
    await queue.deleteJob(id);
  });

  test("chunks that came before their turn are known, so that whoever sends the rest leaves them out", async () => {
    const queue = await start();
    const id = await newJob(queue);
    await queue.addChunks(id, [chunk(0, 10), chunk(40, 1), chunk(20, 5)]);
    expect(await queue.storedFrom(id, 10, 100)).toEqual([
      { lo: 20, count: 5 },
      { lo: 40, count: 1 },
    ]);
    expect(await queue.storedFrom(id, 0, 2)).toEqual([
      { lo: 0, count: 10 },
      { lo: 20, count: 5 },
    ]);
    await expect(queue.storedFrom("aaaaaaaaa-bbbbbbb", 0, 1)).rejects.toMatchObject({ code: "run.unknown" });
  });

  test("accepted counts inputs without gaps while chunks come in any order", async () => {
    const queue = await start();
    const id = await newJob(queue);
    const accepted = async (): Promise<number | undefined> => (await queue.job(id))?.accepted;
    await queue.addChunks(id, [chunk(20, 5), chunk(10, 10)]);
    expect(await accepted()).toBe(0);
    await queue.addChunks(id, [chunk(40, 1)]);
    await queue.addChunks(id, [chunk(0, 10)]);
    expect(await accepted()).toBe(25);
    await queue.addChunks(id, [chunk(25, 15)]);
    expect(await accepted()).toBe(41);
    expect(await queue.counts(id)).toEqual({ pending: 41, leased: 0, settled: 0, errors: 0 });
  });

  test("a chunk sent again is left alone, whether it waits, is leased, split or settled", async () => {
    const queue = await start();
    const id = await newJob(queue);
    const sent = chunks(4, 3);
    const sendAgain = (): Promise<void> => queue.addChunks(id, [...sent, sent[1]!]);
    await sendAgain();
    await sendAgain();
    const whole = await claimOne(queue, id);
    await sendAgain();
    await settleWhole(queue, whole);
    await sendAgain();
    const split = await claimOne(queue, id);
    await queue.settle(split, { results: [], children: [chunk(3, 1), chunk(4, 2)] });
    await sendAgain();
    expect(await queue.counts(id)).toEqual({ pending: 9, leased: 0, settled: 3, errors: 0 });
    expect(await drain(queue, id)).toBe(4);
    await sendAgain();
    expect(await queue.counts(id)).toEqual({ pending: 0, leased: 0, settled: 12, errors: 0 });
    expect(await queue.job(id)).toMatchObject({ accepted: 12 });
  });

  test("inputs that overlap those stored are refused, also when those are settled", async () => {
    const queue = await start();
    const id = await newJob(queue);
    await queue.addChunks(id, [chunk(10, 10), chunk(40, 10)]);
    await drain(queue, id);
    const overlaps = [
      chunk(10, 5),
      chunk(10, 11),
      chunk(19, 1),
      chunk(5, 6),
      chunk(5, 20),
      chunk(30, 30),
      chunk(49, 9),
    ];
    for (const one of overlaps)
      await expect(queue.addChunks(id, [one])).rejects.toMatchObject({ code: "run.mismatch" });
    await expect(queue.addChunks(id, [chunk(0, 3), chunk(2, 3)])).rejects.toMatchObject({ code: "run.mismatch" });
    await queue.addChunks(id, [chunk(0, 10), chunk(20, 20), chunk(50, 1)]);
    expect(await queue.job(id)).toMatchObject({ accepted: 51 });
  });

  test("a chunk that makes no sense is refused", async () => {
    const queue = await start();
    const id = await newJob(queue);
    for (const wrong of [{ lo: -1 }, { lo: 0.5 }, { count: 0 }, { count: 1.5 }, { deaths: -1 }]) {
      await expect(queue.addChunks(id, [{ ...chunk(0, 1), ...wrong }])).rejects.toMatchObject({
        code: "input.invalid",
      });
    }
    expect(await queue.counts(id)).toMatchObject({ pending: 0 });
  });

  test("an input without a body of its own is kept", async () => {
    const queue = await start();
    const id = await newJob(queue);
    await queue.addChunks(id, [{ lo: 0, count: 1, body: new Uint8Array(0) }]);
    expect((await claimOne(queue, id)).chunk.body).toHaveLength(0);
  });

  test("closed input says how many there are and takes no more", async () => {
    const queue = await start();
    const id = await newJob(queue);
    await queue.addChunks(id, chunks(2, 5));
    await queue.closeInput(id, 10);
    await queue.closeInput(id, 10);
    expect(await queue.job(id)).toMatchObject({ total: 10, accepted: 10 });
    await expect(queue.closeInput(id, 11)).rejects.toMatchObject({ code: "run.mismatch" });
    await expect(queue.addChunks(id, [chunk(10, 1)])).rejects.toMatchObject({ code: "run.state" });
  });

  test("input with a gap, or of another length, cannot be closed", async () => {
    const queue = await start();
    const id = await newJob(queue);
    await queue.addChunks(id, [chunk(0, 5), chunk(6, 4)]);
    for (const total of [0, 5, 9, 10, 11]) {
      await expect(queue.closeInput(id, total)).rejects.toMatchObject({ code: "run.mismatch" });
    }
    await queue.addChunks(id, [chunk(5, 1)]);
    await queue.closeInput(id, 10);
    const empty = await newJob(queue);
    await queue.closeInput(empty, 0);
    expect(await queue.job(empty)).toMatchObject({ total: 0 });
  });

  test("too much waiting work is refused until some is done, and none is lost", async () => {
    const queue = await start({ maxPendingBytes: 20_000 });
    const id = await newJob(queue);
    let refused = 0;
    let settled = 0;
    const send = async (): Promise<void> => {
      for (let i = 0; i < 400;) {
        try {
          await queue.addChunks(id, [chunk(i * 10, 10)]);
          i++;
        } catch (error) {
          expect(error).toMatchObject({ code: "queue.back-pressure", retryable: true });
          refused++;
          await settleSome();
        }
      }
    };
    const settleSome = async (): Promise<void> => {
      const leases = await queue.claim(id, { max: 20, waitMs: 0 });
      await Promise.all(leases.map((lease) => settleWhole(queue, lease)));
      settled += leases.length;
    };
    await send();
    expect(refused).toBeGreaterThan(0);
    settled += await drain(queue, id);
    expect(settled).toBe(400);
    expect(await queue.counts(id)).toEqual({ pending: 0, leased: 0, settled: 4000, errors: 0 });
  });

  test("a chunk larger than all waiting work may be gets in when nothing waits", async () => {
    const queue = await start({ maxPendingBytes: 100 });
    const id = await newJob(queue);
    await queue.addChunks(id, [chunk(0, 50)]);
    await expect(queue.addChunks(id, [chunk(50, 1)])).rejects.toMatchObject({ code: "queue.back-pressure" });
    await drain(queue, id);
    await queue.addChunks(id, [chunk(50, 1)]);
  });

  test("a job changes state only from the revision that the caller knows", async () => {
    const queue = await start();
    const id = await newJob(queue);
    expect(await queue.setState(id, "pause", 1)).toBe(2);
    await expect(queue.setState(id, "cancelled", 1)).rejects.toMatchObject({ code: "run.state" });
    expect(await queue.job(id)).toMatchObject({ state: "pause", revision: 2 });
    const both = await Promise.allSettled([queue.setState(id, "run", 2), queue.setState(id, "failed", 2)]);
    expect(both.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect(await queue.job(id)).toMatchObject({ state: "run", revision: 3 });
  });

  test("what was said of a job's state stays with it until the next one, also for the process after", async () => {
    const dir = newDir();
    const queue = await start({}, dir);
    const id = await newJob(queue);
    expect((await queue.job(id))!.note).toBeUndefined();
    await queue.setState(id, "pause", 1, "for now");
    expect((await queue.job(id))!.note).toBe("for now");
    await queue.setState(id, "run", 2);
    expect((await queue.job(id))!.note).toBeUndefined();
    await expect(queue.setState(id, "failed", 2, "too late")).rejects.toMatchObject({ code: "run.state" });
    await queue.setState(id, "failed", 3, "it's \u2026 so");
    await expect(queue.setState(id, "done", 4, "after all")).rejects.toMatchObject({ code: "run.state" });
    await queue.close();
    const after = await start({}, dir);
    expect(await after.job(id)).toMatchObject({ state: "failed", note: "it's \u2026 so" });
    await after.deleteJob(id);
    expect((await after.createJob({ id, spec: "{}", createdAtMs: 1 })).note).toBeUndefined();
  });

  test("a refused write fails alone among those of the same moment", async () => {
    const queue = await start();
    const id = await newJob(queue);
    const writes = await Promise.allSettled([
      queue.addChunks(id, [chunk(0, 1)]),
      queue.setState(id, "pause", 7),
      queue.addChunks(id, [chunk(0, 2)]),
      queue.addChunks(id, [chunk(1, 1)]),
      queue.createJob({ id: "ccccccccc-ddddddd", spec: "{}", createdAtMs: 1 }),
    ]);
    expect(writes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "fulfilled", "fulfilled"]);
    expect(await queue.job(id)).toMatchObject({ accepted: 2, state: "run" });
    expect(await queue.counts(id)).toMatchObject({ pending: 2 });
  });

  for (const state of ["done", "failed", "cancelled"] as const) {
    test(`a job that is ${state} has no work, keeps its outcomes and never changes again`, async () => {
      const queue = await start();
      const id = await newJob(queue);
      await queue.addChunks(id, chunks(10, 2));
      await settleWhole(queue, await claimOne(queue, id));
      const leased = await claimOne(queue, id);
      const [revision, became] = await Promise.all([queue.setState(id, state, 1), settleWhole(queue, leased)]);
      expect(became).toBe("already");

      const counts = { pending: 0, leased: 0, settled: 2, errors: 0 };
      expect(await queue.counts(id)).toEqual(counts);
      expect(await queue.claim(id, { max: 10, waitMs: 0 })).toEqual([]);
      expect(await queue.extend(leased)).toBe(false);
      await queue.release(leased, 0);
      expect(await settleWhole(queue, leased)).toBe("already");
      const refused = { code: "run.state" };
      await expect(queue.addChunks(id, [chunk(20, 1)])).rejects.toMatchObject(refused);
      await expect(queue.closeInput(id, 20)).rejects.toMatchObject(refused);
      for (const next of ["run", "done", "cancelled"] as const) {
        await expect(queue.setState(id, next, revision)).rejects.toMatchObject(refused);
      }
      expect(await queue.counts(id)).toEqual(counts);
      expect(await queue.job(id)).toMatchObject({ state, revision: 2, accepted: 20 });
      expect(await readOutcomes(queue, id, { order: "index" })).toMatchObject([{ lo: 0, count: 2 }]);
    });
  }

  test("a deleted job is gone, and its id can begin anew", async () => {
    const queue = await start();
    const id = await newJob(queue);
    const other = await newJob(queue);
    await queue.addChunks(id, chunks(5, 2));
    await queue.addChunks(other, chunks(5, 2));
    await drain(queue, other);
    await settleWhole(queue, await claimOne(queue, id));
    const leased = await claimOne(queue, id);
    await expect(queue.deleteJob(id)).rejects.toMatchObject({ code: "run.state" });
    await queue.setState(id, "cancelled", 1);
    await queue.deleteJob(id);
    expect(await queue.job(id)).toBeUndefined();
    expect((await queue.jobs()).map((job) => job.id)).toEqual([other]);

    await queue.createJob({ id, spec: "new", createdAtMs: 5_000 });
    expect(await queue.job(id)).toMatchObject({ spec: "new", state: "run", revision: 1, accepted: 0 });
    expect(await readOutcomes(queue, id, { order: "index" })).toEqual([]);
    await queue.addChunks(id, chunks(5, 2));
    expect(await settleWhole(queue, leased)).toBe("already");
    expect(await drain(queue, id)).toBe(5);
    expect(await readOutcomes(queue, other, { order: "index" })).toHaveLength(5);
  });

  test("changes of work, outcomes and state are told until the listener stops", async () => {
    const queue = await start();
    const id = await newJob(queue);
    const told: string[] = [];
    const expectTold = async (change: Promise<unknown>): Promise<void> => {
      told.length = 0;
      await change;
      await expect.poll(() => told).toContain(id);
    };
    const stop = queue.onChange((job) => told.push(job));
    await expectTold(queue.addChunks(id, chunks(2, 2)));
    const lease = await claimOne(queue, id);
    await expectTold(settleWhole(queue, lease));
    await expectTold(queue.closeInput(id, 4));
    await expectTold(queue.setState(id, "pause", 1));
    stop();
    const other = queue.onChange(() => {});
    told.length = 0;
    await queue.setState(id, "run", 2);
    await drain(queue, id);
    expect(told).toEqual([]);
    other();
  });

  test("everything stored is there after the queue was closed and opened again", async () => {
    const dir = newDir();
    const first = await start({}, dir);
    const id = await newJob(first);
    const ended = await newJob(first, 2_000);
    await first.addChunks(id, [chunk(0, 4), chunk(4, 4), chunk(8, 4), chunk(20, 4)]);
    await first.settle(await claimOne(first, id), { results: [], children: [chunk(0, 1, 2), chunk(1, 3)] });
    await settleWhole(first, await claimOne(first, id), "kept", 1);
    await first.setState(ended, "failed", 1);
    const jobs = await first.jobs();
    const job = await first.job(id);
    const counts = await first.counts(id);
    const outcomes = await readOutcomes(first, id, { order: "index" });
    await first.close();
    await first.close();
    await expect(first.addChunks(id, [chunk(12, 4)])).rejects.toMatchObject({ code: "agent.stopping" });

    const second = await start({}, dir);
    expect(await second.jobs()).toEqual(jobs);
    expect(await second.job(id)).toEqual(job);
    expect(await second.counts(id)).toEqual(counts);
    expect(await readOutcomes(second, id, { order: "index" })).toEqual(outcomes);
    await second.addChunks(id, [chunk(0, 4), chunk(12, 8)]);
    expect(await second.job(id)).toMatchObject({ accepted: 24 });
    expect(await drain(second, id)).toBe(5);
    expect(await second.counts(id)).toEqual({ pending: 0, leased: 0, settled: 24, errors: 1 });
  });
}
