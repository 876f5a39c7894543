import { describe, expect, test } from "vitest";
import { BorrowedWork } from "../../runtime/agent/guests/borrowedWork.ts";
import { Lender } from "../../runtime/agent/guests/lender.ts";
import { piece } from "../../runtime/agent/chunks.ts";
import { workMethods } from "../../runtime/protocol/messages/work.ts";
import { unpackValues } from "../../runtime/protocol/pack.ts";
import { passOn } from "../../runtime/protocol/passOn.ts";
import { type Handlers, Peer } from "../../runtime/protocol/rpc.ts";
import type { MapQueue, ResultRange } from "../../runtime/queue/mapQueue.ts";
import { SqliteQueue } from "../../runtime/queue/sqlite.ts";
import { memoryPair } from "../../runtime/transport/memory.ts";
import { chunk, chunks, newJob, result } from "../support/queueData.ts";
import { queueFixture } from "../support/queueFixture.ts";

/** Work of a map on its way from the queue of its home, through a client, to another cluster and back. */
describe("lent work", () => {
  const { start } = queueFixture((dir, options) => SqliteQueue.open(`${dir}/queue.db`, options));

  /** Two ends that talk, the one that asks. */
  function serve(handlers: Handlers<typeof workMethods>) {
    const [near, far] = memoryPair();
    new Peer(far, {}, { methods: workMethods, handlers });
    return new Peer(near, workMethods, { methods: {}, handlers: {} });
  }

  async function lend(queue: MapQueue, run: string) {
    const failed: number[] = [];
    const lender = new Lender(queue, { onInputFailed: (_run, lo) => failed.push(lo), onSaid: () => undefined });
    const home = serve(lender.handlers);
    const messages: string[] = [];
    const client = serve(
      passOn(() => (method, ...rest) => {
        messages.push(method);
        return home.request(method, ...rest);
      }),
    );
    const stored: ResultRange[] = [];
    let ended = false;
    const guest = new BorrowedWork({
      ask: (...asked) => client.request(...asked),
      run,
      cluster: "lab",
      node: 2,
      onEnded: () => (ended = true),
      onStored: (results) => stored.push(...results),
    });
    return { lender, guest, failed, messages, stored, isEnded: () => ended };
  }

  const claim = { max: 10, waitMs: 0 };

  test("is leased with its inputs, and settled with outcomes and children cut at home", async () => {
    const queue = await start();
    const run = await newJob(queue);
    await queue.addChunks(run, [chunk(0, 5), chunk(5, 3)]);
    const { lender, guest, failed, stored } = await lend(queue, run);
    const [first, second] = await guest.claim(run, claim);
    expect(unpackValues(second!.chunk.body).map(String)).toEqual(["input 5", "input 6", "input 7"]);
    expect(await queue.claim(run, claim)).toEqual([]);
    const children = [piece(first!.chunk, 3, 4, 1), piece(first!.chunk, 4, 5)];
    expect(await guest.settle(first!, { results: [result(0, 3, 1)], children })).toBe("stored");
    expect(await guest.settle(first!, { results: [result(0, 5)], children: [] })).toBe("already");
    const again = await queue.claim(run, claim);
    expect(
      again.map(({ chunk: { lo, count, deaths, body } }) => [lo, count, deaths, String(unpackValues(body)[0])]),
    ).toEqual([
      [3, 1, 1, "input 3"],
      [4, 1, 0, "input 4"],
    ]);
    expect(failed).toEqual([0]);
    expect(stored.map(({ lo, count }) => [lo, count])).toEqual([[0, 3]]);
    expect(await lender.parts(run)).toEqual([{ cluster: "lab", node: 2, done: 3, failed: 1, active: 0, replicas: 0 }]);
  });

  test("is settled in one step by outcomes that came in several messages", async () => {
    const queue = await start();
    const run = await newJob(queue);
    await queue.addChunks(run, [chunk(0, 4)]);
    const { guest, messages } = await lend(queue, run);
    const [lease] = await guest.claim(run, claim);
    const large = (lo: number) => result(lo, 1, 0, "x".repeat(9 * 2 ** 20));
    expect(await guest.settle(lease!, { results: [0, 1, 2, 3].map(large), children: [] })).toBe("stored");
    expect(messages).toEqual(["work.claim", "work.put", "work.put", "work.put", "work.settle"]);
    expect(await queue.counts(run)).toMatchObject({ settled: 4, pending: 0, leased: 0 });
  });

  test("comes back when it is released, and when its borrower is known to be gone", async () => {
    const queue = await start();
    const run = await newJob(queue);
    await queue.addChunks(run, chunks(3, 2));
    const { lender, guest } = await lend(queue, run);
    const [first, second, third] = await guest.claim(run, claim);
    await guest.release(first!, 0);
    expect((await queue.claim(run, claim)).map(({ chunk: { lo } }) => lo)).toEqual([0]);
    await lender.takeBack(run, "another");
    expect(await guest.extend(second!)).toBe(true);
    await lender.takeBack(run, "lab");
    expect(await guest.extend(second!)).toBe(false);
    expect((await queue.claim(run, claim)).map(({ chunk: { lo } }) => lo)).toEqual([2, 4]);
    expect(await guest.settle(third!, { results: [result(4, 2)], children: [] })).toBe("already");
  });

  test("is not leased to who has stopped waiting for it, and ends with its map", async () => {
    const queue = await start();
    const run = await newJob(queue);
    const { guest, isEnded } = await lend(queue, run);
    const stop = new AbortController();
    const waiting = guest.claim(run, { max: 1, waitMs: 60_000, signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    await queue.addChunks(run, [chunk(0, 1)]);
    expect((await guest.claim(run, claim)).map(({ chunk: { lo } }) => lo)).toEqual([0]);
    expect(isEnded()).toBe(false);
    const { revision } = (await queue.job(run))!;
    await queue.setState(run, "cancelled", revision);
    expect(await guest.claim(run, claim)).toEqual([]);
    expect(isEnded()).toBe(true);
  });
});
