import { it } from "vitest";

/** Everything in these tests that is left to chance comes from here, so that a run can be repeated. */
const seed = Number(process.env["FARCALL_SEED"]) || Math.floor(Math.random() * 2 ** 31);

/** CI, which has no time for everything: maps of half the length, and half the time for killing. */
export const share = process.env["CI"] ? 0.5 : 1;

/** CI, whose machine has other work: how much longer things may take there. */
export const slack = process.env["CI"] ? 4 : 1;

/** What is `it` but in CI, where what takes longest is left to those who change what it tests. */
export const itAtLength: typeof it | ((name: string, test: () => Promise<void>) => void) = process.env["CI"]
  ? () => undefined
  : it;

export class Chance {
  #state: number;

  /** `name` makes the numbers of a test its own, whichever other tests run. */
  constructor(name: string) {
    this.#state = Buffer.from(name).reduce((state, byte) => Math.imul(state ^ byte, 0x01000193), seed);
    process.stdout.write(`FARCALL_SEED=${seed} ${name}\n`);
  }

  /** From 0 to below 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  between(from: number, to: number): number {
    return from + this.next() * (to - from);
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.next() * from.length)]!;
  }

  shuffled<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, at: this.next() }))
      .sort((a, b) => a.at - b.at)
      .map(({ item }) => item);
  }
}
