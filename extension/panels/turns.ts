/** Long work in short turns: all extensions share one process, and it must not stand still for any of them. */

const turnMs = 8;
/** Asking the time costs as much as a few comparisons. */
const stepsUnasked = 64;
/** Sorted at once; a comparison of texts takes about a microsecond. */
const sortedAtOnce = 512;

export class Turns {
  readonly #signal: AbortSignal;
  #beganAtMs = performance.now();
  #steps = 0;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** To be asked after each small step: whether it is time to `rest`. */
  get isOver(): boolean {
    if (++this.#steps % stepsUnasked !== 0) return false;
    return performance.now() - this.#beganAtMs > turnMs;
  }

  /** Lets others work. Throws when the work was given up. */
  async rest(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#signal.throwIfAborted();
    this.#beganAtMs = performance.now();
  }
}

type Compare = (a: number, b: number) => number;

/** The numbers sorted, stable: short runs at first, then runs merged two by two. */
export async function sortInTurns(items: Uint32Array, compare: Compare, turns: Turns): Promise<Uint32Array> {
  let from = items.slice();
  for (let lo = 0; lo < from.length; lo += sortedAtOnce) {
    from.subarray(lo, lo + sortedAtOnce).sort(compare);
    await turns.rest();
  }
  let to = new Uint32Array(from.length);
  for (let width = sortedAtOnce; width < from.length; width *= 2) {
    for (let lo = 0; lo < from.length; lo += 2 * width) {
      const left = from.subarray(lo, lo + width);
      const right = from.subarray(lo + width, lo + 2 * width);
      await merge(left, right, to.subarray(lo, lo + 2 * width), compare, turns);
    }
    [from, to] = [to, from];
  }
  return from;
}

/** Two sorted lists as one. */
export async function mergeInTurns(
  left: Uint32Array,
  right: Uint32Array,
  compare: Compare,
  turns: Turns,
): Promise<Uint32Array> {
  const into = new Uint32Array(left.length + right.length);
  await merge(left, right, into, compare, turns);
  return into;
}

async function merge(
  left: Uint32Array,
  right: Uint32Array,
  into: Uint32Array,
  compare: Compare,
  turns: Turns,
): Promise<void> {
  let l = 0;
  let r = 0;
  // What came in order stays as it is.
  if (left.length > 0 && right.length > 0 && compare(left.at(-1)!, right[0]!) > 0) {
    while (l < left.length && r < right.length) {
      into[l + r] = compare(left[l]!, right[r]!) <= 0 ? left[l++]! : right[r++]!;
      if (turns.isOver) await turns.rest();
    }
  }
  into.set(left.subarray(l), l + r);
  into.set(right.subarray(r), left.length + r);
}

/** The numbers from `first` to `end`, without it. */
export function upTo(first: number, end: number): Uint32Array {
  const numbers = new Uint32Array(end - first);
  for (let i = 0; i < numbers.length; i++) numbers[i] = first + i;
  return numbers;
}
