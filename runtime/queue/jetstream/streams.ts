/**
 * The four streams and how subjects are named in them. A job is known to the broker by its key: its id and a
 * word made when it was created, so that what is late for a job that was deleted never meets one that came after.
 *
 * JOBS `j.<id>`: one record for each job.
 * WORK `w.<key>.f`, `w.<key>.c`: chunks that wait or are leased: fresh from the client, and children.
 * RES  `r.<key>.<lo>-<depth>`: what became of a chunk; `i.<key>.<nonce>`: inputs that were accepted.
 * BLOB `b.<key>.<i or o>.<hash>.<piece>`: inputs and outcomes that are too large for one message.
 */
import { randomBytes } from "node:crypto";
import { DiscardPolicy, RetentionPolicy, StorageType, type StreamConfig, StoreCompression } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import type { RunId } from "../../spec/names.ts";
import type { Connection } from "./connection.ts";
import { failureOf } from "./failures.ts";

export const streams = { jobs: "JOBS", work: "WORK", outcomes: "RES", blobs: "BLOB" } as const;

export interface StreamOptions {
  /** How many seats hold each message. */
  replicas: 1 | 3;
  /** Most bytes of work that waits or is leased, over all jobs. */
  workBytes: number;
  /** Most bytes of outcomes; undefined: as much as the disk takes. */
  outcomeBytes: number | undefined;
  /** How long a chunk that is sent twice is recognised by the broker; later ones are found by their outcome. */
  duplicateWindowMs: number;
}

/** Children and the overhead of messages get in when inputs do not any more. */
const spareWorkBytes = 64 * 1024 * 1024;

export const subjects = {
  job: (id: RunId): string => `j.${id}`,
  fresh: (key: string): string => `w.${key}.f`,
  child: (key: string): string => `w.${key}.c`,
  work: (key: string): string => `w.${key}.>`,
  outcome: (key: string, lo: number, depth: number): string => `r.${key}.${lo}-${depth}`,
  outcomes: (key: string): string => `r.${key}.>`,
  accepted: (key: string): string => `i.${key}.${newNonce()}`,
  acceptances: (key: string): string => `i.${key}.>`,
  blob: (key: string, kind: "i" | "o", hash: string, piece: number): string => `b.${key}.${kind}.${hash}.${piece}`,
  inputBlobs: (key: string): string => `b.${key}.i.>`,
  blobs: (key: string): string => `b.${key}.>`,
} as const;

/** A word that no other process makes, of letters and digits alone. */
export function newNonce(): string {
  return randomBytes(8).toString("hex");
}

function configs({ replicas, workBytes, outcomeBytes, duplicateWindowMs }: StreamOptions): Partial<StreamConfig>[] {
  const common = { storage: StorageType.File, num_replicas: replicas, discard: DiscardPolicy.New } as const;
  const once = { max_msgs_per_subject: 1, discard_new_per_subject: true, allow_direct: true } as const;
  return [
    {
      ...common,
      name: streams.jobs,
      subjects: ["j.>"],
      discard: DiscardPolicy.Old,
      max_msgs_per_subject: 1,
      allow_msg_ttl: true,
    },
    {
      ...common,
      name: streams.work,
      subjects: ["w.>"],
      retention: RetentionPolicy.Workqueue,
      max_bytes: workBytes + spareWorkBytes,
      duplicate_window: nanos(duplicateWindowMs),
      compression: StoreCompression.S2,
    },
    { ...common, ...once, name: streams.outcomes, subjects: ["r.>", "i.>"], max_bytes: outcomeBytes ?? -1 },
    { ...common, ...once, name: streams.blobs, subjects: ["b.>"] },
  ];
}

const soonMs = 200;
const lateMs = 5_000;

/**
 * Resolves when the servers answer. Without a leader, as when they have just begun, they let requests pass unanswered:
 * each would wait for its whole time, however soon there is one.
 */
async function answering(connection: Connection): Promise<void> {
  for (let timeoutMs = soonMs; timeoutMs < lateMs; timeoutMs *= 2) {
    try {
      await connection.nats.request(`$JS.API.STREAM.INFO.${streams.jobs}`, undefined, { timeout: timeoutMs });
      return;
    } catch {
      await connection.pause(soonMs / 2);
    }
  }
}

/** Makes the streams that are missing, and says when records and outcomes began to be stored: the epoch. */
export async function ensureStreams(connection: Connection, options: StreamOptions): Promise<string> {
  await answering(connection);
  const { streams: api } = connection.manager;
  const [jobs, , outcomes] = await Promise.all(
    configs(options).map((config) =>
      connection.persist(async () => {
        try {
          return (await api.info(config.name!)).created;
        } catch (error) {
          if (failureOf(error) !== "no-stream") throw error;
          return (await api.add(config as StreamConfig & { name: string })).created;
        }
      }),
    ),
  );
  // One seat alone may lose its newest messages in a power cut, which nothing shows but its having been started anew.
  const epoch = `${jobs} ${outcomes}`;
  return options.replicas === 1 ? `${epoch} ${connection.serverId}` : epoch;
}
