import { type SortKey, sortedChars } from "./columns.ts";
import { TextTable } from "./textTable.ts";
import { sortInTurns, type Turns, upTo } from "./turns.ts";

/**
 * What the rows of a view are sorted by: 13 bytes for each, and each different text once. Numbers come before dates,
 * dates before booleans, booleans before texts; rows with nothing to sort by come behind them and failures last, both
 * ways; rows that are equal stay in the order of their inputs.
 */

const kinds = { number: 0, date: 1, boolean: 2, text: 3, missing: 4, failure: 5 } as const;
/** Of all texts together; when there are more of them, they are sorted by less of their beginnings. */
const maxTextChars = 32 * 1024 * 1024;

export class RowKeys {
  #count = 0;
  #indices = new Uint32Array(1024);
  #kinds = new Uint8Array(1024);
  /** A number as it is, a date in milliseconds, a text by its number. */
  #numbers = new Float64Array(1024);
  #texts = new TextTable(sortedChars);
  readonly #maxTextChars: number;

  constructor(limits: { maxTextChars?: number } = {}) {
    this.#maxTextChars = limits.maxTextChars ?? maxTextChars;
  }

  get count(): number {
    return this.#count;
  }

  get textChars(): number {
    return this.#texts.chars;
  }

  add(index: number, key: SortKey): void {
    if (key === undefined) this.#add(index, kinds.missing, 0);
    else if (typeof key === "number") this.#add(index, kinds.number, key);
    else if (typeof key === "boolean") this.#add(index, kinds.boolean, Number(key));
    else if (typeof key === "string") this.#add(index, kinds.text, this.#texts.numberOf(key));
    else this.#add(index, kinds.date, key.getTime());
  }

  /** It has no value to be sorted by. */
  addFailure(index: number): void {
    this.#add(index, kinds.failure, 0);
  }

  /** To be called now and then while rows are added. */
  async keepSmall(turns: Turns): Promise<void> {
    while (this.#texts.chars > this.#maxTextChars && this.#texts.keptChars > 1) {
      const { table, renumbered } = await this.#texts.halved(turns);
      this.#texts = table;
      for (let at = 0; at < this.#count; at++) {
        if (this.#kinds[at] === kinds.text) this.#numbers[at] = renumbered[this.#numbers[at]!]!;
      }
    }
  }

  /** The indices in order. */
  async order(descending: boolean, turns: Turns): Promise<Uint32Array> {
    const ranks = await this.#texts.ranks(turns);
    const [indices, kindsOf, numbers] = [this.#indices, this.#kinds, this.#numbers];
    const sign = descending ? -1 : 1;
    const compare = (a: number, b: number): number => {
      const kind = kindsOf[a]!;
      const otherKind = kindsOf[b]!;
      if (kind !== otherKind) {
        const isFixed = kind >= kinds.missing || otherKind >= kinds.missing;
        return (kind - otherKind) * (isFixed ? 1 : sign);
      }
      if (kind < kinds.missing) {
        const x = kind === kinds.text ? ranks[numbers[a]!]! : numbers[a]!;
        const y = kind === kinds.text ? ranks[numbers[b]!]! : numbers[b]!;
        if (x !== y) return x < y ? -sign : sign;
      }
      return indices[a]! - indices[b]!;
    };
    const order = await sortInTurns(upTo(0, this.#count), compare, turns);
    for (let i = 0; i < order.length; i++) order[i] = indices[order[i]!]!;
    return order;
  }

  #add(index: number, kind: number, number: number): void {
    if (this.#count === this.#indices.length) this.#grow();
    const at = this.#count++;
    this.#indices[at] = index;
    this.#kinds[at] = kind;
    this.#numbers[at] = number;
  }

  #grow(): void {
    const length = this.#indices.length * 2;
    const [indices, kindsOf, numbers] = [new Uint32Array(length), new Uint8Array(length), new Float64Array(length)];
    indices.set(this.#indices);
    kindsOf.set(this.#kinds);
    numbers.set(this.#numbers);
    [this.#indices, this.#kinds, this.#numbers] = [indices, kindsOf, numbers];
  }
}
