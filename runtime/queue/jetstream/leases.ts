/**
 * The leases that this process believes it holds. The broker gives a chunk to somebody else when its time is over;
 * the same time runs here, on a clock that does not stop with the wall clock's whims, from the moment it came.
 */
import { FarcallError } from "../../spec/errors.ts";
import type { Lease } from "../mapQueue.ts";
import { chunkId, type ChunkName, parseDelivery } from "./work.ts";

interface Held {
  token: string;
  count: number;
  untilMs: number;
}

export class Leases {
  readonly #leaseMs: number;
  /** By key and by chunk. */
  readonly #held = new Map<string, Map<string, Held>>();

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** A lease from now on; an earlier one of the same chunk is void. */
  add(key: string, name: ChunkName, count: number, token: string): void {
    const ofJob = this.#held.get(key) ?? new Map<string, Held>();
    this.#held.set(key, ofJob);
    ofJob.set(chunkId(name), { token, count, untilMs: performance.now() + this.#leaseMs });
  }

  isHeld(lease: Lease): boolean {
    return this.#find(lease) !== undefined;
  }

  /** `sinceMs`: when the broker was asked to let it run on, on the monotonic clock. */
  extend(lease: Lease, sinceMs: number): boolean {
    const held = this.#find(lease);
    if (held) held.untilMs = Math.max(held.untilMs, sinceMs + this.#leaseMs);
    return held !== undefined;
  }

  /** Forgets the lease if it is held. */
  drop(lease: Lease): boolean {
    const held = this.#find(lease);
    const { key, depth } = parseToken(lease.token);
    if (held) this.#held.get(key)?.delete(chunkId({ lo: lease.chunk.lo, depth }));
    return held !== undefined;
  }

  /** Forgets any lease of a chunk that was settled. */
  settled(key: string, name: ChunkName): void {
    this.#held.get(key)?.delete(chunkId(name));
  }

  forget(key: string): void {
    this.#held.delete(key);
  }

  /** Inputs leased here. */
  countOf(key: string): number {
    const nowMs = performance.now();
    let inputs = 0;
    const ofJob = this.#held.get(key);
    for (const [id, { count, untilMs }] of ofJob ?? []) {
      if (untilMs > nowMs) inputs += count;
      else ofJob!.delete(id);
    }
    return inputs;
  }

  /** Where the broker hears of all leases that are held. */
  ackSubjects(): string[] {
    const nowMs = performance.now();
    return [...this.#held.values()].flatMap((ofJob) =>
      [...ofJob.values()].filter(({ untilMs }) => untilMs > nowMs).map(({ token }) => parseToken(token).ackSubject),
    );
  }

  #find({ token, chunk }: Lease): Held | undefined {
    const { key, depth } = parseToken(token);
    const held = this.#held.get(key)?.get(chunkId({ lo: chunk.lo, depth }));
    return held?.token === token && held.untilMs > performance.now() ? held : undefined;
  }
}

/** A token says all that is needed to settle its chunk, however long ago the lease was. */
export function makeToken(depth: number, ackSubject: string): string {
  return `${depth}:${ackSubject}`;
}

export function parseToken(token: string): { key: string; depth: number; ackSubject: string } {
  const at = token.indexOf(":");
  const ackSubject = token.slice(at + 1);
  const depth = Number(token.slice(0, at));
  if (at < 1 || !Number.isSafeInteger(depth) || !ackSubject.startsWith("$JS.ACK.")) {
    throw new FarcallError("internal", `The lease token ${JSON.stringify(token)} is not one of this queue.`);
  }
  return { key: keyOfConsumer(parseDelivery(ackSubject).consumer), depth, ackSubject };
}

export const consumerNames = (key: string): { fresh: string; children: string } => ({
  fresh: `f_${key}`,
  children: `c_${key}`,
});

export function keyOfConsumer(name: string): string {
  return name.slice(2);
}
