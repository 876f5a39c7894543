/** What may happen to a broker, its streams and the way to it, while a distributed queue is in use. */
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, headers } from "@nats-io/transport-node";
import { describe, expect, test } from "vitest";
import { packOutcomes, packValues } from "../../runtime/protocol/pack.ts";
import { Connection } from "../../runtime/queue/jetstream/connection.ts";
import { JetStreamQueue, type JetStreamQueueOptions } from "../../runtime/queue/jetstream/queue.ts";
import { sweepWork } from "../../runtime/queue/jetstream/sweep.ts";
import { until } from "../support/home.ts";
import { looseLink } from "../support/loose.ts";
import { sharedBroker } from "../support/natsServer.ts";
import { chunk, chunks, claimOne, drain, newJob, readOutcomes, settleWhole } from "../support/queueData.ts";
import { queueFixture } from "../support/queueFixture.ts";
import { workThrough } from "../support/queueLoad.ts";

const { servers, use } = await sharedBroker();
const longMs = 30_000;
const mebibyte = 1024 ** 2;

/** The broker as whoever looks after it sees it. */
async function manage() {
  const nats = await connect({ servers });
  const manager = await jetstreamManager(nats);
  return {
    publisher: manager.jetstream(),
    streams: manager.streams,
    consumers: manager.consumers,
    [Symbol.asyncDispose]: () => nats.close(),
  };
}

describe("a distributed queue", () => {
  const open = async (dir: string, limits?: Partial<JetStreamQueueOptions>): Promise<JetStreamQueue> => {
    await use(dir);
    return JetStreamQueue.open({ servers, ...limits });
  };
  const { start, newDir } = queueFixture(open);

  test("goes on over a link that is cut again and again", async () => {
    const link = await looseLink(servers[0]!);
    const dir = newDir();
    const limits = { servers: [link.server], leaseMs: 1_000 } as Partial<JetStreamQueueOptions>;
    const queues = [await start(limits, dir), await start(limits, dir)];
    const id = await newJob(queues[0]!);
    let cuts = 0;
    const cutting = setInterval(() => {
      link.cut();
      cuts++;
    }, 500);
    try {
      await workThrough(queues, id, 600);
    } finally {
      clearInterval(cutting);
      await Promise.all(queues.map((queue) => queue.close()));
      await link.close();
    }
    expect(cuts).toBeGreaterThan(2);
  });

  test("recovers consumers that are deleted under a claim that waits and a lease that is held", async () => {
    const queue = await start();
    const id = await newJob(queue);
    await queue.addChunks(id, [chunk(0, 1)]);
    const held = await claimOne(queue, id);
    const waiting = claimOne(queue, id, longMs);
    await using manager = await manage();
    for await (const { name } of manager.consumers.list("WORK")) await manager.consumers.delete("WORK", name);
    expect(await settleWhole(queue, held)).toBe("stored");
    await queue.addChunks(id, [chunk(1, 1)]);
    await settleWhole(queue, await waiting);
    // The consumer that held the first lease is gone, and the chunk with it: settled, it is not worked again.
    await drain(queue, id);
    expect(await queue.counts(id)).toEqual({ pending: 0, leased: 0, settled: 2, errors: 0 });
    await expect.poll(async () => (await manager.streams.info("WORK")).state.messages).toBe(0);
  });

  test("makes a consumer anew that gives nothing though it has something", async () => {
    const queue = await start({ leaseMs: 500 });
    const id = await newJob(queue);
    await using manager = await manage();
    for await (const { name } of manager.consumers.list("WORK"))
      await manager.consumers.pause("WORK", name, new Date(Date.now() + 3_600_000));
    await queue.addChunks(id, [chunk(0, 1)]);
    await settleWhole(queue, await claimOne(queue, id, longMs));
    expect(await queue.counts(id)).toMatchObject({ settled: 1 });
  });

  test("says that inputs are lost when the stream of work is, and not while there are none or others have them", async () => {
    const dir = newDir();
    const [queue, other] = [await start({ leaseMs: 500 }, dir), await start({ leaseMs: 500 }, dir)];
    const id = await newJob(queue);
    const claim = (waitMs: number) => queue.claim(id, { max: 1, waitMs });
    // As a map does: claims that follow each other, each shorter than what it takes to be starved.
    const starve = async () => {
      for (let i = 0; i < 8; i++) expect(await claim(300)).toEqual([]);
    };
    await starve();
    await queue.addChunks(id, [chunk(0, 2), chunk(2, 2)]);
    await settleWhole(queue, await claimOne(queue, id, longMs));
    const held = await claimOne(other, id, longMs);
    const extending = setInterval(() => void other.extend(held), 100);
    await starve();
    clearInterval(extending);
    await settleWhole(other, held);
    await starve();
    await queue.addChunks(id, [chunk(4, 2)]);
    await using manager = await manage();
    await manager.streams.delete("WORK");
    await expect(async () => {
      for (;;) await claim(300);
    }).rejects.toMatchObject({ code: "queue.corrupt" });
    // Others are there again.
    await queue.addChunks(id, [chunk(6, 2)]);
    await settleWhole(queue, await claimOne(queue, id, longMs));
  });

  test("works a chunk once that is stored again when the broker has forgotten it", async () => {
    const queue = await start({ duplicateWindowMs: 1_000 } as Partial<JetStreamQueueOptions>);
    const id = await newJob(queue);
    await queue.addChunks(id, chunks(2, 3));
    await using manager = await manage();
    const repeat = async (): Promise<void> => {
      for (const message of messages) {
        if (!message) throw new Error("The work is not there.");
        const head = headers();
        for (const key of message.header.keys()) head.set(key, message.header.get(key));
        await manager.publisher.publish(message.subject, message.data, { headers: head });
      }
    };
    const messages = await Promise.all([1, 2].map((seq) => manager.streams.getMessage("WORK", { seq })));
    await repeat();
    expect((await manager.streams.info("WORK")).state.messages).toBe(2);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await repeat();
    expect((await manager.streams.info("WORK")).state.messages).toBe(4);
    const leases = await queue.claim(id, { max: 9, waitMs: longMs });
    expect(leases.map(({ chunk: { lo } }) => lo)).toEqual([0, 3, 0, 3]);
    const became = await Promise.all(leases.map((lease) => settleWhole(queue, lease)));
    expect(became).toEqual(["stored", "stored", "already", "already"]);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await repeat();
    expect(await drain(queue, id)).toBe(0);
    expect(await readOutcomes(queue, id, { order: "index" })).toHaveLength(2);
    await expect.poll(async () => (await manager.streams.info("WORK")).state.messages).toBe(0);
  });

  test("reads everything anew when its streams have another beginning", async () => {
    const dir = newDir();
    const [queue, other] = [await start({}, dir), await start({}, dir)];
    const gone = await newJob(queue);
    await queue.addChunks(gone, chunks(3, 1));
    await drain(queue, gone);
    const query = { order: "settled", from: 0, limit: 9, limitBytes: mebibyte } as const;
    const { epoch } = await queue.outcomes(gone, query);
    await using manager = await manage();
    for await (const { config } of manager.streams.list()) await manager.streams.delete(config.name);
    await expect.poll(() => queue.job(gone), { timeout: 10_000 }).toBeUndefined();
    await expect.poll(() => other.job(gone), { timeout: 10_000 }).toBeUndefined();
    const id = await newJob(queue);
    await queue.addChunks(id, chunks(2, 2));
    expect(await drain(other, id)).toBe(2);
    await expect.poll(async () => (await queue.outcomes(id, query)).ranges.length).toBe(2);
    expect((await queue.outcomes(id, query)).epoch).not.toBe(epoch);
  });

  test("reads nothing of the outcomes that its stream had before it began anew", async () => {
    const dir = newDir();
    const limits = { duplicateWindowMs: 100 } as Partial<JetStreamQueueOptions>;
    const [queue, other] = [await start(limits, dir), await start(limits, dir)];
    const id = await newJob(queue);
    const outcome = async (text: string) => {
      await queue.addChunks(id, [chunk(0, 1)]);
      await settleWhole(queue, await claimOne(queue, id, longMs), text);
      const [read] = await until(
        () => readOutcomes(other, id, { order: "index" }),
        (all) => all.length > 0,
      );
      return Buffer.from(read!.body).toString();
    };
    expect(await outcome("before")).toContain("before");
    await using manager = await manage();
    await manager.streams.delete("RES");
    for (const each of [queue, other])
      await expect.poll(async () => (await each.job(id))?.accepted, { timeout: 10_000 }).toBe(0);
    expect(await outcome("afterwards")).toContain("afterwards");
  });

  test("gives all outcomes of a job that is done, also those that come after the word that it is", async () => {
    const dir = newDir();
    const [queue, other] = [await start({}, dir), await start({}, dir)];
    const id = await newJob(queue);
    await queue.addChunks(id, chunks(2, 1));
    await settleWhole(queue, await claimOne(queue, id, longMs));
    await queue.closeInput(id, 2);
    await queue.setState(id, "done", 1);
    const reading = readOutcomes(other, id, { order: "index" });
    await new Promise((resolve) => setTimeout(resolve, 500));
    await using manager = await manage();
    const { subjects = {} } = (await manager.streams.info("RES", { subjects_filter: "r.>" })).state;
    const [stored] = Object.keys(subjects).filter((subject) => subject.includes(id));
    const message = await manager.streams.getMessage("RES", { last_by_subj: stored! });
    const missing = stored!.endsWith(".0-0") ? "1-0" : "0-0";
    await manager.publisher.publish(stored!.replace(/\d+-0$/, missing), message!.data, { headers: message!.header });
    expect((await reading).map(({ lo }) => lo)).toEqual([0, 1]);
  });

  test("fetches what is too large for a message once for all that is read of it", async () => {
    const queue = await start();
    const id = await newJob(queue);
    const count = 40;
    await queue.addChunks(id, [chunk(0, count)]);
    const bodyOf = (lo: number) => packOutcomes([{ ok: true, attempts: 1, bytes: Buffer.alloc(30_000, `${lo}`) }]);
    const results = Array.from({ length: count }, (_, lo) => ({ lo, count: 1, errors: 0, body: bodyOf(lo) }));
    await queue.settle(await claimOne(queue, id, longMs), { results, children: [] });
    const nats = await connect({ servers });
    let fetched = 0;
    nats.subscribe("$JS.API.DIRECT.GET.BLOB.>", { callback: () => void fetched++ });
    await nats.flush();
    for (const limit of [1, 7]) {
      const read = await readOutcomes(queue, id, { order: "index", limit });
      const bodies = [read, results].map((ranges) => Buffer.concat(ranges.map(({ body }) => body)));
      expect(bodies[0]!.equals(bodies[1]!)).toBe(true);
    }
    // Its 1.2 MB are three pieces.
    await expect.poll(() => fetched).toBe(3);
    await nats.close();
  });

  test("keeps inputs and outcomes that are larger than a message", async () => {
    const dir = newDir();
    const [queue, other] = [await start({}, dir), await start({}, dir)];
    const id = await newJob(queue);
    const large = (seed: number): Buffer => Buffer.alloc(0.7 * mebibyte, `value ${seed}`);
    const body = packValues([large(0), large(1), large(2)]);
    await queue.addChunks(id, [{ lo: 0, count: 3, body }, chunk(3, 1)]);
    const leases = await other.claim(id, { max: 2, waitMs: longMs });
    expect(Buffer.compare(leases[0]!.chunk.body, body)).toBe(0);
    const results = [0, 2].map((lo) => ({
      lo,
      count: 1,
      errors: 0,
      body: packOutcomes([{ ok: true, attempts: 1, bytes: large(lo + 10) }]),
    }));
    const child = { lo: 1, count: 1, body: packValues([large(1)]) };
    expect(await other.settle(leases[0]!, { results, children: [child] })).toBe("stored");
    await settleWhole(other, leases[1]!);
    const rest = await claimOne(queue, id, longMs);
    expect(Buffer.compare(rest.chunk.body, child.body)).toBe(0);
    await settleWhole(queue, rest);
    const read = await readOutcomes(queue, id, { order: "index" });
    expect(read.map(({ lo }) => lo)).toEqual([0, 1, 2, 3]);
    for (const { lo, body } of results) expect(Buffer.compare(read[lo]!.body, body)).toBe(0);
    await using manager = await manage();
    expect((await manager.streams.info("BLOB")).state.messages).toBeGreaterThan(0);
    await queue.setState(id, "done", 1);
    await queue.deleteJob(id);
    for (const stream of ["WORK", "RES", "BLOB"])
      expect((await manager.streams.info(stream)).state.messages, stream).toBe(0);
  });

  test("never says that an outcome is stored which did not fit", async () => {
    const queue = await start({ maxOutcomeBytes: 40_000, leaseMs: 300 } as Partial<JetStreamQueueOptions>);
    const id = await newJob(queue);
    const old = await newJob(queue);
    const bytes = Buffer.alloc(30_000, "x");
    const large = { lo: 0, count: 1, errors: 0, body: packOutcomes([{ ok: true, attempts: 1, bytes }]) };
    await queue.addChunks(old, [chunk(0, 1)]);
    await queue.settle(await claimOne(queue, old), { results: [large], children: [] });
    await queue.setState(old, "done", 1);
    await queue.addChunks(id, [chunk(0, 1)]);
    const full = { code: "disk.full", retryable: true };
    const lease = await claimOne(queue, id);
    await expect(queue.settle(lease, { results: [large], children: [] })).rejects.toMatchObject(full);
    expect(await queue.counts(id)).toMatchObject({ settled: 0 });
    await queue.deleteJob(old);
    const again = await claimOne(queue, id, longMs);
    expect(again.attempt).toBeGreaterThan(1);
    expect(await queue.settle(again, { results: [large], children: [] })).toBe("stored");
    expect(await queue.settle(lease, { results: [large], children: [] })).toBe("already");
  });

  test("finds the work of jobs that are over, whoever left it there", async () => {
    const queue = await start();
    const [live, over] = [await newJob(queue), await newJob(queue)];
    for (const id of [live, over]) await queue.addChunks(id, chunks(3, 1));
    const connection = await Connection.open({ servers });
    await sweepWork(connection, async (id) => id === live);
    await connection.close();
    await using manager = await manage();
    const { state } = await manager.streams.info("WORK", { subjects_filter: ">" });
    expect(Object.keys(state.subjects ?? {})).toEqual([expect.stringContaining(live)]);
    expect((await manager.streams.info("WORK")).state.consumer_count).toBe(2);
    expect(await drain(queue, live)).toBe(3);
  });
});
