/** A chunk as a message of the stream of work. */
import { headers, type Msg, type MsgHdrs } from "@nats-io/transport-node";
import { type BlobRef, blobOf, setBlob } from "./blobs.ts";

/** Names a chunk within its job: children are one deeper than the chunk they were cut from. */
export interface ChunkName {
  lo: number;
  depth: number;
}

export interface WorkChunk extends ChunkName {
  count: number;
  deaths: number;
  body: Uint8Array | BlobRef;
}

/** Where a delivery stands, as the subject says that acknowledgements of it go to. */
export interface Delivery {
  stream: string;
  consumer: string;
  deliveries: number;
  streamSequence: number;
  consumerSequence: number;
  /** Messages of the consumer behind this one. */
  pending: number;
}

export const chunkId = ({ lo, depth }: ChunkName): string => `${lo}-${depth}`;

export function workHeaders({ lo, depth, count, deaths, body }: WorkChunk): MsgHdrs {
  const head = headers();
  head.set("Chunk", [lo, count, depth, deaths].join(" "));
  if (!(body instanceof Uint8Array)) setBlob(head, body);
  return head;
}

/** Undefined for a message that no version of this code has written. */
export function readWork(message: Msg): WorkChunk | undefined {
  const numbers = message.headers?.get("Chunk").split(" ").map(Number);
  if (numbers?.length !== 4 || !numbers.every((n) => Number.isSafeInteger(n) && n >= 0)) return undefined;
  const [lo, count, depth, deaths] = numbers as [number, number, number, number];
  return { lo, count, depth, deaths, body: blobOf(message.headers) ?? message.data };
}

/** `$JS.ACK.[domain.account.]stream.consumer.deliveries.streamSequence.consumerSequence.time.pending[.token]` */
export function parseDelivery(ackSubject: string): Delivery {
  const parts = ackSubject.split(".");
  const [stream, consumer, deliveries, streamSequence, consumerSequence, , pending] = parts.slice(
    parts.length === 9 ? 2 : 4,
  );
  return {
    stream: stream!,
    consumer: consumer!,
    deliveries: Number(deliveries),
    streamSequence: Number(streamSequence),
    consumerSequence: Number(consumerSequence),
    pending: Number(pending),
  };
}
