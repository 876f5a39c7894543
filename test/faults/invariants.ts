import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { TestFleet } from "../support/fleet.ts";
import { until } from "../support/home.ts";
import type { FaultyMap } from "./faultyMap.ts";

/**
 * What has to be true after every fault:
 * - whoever read along was given each input once, in order and right, without a gap or a repeat;
 * - whoever reads later is given the same;
 * - a map that has ended stays as it is;
 * - when the cluster is taken down nothing is left on any machine that can be reached;
 * - every wait ends, by what it waits for or by its bound.
 */
const readWithinMs = 120_000;

export async function checkInvariants(
  fleet: TestFleet,
  map: FaultyMap,
  { endsWithinMs = readWithinMs } = {},
): Promise<void> {
  await within(endsWithinMs, "the map's end", map.read, () => stateOf(fleet, map));
  process.stdout.write(`${map.inputs} inputs, read with a longest pause of ${Math.round(map.longestGapMs)} ms\n`);
  checkOutcomes(map.seen, map.inputs);
  await checkLaterReader(fleet, map);
  await checkStaysEnded(fleet, map);
  await checkNothingLeft(fleet);
}

function checkOutcomes(seen: readonly { index: number; value: unknown }[], inputs: number): void {
  // Compared by number first: a list of all indices says little when one is wrong.
  const misplaced = seen.findIndex(({ index }, at) => index !== at);
  expect(misplaced === -1 ? "each in its place" : `${seen[misplaced]!.index} came as number ${misplaced}`).toBe(
    "each in its place",
  );
  expect(seen.length).toBe(inputs);
  const wrong = seen.filter(({ index, value }) => !Array.isArray(value) || value[0] !== index * 3);
  expect(wrong.slice(0, 5)).toEqual([]);
}

async function checkLaterReader(fleet: TestFleet, map: FaultyMap): Promise<void> {
  const cluster = fleet.open();
  const seen: { index: number; value: unknown }[] = [];
  const read = async (): Promise<void> => {
    const run = await cluster.runs.open(map.id);
    for await (const outcome of run.outcomes({ follow: false }))
      seen.push({ index: outcome.index, value: "value" in outcome ? outcome.value : outcome.error });
    expect(run.record).toMatchObject({ state: "done", done: map.inputs, failed: 0, total: map.inputs, error: null });
  };
  await within(readWithinMs, "reading all outcomes again", read());
  checkOutcomes(seen, map.inputs);
  expect(seen.map(({ value }) => (value as unknown[])[1])).toEqual(
    map.seen.map(({ value }) => (value as unknown[])[1]),
  );
}

async function checkStaysEnded(fleet: TestFleet, map: FaultyMap): Promise<void> {
  const cluster = fleet.open();
  const run = await cluster.runs.open(map.id);
  await run.cancel();
  await run.resume();
  expect(run.record).toMatchObject({ state: "done", done: map.inputs });
  await until(
    async () => (await cluster.status())?.nodes.flatMap(({ maps }) => maps),
    (maps) => maps?.length === 0,
    20_000,
  );
}

async function checkNothingLeft(fleet: TestFleet): Promise<void> {
  const isWhole = fleet.machines.every(({ isUp }) => isUp);
  const down = await fleet.cli(["down", "lab", ...(isWhole ? [] : ["--force"])], { timeoutMs: 90_000 });
  expect(down).toMatchObject({ status: 0 });
  expect(fleet.farcallProcesses()).toEqual([]);
  for (const machine of fleet.machines.filter(({ isUp }) => isUp))
    expect(await machine.do(`ls -A ${machine.home}`)).not.toMatch(/farcall/);
}

/** Rejects when it takes longer, and says how things stand then. */
async function within<T>(
  ms: number,
  what: string,
  promise: Promise<T>,
  look: () => Promise<string> = async () => "",
): Promise<T> {
  const timer = new AbortController();
  try {
    const inTime = promise.then((value) => ({ value }));
    const first = await Promise.race([inTime, sleep(ms, undefined, { signal: timer.signal })]);
    if (first) return first.value;
  } finally {
    timer.abort();
  }
  throw new Error(`Waited ${ms} ms for ${what}. ${await look()}`);
}

async function stateOf(fleet: TestFleet, map: FaultyMap): Promise<string> {
  const read = `${map.seen.length} of ${map.inputs} were read.`;
  const cluster = fleet.open();
  const look = Promise.all([cluster.status(), cluster.runs.open(map.id)]).then(([status, { record }]) => {
    const nodes = status?.nodes.map(({ number, replicas, maps }) => ({ number, replicas, maps }));
    return JSON.stringify({ record, nodes });
  });
  const said = await Promise.race([look.catch(String), sleep(10_000, "The cluster does not answer.")]);
  return `${read} ${said}\n${fleet.farcallProcesses().join("\n")}`;
}
