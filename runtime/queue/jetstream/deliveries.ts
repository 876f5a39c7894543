/** What becomes of the messages of a job's consumers: leases, or the end of chunks that were settled before. */
import type { Msg } from "@nats-io/transport-node";
import type { Lease } from "../mapQueue.ts";
import { readBlob } from "./blobs.ts";
import type { Connection } from "./connection.ts";
import type { Job } from "./job.ts";
import { type Leases, makeToken, parseToken } from "./leases.ts";
import { readSettled } from "./settled.ts";
import { completeSettled, isSettled } from "./settle.ts";
import { lastOf } from "./store.ts";
import { streams, subjects } from "./streams.ts";
import { chunkId, parseDelivery, readWork, type WorkChunk } from "./work.ts";

/** A message that cannot be dealt with comes again after this time, here or elsewhere. */
const laterMs = 5_000;

export class Deliveries {
  readonly #connection: Connection;
  readonly #leases: Leases;
  readonly #leaseMs: number;

  constructor(connection: Connection, leases: Leases, leaseMs: number) {
    this.#connection = connection;
    this.#leases = leases;
    this.#leaseMs = leaseMs;
  }

  /** The lease that a message would be; undefined for one that needs no work, or cannot be read now. */
  async take(job: Job, message: Msg): Promise<Lease | undefined> {
    const chunk = readWork(message);
    const ackSubject = message.reply!;
    const { deliveries } = parseDelivery(ackSubject);
    try {
      if (!chunk) {
        this.giveBack(ackSubject, laterMs);
        return undefined;
      }
      // A chunk that was here before may have been settled by somebody whose word has not come round yet.
      if (deliveries > 1 && !job.isLive && !isSettled(job, chunk)) await this.#ask(job, chunk);
      const children = job.index.childrenOf(chunk);
      if (children) {
        await completeSettled(this.#connection, job, chunk, children);
        this.acknowledge(ackSubject);
        return undefined;
      }
      const { lo, count, deaths, body } = chunk;
      const bytes = body instanceof Uint8Array ? body : await readBlob(this.#connection, job.key, "i", body);
      return {
        job: job.id,
        chunk: { lo, count, deaths, body: bytes },
        attempt: deliveries,
        token: makeToken(chunk.depth, ackSubject),
        deadlineMs: Date.now() + this.#leaseMs,
      };
    } catch {
      // The broker does not answer, or has lost a part of it: others may have more luck.
      this.giveBack(ackSubject, laterMs);
      return undefined;
    }
  }

  leased({ token, chunk: { lo, count } }: Lease): void {
    const { key, depth } = parseToken(token);
    this.#leases.add(key, { lo, depth }, count, token);
  }

  acknowledge(ackSubject: string): void {
    this.#say(ackSubject, "+ACK");
  }

  giveBack(ackSubject: string, delayMs = 0): void {
    this.#say(ackSubject, giveBackWord(delayMs));
  }

  /** What is lost here costs one more delivery. */
  #say(ackSubject: string, word: string): void {
    try {
      this.#connection.nats.publish(ackSubject, word);
    } catch {
      // The connection is closed: leases run out by themselves.
    }
  }

  async #ask(job: Job, chunk: WorkChunk): Promise<void> {
    const { lo, depth } = chunk;
    const stored = await lastOf(this.#connection, streams.outcomes, subjects.outcome(job.key, lo, depth));
    const settled = stored && readSettled(chunkId(chunk), stored.header);
    if (settled) job.index.addSettled(stored.seq, settled);
  }
}

export function giveBackWord(delayMs: number): string {
  return delayMs > 0 ? `-NAK ${JSON.stringify({ delay: Math.round(delayMs * 1e6) })}` : "-NAK";
}
