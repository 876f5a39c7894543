/** Ranges of inputs that do not overlap, sorted by their first index. */
export interface Range {
  lo: number;
  count: number;
}

export class Ranges<T extends Range> {
  readonly #sorted: T[] = [];

  get length(): number {
    return this.#sorted.length;
  }

  /** One behind the last index of all. */
  get end(): number {
    const last = this.#sorted.at(-1);
    return last ? last.lo + last.count : 0;
  }

  /** The ranges arrive nearly in their order, so that inserting is cheap. */
  insert(range: T): void {
    this.#sorted.splice(this.from(range.lo), 0, range);
  }

  delete(range: T): void {
    const at = this.from(range.lo);
    if (this.#sorted[at] === range) this.#sorted.splice(at, 1);
  }

  at(position: number): T | undefined {
    return this.#sorted[position];
  }

  /** Position of the first range that begins at `lo` or behind it. */
  from(lo: number): number {
    let low = 0;
    let high = this.#sorted.length;
    if (high === 0 || this.#sorted[high - 1]!.lo < lo) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#sorted[middle]!.lo < lo) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Ranges that begin at `lo` or behind it, at most `limit`. */
  page(lo: number, limit: number): T[] {
    const at = this.from(lo);
    return this.#sorted.slice(at, at + limit);
  }

  /** Position of the range that holds index `index`, or of the next one. */
  holding(index: number): number {
    const at = this.from(index);
    const before = this.#sorted[at - 1];
    return before && before.lo + before.count > index ? at - 1 : at;
  }

  /** The first range that shares an index with `range`. */
  overlapping({ lo, count }: Range): T | undefined {
    const found = this.#sorted[this.holding(lo)];
    return found && found.lo < lo + count ? found : undefined;
  }
}
