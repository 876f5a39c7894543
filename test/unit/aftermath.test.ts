import { describe, expect, test } from "vitest";
import { aftermath } from "../../runtime/agent/aftermath.ts";
import type { Death } from "../../runtime/agent/death.ts";
import { decodeError, encodeValue } from "../../runtime/protocol/codec.ts";
import { packOutcomes, packValues, unpackOutcomes, unpackValues } from "../../runtime/protocol/pack.ts";
import type { Lease, ResultRange } from "../../runtime/queue/mapQueue.ts";
import { checkSettlement } from "../../runtime/queue/settlement.ts";

const token = "t1";

function lease(lo: number, count: number, deaths = 0): Lease {
  const body = packValues(Array.from({ length: count }, (_, i) => encodeValue(lo + i)));
  return { job: "run", chunk: { lo, count, body, deaths }, attempt: 1, token, deadlineMs: 0 };
}

function done(lo: number, count: number): ResultRange {
  const outcomes = Array.from({ length: count }, (_, i) => ({ ok: true, attempts: 1, bytes: encodeValue(lo + i) }));
  return { lo, count, errors: 0, body: packOutcomes(outcomes) };
}

function death(active: number[] | undefined, extra: Partial<Death> & { exact?: boolean } = {}): Death {
  const { exact = true, ...rest } = extra;
  return {
    exitCode: null,
    signal: "SIGKILL",
    killedFor: undefined,
    note: undefined,
    outOfMemory: false,
    journal: { writtenAtMs: 0, exact, slices: new Map(active === undefined ? [] : [[token, active]]) },
    ...rest,
  };
}

/** What becomes of a slice, as text: `r` for results, `e` for errors, `c` for children with their deaths. */
function story(of: Lease, results: ResultRange[], how: Death, retries = 0): string[] {
  const settlement = aftermath({ lease: of, results }, how, retries);
  checkSettlement(of.chunk, settlement);
  const told = [
    ...settlement.results.map(({ lo, count, errors }) => ({ lo, text: `${errors > 0 ? "e" : "r"}${lo}+${count}` })),
    ...settlement.children.map(({ lo, count, deaths = 0 }) => ({ lo, text: `c${lo}+${count}:${deaths}` })),
  ];
  return told.sort((a, b) => a.lo - b.lo).map(({ text }) => text);
}

describe("after the death of its worker, a slice", () => {
  test("blames the input that was being worked on, and gives the rest back as it was", () => {
    expect(story(lease(10, 10), [done(10, 3)], death([14]))).toEqual(["r10+3", "c13+1:0", "c14+1:1", "c15+5:0"]);
  });

  test("blames each of several that were being worked on", () => {
    expect(story(lease(0, 6), [done(1, 1)], death([0, 2, 3]))).toEqual([
      "c0+1:1",
      "r1+1",
      "c2+1:1",
      "c3+1:1",
      "c4+2:0",
    ]);
  });

  test("suspects the rest too when the journal is not exact", () => {
    expect(story(lease(0, 6), [done(0, 2)], death([3], { exact: false }))).toEqual([
      "r0+2",
      "c2+1:1",
      "c3+1:1",
      "c4+2:1",
    ]);
  });

  test("suspects all that is left when it had begun and the journal does not know it", () => {
    expect(story(lease(0, 6), [done(0, 2)], death(undefined))).toEqual(["r0+2", "c2+4:1"]);
  });

  test("that only waited in the worker goes back as it was", () => {
    expect(story(lease(0, 6), [], death(undefined))).toEqual(["c0+6:0"]);
  });

  test.each(["stopped", "cancelled"] as const)("is innocent when the agent ended the worker: %s", (killedFor) => {
    expect(story(lease(0, 6), [done(0, 1)], death([1], { killedFor }))).toEqual(["r0+1", "c1+5:0"]);
  });

  test("of one input is given up at the third death, with how it died", () => {
    expect(story(lease(7, 1, 1), [], death([7]))).toEqual(["c7+1:2"]);
    const { results } = aftermath({ lease: lease(7, 1, 2), results: [] }, death([7]), 0);
    const [outcome] = unpackOutcomes(results[0]!.body);
    expect(outcome).toMatchObject({ ok: false, attempts: 3 });
    expect(decodeError(outcome!.bytes)).toMatchObject({
      code: "worker.killed",
      message: expect.stringContaining("SIGKILL"),
    });
  });

  test("gives up one that took too long at once, or after as many retries as it may", () => {
    const late = death([2], { killedFor: "timeout" });
    expect(story(lease(0, 4), [done(0, 2)], late)).toEqual(["r0+2", "e2+1", "c3+1:0"]);
    expect(story(lease(0, 4), [done(0, 2)], late, 1)).toEqual(["r0+2", "c2+1:1", "c3+1:0"]);
    expect(story(lease(2, 1, 1), [], late, 1)).toEqual(["e2+1"]);
  });

  test("tries each alone when any of several may have held up the worker", () => {
    expect(story(lease(0, 4), [], death([0, 1], { killedFor: "timeout" }))).toEqual(["c0+1:1", "c1+1:1", "c2+2:0"]);
  });

  test("keeps the inputs of its children", () => {
    const { children } = aftermath({ lease: lease(10, 5), results: [] }, death([12]), 0);
    expect(children.map(({ body }) => unpackValues(body).map((value) => Buffer.from(value).toString()))).toEqual([
      ["j10", "j11"],
      ["j12"],
      ["j13", "j14"],
    ]);
  });
});
