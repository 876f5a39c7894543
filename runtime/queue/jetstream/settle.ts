/**
 * Settling a chunk: its outcome is stored where only one fits, then its children, and only then it is taken out of
 * the work. Whoever comes upon a chunk that is settled makes up for what the one who settled it did not get to do.
 */
import { slicePack } from "../../protocol/pack.ts";
import type { Lease, Settlement } from "../mapQueue.ts";
import { putChild } from "./accept.ts";
import { inlineBytes, putBlob, readBlob } from "./blobs.ts";
import type { Connection } from "./connection.ts";
import type { Job } from "./job.ts";
import type { OutcomeBodies } from "./outcomeBodies.ts";
import { describe, inOrder, readSettled, settledHeaders, type SettledChild } from "./settled.ts";
import { storeOnce } from "./store.ts";
import { newNonce, streams, subjects } from "./streams.ts";
import { chunkId, type ChunkName, type WorkChunk } from "./work.ts";

const maxComplete = 10_000;

type Chunk = Pick<WorkChunk, "lo" | "depth" | "count" | "body">;

export async function storeSettlement(
  connection: Connection,
  bodies: OutcomeBodies,
  job: Job,
  lease: Lease,
  depth: number,
  settlement: Settlement,
): Promise<"stored" | "already"> {
  const chunk = { ...lease.chunk, depth };
  // The one of the stream that this is stored in: it may begin anew meanwhile.
  const { index } = job;
  const body = Buffer.concat(inOrder(settlement).map((range) => range.body));
  const blob = body.byteLength > inlineBytes ? await putBlob(connection, job.key, "o", body) : undefined;
  const ours = describe(chunk, settlement, newNonce(), blob);
  const { sequence, earlier } = await storeOnce(
    connection,
    streams.outcomes,
    subjects.outcome(job.key, chunk.lo, depth),
    blob ? new Uint8Array(0) : body,
    settledHeaders(ours),
  );
  const first = earlier ? readSettled(chunkId(chunk), earlier.header) : ours;
  if (first) index.addSettled(sequence, first);
  const won = first?.nonce === ours.nonce;
  if (won && !blob) bodies.keep(index, sequence, body);
  if (first) await completeSettled(connection, job, chunk, first.children, won ? settlement.children : []);
  return won ? "stored" : "already";
}

/** Stores the children of a settled chunk that may be missing, so that the chunk may go. */
export async function completeSettled(
  connection: Connection,
  job: Job,
  parent: Chunk,
  children: readonly SettledChild[],
  given: Settlement["children"] = [],
): Promise<void> {
  const id = chunkId(parent);
  const missing = children.filter(({ lo }) => job.index.childrenOf({ lo, depth: parent.depth + 1 }) === undefined);
  if (missing.length > 0 && !job.complete.has(id)) {
    const cut = cutter(connection, job.key, parent);
    await Promise.all(
      missing.map(async ({ lo, count, deaths }) => {
        const body = given.find((child) => child.lo === lo)?.body ?? (await cut(lo, count));
        const child = { lo, count, deaths, body, depth: parent.depth + 1 };
        await putChild(connection, job.key, child);
      }),
    );
  }
  if (children.length === 0) return;
  // What is forgotten here costs the same messages once more.
  if (job.complete.size >= maxComplete) job.complete.clear();
  job.complete.add(id);
}

/** Cuts the bodies of children out of that of their parent. */
function cutter(connection: Connection, key: string, { lo: first, count: all, body }: Chunk) {
  let whole: Promise<Uint8Array> | undefined;
  return async (lo: number, count: number): Promise<Uint8Array> => {
    whole ??= body instanceof Uint8Array ? Promise.resolve(body) : readBlob(connection, key, "i", body);
    return count === all ? whole : slicePack(await whole, lo - first, lo - first + count);
  };
}

export function isSettled(job: Job, chunk: ChunkName): boolean {
  return job.index.childrenOf(chunk) !== undefined;
}
