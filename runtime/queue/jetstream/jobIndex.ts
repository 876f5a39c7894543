/**
 * All that is known of a job's inputs and outcomes but their bodies. It is built by reading the stream of
 * outcomes, and what this process stores itself is entered at once; entering something twice does nothing.
 */
import type { Credit, JobCounts } from "../mapQueue.ts";
import type { BlobRef } from "./blobs.ts";
import { type Range, Ranges } from "./ranges.ts";
import type { Settled, SettledChild } from "./settled.ts";
import { chunkId, type ChunkName } from "./work.ts";

export interface IndexedRange extends Range {
  errors: number;
  /** Unique in the stream, and rising: that of the message, and the position in it. */
  sequence: number;
  message: MessageRef;
  at: number;
  bytes: number;
}

/** Where bodies lie. */
interface MessageRef {
  sequence: number;
  blob: BlobRef | undefined;
}

/** More ranges than a message can have. */
const sequencesEach = 2 ** 16;
const noChildren: readonly SettledChild[] = [];

export const firstSequenceOf = (message: number): number => message * sequencesEach;

let made = 0;

export class JobIndex {
  /** Of this index among all of this process: a job that is read anew has another one. */
  readonly number = made++;
  readonly inputs = new Ranges<Range>();
  readonly outcomes = new Ranges<IndexedRange>();
  /** By sequence. */
  readonly settledOrder: IndexedRange[] = [];
  /** Inputs from index 0 on without a gap. */
  accepted = 0;
  /** Inputs with an outcome. */
  settledCount = 0;
  /** Of the newest message with an outcome. */
  newest = 0;
  #inputCount = 0;
  #errorCount = 0;
  readonly #settled = new Map<string, readonly SettledChild[]>();
  readonly #credits = new Map<string, Credit>();

  addInput({ lo, count }: Range): void {
    // Two processes that were sent overlapping inputs at once are not kept apart; the first counts.
    if (this.inputs.overlapping({ lo, count })) return;
    this.inputs.insert({ lo, count });
    this.#inputCount += count;
    for (let at = this.inputs.from(this.accepted); this.inputs.at(at)?.lo === this.accepted; at++) {
      this.accepted += this.inputs.at(at)!.count;
    }
  }

  /** False when it was there. */
  addSettled(sequence: number, settled: Settled): boolean {
    const id = chunkId(settled);
    if (this.#settled.has(id)) return false;
    this.#settled.set(id, settled.children.length > 0 ? settled.children : noChildren);
    // Whatever has an outcome was accepted, also if the one who accepted it died before it could say so.
    if (settled.depth === 0) this.addInput(settled);
    this.newest = Math.max(this.newest, sequence);
    const message: MessageRef = { sequence, blob: settled.blob };
    for (const [position, { lo, count, errors, at, bytes }] of settled.results.entries()) {
      const range = { lo, count, errors, at, bytes, message, sequence: firstSequenceOf(sequence) + position };
      this.outcomes.insert(range);
      this.settledCount += count;
      this.#errorCount += errors;
      let place = this.settledOrder.length;
      while (place > 0 && this.settledOrder[place - 1]!.sequence > range.sequence) place--;
      this.settledOrder.splice(place, 0, range);
      if (settled.by !== undefined) this.#credit(settled.by, range);
    }
    return true;
  }

  #credit(by: string, { count, errors }: IndexedRange): void {
    const credit = this.#credits.get(by) ?? { by, settled: 0, errors: 0 };
    credit.settled += count;
    credit.errors += errors;
    this.#credits.set(by, credit);
  }

  credits(): Credit[] {
    return [...this.#credits.values()].map((credit) => ({ ...credit }));
  }

  /** The children that a chunk was settled with; undefined when it is not settled as far as is known here. */
  childrenOf(chunk: ChunkName): readonly SettledChild[] | undefined {
    return this.#settled.get(chunkId(chunk));
  }

  /** The first input without an outcome; undefined when all that were accepted have one. */
  firstOpen(): number | undefined {
    for (let i = 0; i < this.inputs.length; i++) {
      const { lo, count } = this.inputs.at(i)!;
      for (let at = lo; at < lo + count;) {
        const outcome = this.outcomes.overlapping({ lo: at, count: 1 });
        if (!outcome) return at;
        at = outcome.lo + outcome.count;
      }
    }
    return undefined;
  }

  /** Position of the first range whose sequence is above `sequence`. */
  settledAfter(sequence: number): number {
    let low = 0;
    let high = this.settledOrder.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.settledOrder[middle]!.sequence <= sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  counts(leased: number, ended: boolean): JobCounts {
    const open = ended ? 0 : Math.max(0, this.#inputCount - this.settledCount);
    const inHand = Math.min(open, leased);
    return { pending: open - inHand, leased: inHand, settled: this.settledCount, errors: this.#errorCount };
  }
}
