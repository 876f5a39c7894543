/**
 * Bodies that are too large for one message, in pieces that are named by what the whole is, so that storing one
 * twice stores it once. A piece carries its own hash, which whoever reads it checks.
 */
import { createHash } from "node:crypto";
import { headers } from "@nats-io/transport-node";
import { FarcallError } from "../../spec/errors.ts";
import type { Connection } from "./connection.ts";
import { blobAt, storeOnce } from "./store.ts";
import { streams, subjects } from "./streams.ts";

export interface BlobRef {
  hash: string;
  bytes: number;
}

/** The largest body that goes into a message; the broker takes 1 MiB with headers. */
export const inlineBytes = 512 * 1024;
const pieceBytes = 512 * 1024;
const piecesAtOnce = 8;

export async function putBlob(
  connection: Connection,
  key: string,
  kind: "i" | "o",
  body: Uint8Array,
): Promise<BlobRef> {
  const blob = { hash: hashOf(body), bytes: body.byteLength };
  await eachPiece(blob, async (piece) => {
    const data = body.subarray(piece * pieceBytes, (piece + 1) * pieceBytes);
    const head = headers();
    head.set("Hash", hashOf(data));
    await storeOnce(connection, streams.blobs, subjects.blob(key, kind, blob.hash, piece), data, head);
  });
  return blob;
}

/** Reads bytes `from` up to, not including, `to`. Throws `queue.corrupt` when they are missing or not what they were. */
export async function readBlob(
  connection: Connection,
  key: string,
  kind: "i" | "o",
  blob: BlobRef,
  from = 0,
  to = blob.bytes,
): Promise<Buffer> {
  const body = Buffer.allocUnsafe(to - from);
  await eachPiece(
    blob,
    async (piece) => {
      const stored = await blobAt(connection, subjects.blob(key, kind, blob.hash, piece));
      if (stored === undefined || hashOf(stored.data) !== stored.header.get("Hash")) {
        throw new FarcallError(
          "queue.corrupt",
          `Part ${piece} of ${blob.hash} is ${stored ? "damaged" : "missing"} in the queue.`,
        );
      }
      const begin = piece * pieceBytes;
      const data = stored.data.subarray(Math.max(0, from - begin), to - begin);
      body.set(data, Math.max(0, begin - from));
    },
    Math.floor(from / pieceBytes),
    Math.ceil(to / pieceBytes),
  );
  return body;
}

async function eachPiece(
  { bytes }: BlobRef,
  work: (piece: number) => Promise<void>,
  first = 0,
  end = Math.ceil(bytes / pieceBytes),
): Promise<void> {
  let next = first;
  const lane = async (): Promise<void> => {
    while (next < end) await work(next++);
  };
  await Promise.all(Array.from({ length: piecesAtOnce }, lane));
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64url");
}
