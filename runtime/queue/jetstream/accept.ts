/**
 * Taking inputs in. Work is stored first and the word that it was accepted afterwards: a crash between the two
 * leaves work that nobody counts on, and whose sender will send it again; the other way round it would be lost.
 */
import { headers } from "@nats-io/transport-node";
import type { NewChunk } from "../mapQueue.ts";
import { inlineBytes, putBlob } from "./blobs.ts";
import type { Connection } from "./connection.ts";
import { acceptedHeader, type Arriving, type Job, writeAccepted } from "./job.ts";
import { inLanes } from "./lanes.ts";
import { storeOnce, storeWork } from "./store.ts";
import { streams, subjects } from "./streams.ts";
import { chunkId, type WorkChunk, workHeaders } from "./work.ts";
import type { WorkMeter } from "./workMeter.ts";

const storedAtOnce = 64;
/** The broker allows 64 KiB of headers. */
const chunksEach = 2_000;

export async function accept(
  connection: Connection,
  meter: WorkMeter,
  job: Job,
  chunks: readonly NewChunk[],
): Promise<void> {
  const { fresh, arriving } = sort(job, chunks);
  const stored = fresh.length > 0 ? store(connection, meter, job, fresh) : Promise.resolve();
  const reserved = fresh.map(({ lo, count }): Arriving => ({ lo, count, stored }));
  for (const one of reserved) job.arriving.insert(one);
  try {
    await Promise.all([stored, ...arriving]);
  } finally {
    for (const one of reserved) job.arriving.delete(one);
  }
}

/** Those that are not stored yet, lowest first, and what those that are being stored wait for. */
function sort(job: Job, chunks: readonly NewChunk[]): { fresh: NewChunk[]; arriving: Promise<void>[] } {
  const fresh: NewChunk[] = [];
  const arriving: Promise<void>[] = [];
  for (const chunk of chunks.toSorted((a, b) => a.lo - b.lo)) {
    const before = fresh.at(-1);
    if (before?.lo === chunk.lo && before.count === chunk.count) continue;
    if (before && chunk.lo < before.lo + before.count) throw job.mismatch(chunk, before);
    if (job.isStored(chunk)) continue;
    const other = job.arriving.overlapping(chunk);
    if (!other) fresh.push(chunk);
    else if (other.lo === chunk.lo && other.count === chunk.count) arriving.push(other.stored);
    else throw job.mismatch(chunk, other);
  }
  return { fresh, arriving };
}

async function store(connection: Connection, meter: WorkMeter, job: Job, fresh: readonly NewChunk[]): Promise<void> {
  const bytes = fresh.reduce((sum, { body }) => sum + body.byteLength, 0);
  await meter.admit(bytes);
  try {
    const ready: WorkChunk[] = [];
    for (const { lo, count, body, deaths = 0 } of fresh) {
      ready.push(await withBlob(connection, job.key, { lo, count, body, deaths, depth: 0 }));
    }
    // What is sent over one connection is stored in the order in which it is sent.
    const subject = subjects.fresh(job.key);
    await inLanes(0, ready.length, storedAtOnce, (at) => send(connection, job.key, subject, ready[at]!));
  } finally {
    meter.arrived(bytes);
  }
  for (let at = 0; at < fresh.length; at += chunksEach) {
    const some = fresh.slice(at, at + chunksEach);
    const head = headers();
    head.set(acceptedHeader, writeAccepted(some));
    await storeOnce(connection, streams.outcomes, subjects.accepted(job.key), new Uint8Array(0), head);
    for (const chunk of some) job.index.addInput(chunk);
  }
}

/** Stores a child; twice does no harm, as a chunk is settled once. */
export async function putChild(connection: Connection, key: string, child: WorkChunk): Promise<void> {
  await send(connection, key, subjects.child(key), await withBlob(connection, key, child));
}

/** The chunk with its body stored apart, if that is too large for a message. */
async function withBlob(connection: Connection, key: string, chunk: WorkChunk): Promise<WorkChunk> {
  const { body } = chunk;
  if (!(body instanceof Uint8Array) || body.byteLength <= inlineBytes) return chunk;
  return { ...chunk, body: await putBlob(connection, key, "i", body) };
}

async function send(connection: Connection, key: string, subject: string, chunk: WorkChunk): Promise<void> {
  const data = chunk.body instanceof Uint8Array ? chunk.body : new Uint8Array(0);
  await storeWork(connection, subject, data, workHeaders(chunk), `${key}.${chunkId(chunk)}`);
}
