/**
 * Bodies that are too large for one message, in pieces that are named by what the whole is, so that storing one
 * twice stores it once. A piece carries its own hash, which whoever reads it checks.
 */
import { createHash } from "node:crypto";
import { headers, type MsgHdrs } from "@nats-io/transport-node";
import { FarcallError } from "../../spec/errors.ts";
import type { Connection } from "./connection.ts";
import { inLanes } from "./lanes.ts";
import { blobAt, storeOnce } from "./store.ts";
import { streams, subjects } from "./streams.ts";

export interface BlobRef {
  hash: string;
  bytes: number;
}

/** Names, in the header of a message, what lies apart. */
export function setBlob(head: MsgHdrs, { hash, bytes }: BlobRef): void {
  head.set("Blob", `${hash} ${bytes}`);
}

export function blobOf(head: MsgHdrs | undefined): BlobRef | undefined {
  const [hash, bytes] = (head?.get("Blob") ?? "").split(" ");
  return hash ? { hash, bytes: Number(bytes) } : undefined;
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
  await eachPiece(0, blob.bytes, async (piece) => {
    const data = body.subarray(piece * pieceBytes, (piece + 1) * pieceBytes);
    const head = headers();
    head.set("Hash", hashOf(data));
    await storeOnce(connection, streams.blobs, subjects.blob(key, kind, blob.hash, piece), data, head);
  });
  return blob;
}

/** Reads the whole. Throws `queue.corrupt` when some of it is missing or not what it was. */
export function readBlob(connection: Connection, key: string, kind: "i" | "o", blob: BlobRef): Promise<Buffer> {
  return readPieces(0, blob.bytes, (piece) => readPiece(connection, key, kind, blob, piece));
}

/** Bytes `from` up to, not including, `to`, out of the pieces that hold them. */
export async function readPieces(
  from: number,
  to: number,
  read: (piece: number) => Promise<Uint8Array>,
): Promise<Buffer> {
  const body = Buffer.allocUnsafe(to - from);
  await eachPiece(from, to, async (piece) => {
    const begin = piece * pieceBytes;
    const data = (await read(piece)).subarray(Math.max(0, from - begin), to - begin);
    body.set(data, Math.max(0, begin - from));
  });
  return body;
}

export async function readPiece(
  connection: Connection,
  key: string,
  kind: "i" | "o",
  { hash }: BlobRef,
  piece: number,
): Promise<Uint8Array> {
  const stored = await blobAt(connection, subjects.blob(key, kind, hash, piece));
  if (stored && hashOf(stored.data) === stored.header.get("Hash")) return stored.data;
  const what = stored ? "damaged" : "missing";
  throw new FarcallError("queue.corrupt", `Part ${piece} of ${hash} is ${what} in the queue.`);
}

function eachPiece(from: number, to: number, work: (piece: number) => Promise<void>): Promise<void> {
  return inLanes(Math.floor(from / pieceBytes), Math.ceil(to / pieceBytes), piecesAtOnce, work);
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64url");
}
