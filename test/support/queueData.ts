/** Jobs, chunks and outcomes for tests of queues, and what reads and settles them. */
import { packOutcomes, packValues } from "../../runtime/protocol/pack.ts";
import type {
  Lease,
  MapQueue,
  NewChunk,
  OutcomeQuery,
  OutcomeRecord,
  ResultRange,
} from "../../runtime/queue/mapQueue.ts";
import { newRunId, type RunId } from "../../runtime/spec/names.ts";

export async function newJob(queue: MapQueue, createdAtMs = 1_000): Promise<RunId> {
  const id = newRunId();
  await queue.createJob({ id, spec: `{"of":"${id}"}`, createdAtMs });
  return id;
}

export function chunk(lo: number, count: number, deaths?: number): NewChunk {
  const values = Array.from({ length: count }, (_, i) => Buffer.from(`input ${lo + i}`));
  return { lo, count, body: packValues(values), ...(deaths === undefined ? {} : { deaths }) };
}

/** Chunks of `each` inputs, from index 0. */
export function chunks(number: number, each: number): NewChunk[] {
  return Array.from({ length: number }, (_, i) => chunk(i * each, each));
}

export function result(lo: number, count: number, errors = 0, text = "outcome"): ResultRange {
  const outcomes = Array.from({ length: count }, (_, i) => ({
    ok: i >= errors,
    attempts: 1,
    bytes: Buffer.from(`${text} ${lo + i}`),
  }));
  return { lo, count, errors, body: packOutcomes(outcomes) };
}

/** Settles a whole chunk with one result. */
export function settleWhole(queue: MapQueue, lease: Lease, text?: string, errors = 0): Promise<"stored" | "already"> {
  const { lo, count } = lease.chunk;
  return queue.settle(lease, { results: [result(lo, count, errors, text)], children: [] });
}

/** One lease, which must be there at once. */
export async function claimOne(queue: MapQueue, job: RunId, waitMs = 0): Promise<Lease> {
  const [lease] = await queue.claim(job, { max: 1, waitMs });
  if (lease === undefined) throw new Error(`Nothing to lease in ${job}.`);
  return lease;
}

/** Settles everything that can be leased; returns how many chunks that were. */
export async function drain(queue: MapQueue, job: RunId): Promise<number> {
  let settled = 0;
  for (;;) {
    const leases = await queue.claim(job, { max: 64, waitMs: 0 });
    if (leases.length === 0) return settled;
    await Promise.all(leases.map((lease) => settleWhole(queue, lease)));
    settled += leases.length;
  }
}

/** Reads on from `from`, a page at a time, until a page is empty. */
export async function readOutcomes(
  queue: MapQueue,
  job: RunId,
  query: Pick<OutcomeQuery, "order"> & Partial<OutcomeQuery>,
): Promise<OutcomeRecord[]> {
  const all: OutcomeRecord[] = [];
  let from = query.from ?? 0;
  for (;;) {
    const { ranges } = await queue.outcomes(job, { limit: 100, limitBytes: 1 << 20, ...query, from });
    const last = ranges.at(-1);
    if (last === undefined) return all;
    all.push(...ranges);
    from = query.order === "index" ? last.lo + last.count : last.sequence;
  }
}

/** The first input that has not exactly one outcome, or the number of inputs if there is none. */
export function firstFault(ranges: readonly OutcomeRecord[]): number {
  let covered = 0;
  for (const { lo, count } of ranges.toSorted((a, b) => a.lo - b.lo)) {
    if (lo !== covered) return covered;
    covered += count;
  }
  return covered;
}

/** Numbers from 0 up to, not including, `below`, the same for the same seed. Mulberry32, in the public domain. */
export function seededRandom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
