/** Writing to the streams so that the first one wins, and knowing who that was. */
import type { JetStreamPublishOptions, StoredMsg } from "@nats-io/jetstream";
import type { MsgHdrs } from "@nats-io/transport-node";
import { FarcallError } from "../../spec/errors.ts";
import type { Connection } from "./connection.ts";
import { asQueueError, failureOf } from "./failures.ts";
import { streams } from "./streams.ts";

export interface Stored {
  sequence: number;
  /** What is on the subject, where another write came first. */
  earlier: StoredMsg | undefined;
}

/** What a stream says when it is asked too early after another of the same subject; see `storeOnce`. */
const settlingPauseMs = 100;

/**
 * Stores the only message of a subject. A refusal proves nothing by itself: the write in the way may be one of our
 * own whose answer was lost, one that is not stored yet, or none at all when the stream is full. So the leader is
 * asked what is there. Throws `disk.full` when nothing is, and nothing fits.
 */
export async function storeOnce(
  connection: Connection,
  stream: string,
  subject: string,
  data: Uint8Array,
  head: MsgHdrs,
): Promise<Stored> {
  for (;;) {
    const refusal = await publish(connection, subject, data, { headers: head, expect: { lastSubjectSequence: 0 } });
    if ("sequence" in refusal) return { sequence: refusal.sequence, earlier: undefined };
    const earlier = await lastOf(connection, stream, subject);
    if (earlier) return { sequence: earlier.seq, earlier };
    if (failureOf(refusal.error) !== "guard") throw asQueueError(refusal.error);
    await connection.pause(settlingPauseMs);
  }
}

/** Stores a chunk of work, once within the time in which the broker remembers its name. */
export async function storeWork(
  connection: Connection,
  subject: string,
  data: Uint8Array,
  head: MsgHdrs,
  name: string,
): Promise<void> {
  const stored = await publish(connection, subject, data, { headers: head, msgID: name });
  if ("sequence" in stored) return;
  if (failureOf(stored.error) !== "refused") throw asQueueError(stored.error);
  throw backPressure("its stream is full", stored.error);
}

export function backPressure(why: string, cause?: unknown): FarcallError {
  return new FarcallError("queue.back-pressure", `Too many inputs are waiting: ${why}.`, {
    cause,
    retryable: true,
    hint: "Send them again when some are done.",
  });
}

/** The newest message of a subject, from the leader: another replica may not have it yet. */
export function lastOf(connection: Connection, stream: string, subject: string): Promise<StoredMsg | undefined> {
  return connection.persist(async () => {
    const message = await connection.manager.streams.getMessage(stream, { last_by_subj: subject });
    return message ?? undefined;
  });
}

/** The message of a sequence, from any replica, or from the leader where that one is behind. */
export async function messageAt(connection: Connection, stream: string, seq: number): Promise<Uint8Array | undefined> {
  const { direct, streams: api } = connection.manager;
  const near = await connection.persist(() => direct.getMessage(stream, { seq }));
  if (near) return near.data;
  return (await connection.persist(() => api.getMessage(stream, { seq })))?.data;
}

/** As `messageAt`, for the only message of a subject of the blobs. */
export async function blobAt(
  connection: Connection,
  subject: string,
): Promise<{ data: Uint8Array; header: MsgHdrs } | undefined> {
  const { direct } = connection.manager;
  const near = await connection.persist(() => direct.getMessage(streams.blobs, { last_by_subj: subject }));
  return near ?? (await lastOf(connection, streams.blobs, subject));
}

/** Publishes; answers with the error where the stream refused, and throws any other. */
async function publish(
  connection: Connection,
  subject: string,
  data: Uint8Array,
  options: Partial<JetStreamPublishOptions>,
): Promise<{ sequence: number } | { error: unknown }> {
  try {
    const { seq } = await connection.persist(() => connection.publisher.publish(subject, data, options));
    return { sequence: seq };
  } catch (error) {
    const failure = failureOf(error);
    if (failure === "guard" || failure === "refused" || failure === "storage") return { error };
    throw asQueueError(error);
  }
}
