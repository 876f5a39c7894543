import { beginningOf } from "./columns.ts";
import { mergeInTurns, sortInTurns, type Turns, upTo } from "./turns.ts";

/** Texts to sort by, each of them once and known by its number, with no more than its beginning. */

/** A table that grows is copied at once, so texts are spread over many. */
const tables = 64;

const collator = new Intl.Collator(undefined, { numeric: true });

export class TextTable {
  readonly keptChars: number;
  readonly #texts: string[] = [];
  readonly #numberOf = Array.from({ length: tables }, () => new Map<string, number>());
  #chars = 0;
  /** Numbers of the texts in their order, as far as they were sorted. */
  #sorted: Uint32Array = new Uint32Array();

  constructor(keptChars: number) {
    this.keptChars = keptChars;
  }

  /** Of all texts together. */
  get chars(): number {
    return this.#chars;
  }

  numberOf(text: string): number {
    const key = beginningOf(text, this.keptChars);
    const table = this.#numberOf[tableOf(key)]!;
    let number = table.get(key);
    if (number === undefined) {
      number = this.#texts.push(key) - 1;
      table.set(key, number);
      this.#chars += key.length;
    }
    return number;
  }

  /** The place of each text among all, by its number. Those that came since the last time are sorted and merged in. */
  async ranks(turns: Turns): Promise<Uint32Array> {
    const texts = this.#texts;
    const compare = (a: number, b: number) => collator.compare(texts[a]!, texts[b]!);
    if (this.#sorted.length < texts.length) {
      const added = await sortInTurns(upTo(this.#sorted.length, texts.length), compare, turns);
      this.#sorted = await mergeInTurns(this.#sorted, added, compare, turns);
    }
    const ranks = new Uint32Array(texts.length);
    for (let i = 1, rank = 0; i < this.#sorted.length; i++) {
      if (compare(this.#sorted[i - 1]!, this.#sorted[i]!) !== 0) rank = i;
      ranks[this.#sorted[i]!] = rank;
      if (turns.isOver) await turns.rest();
    }
    return ranks;
  }

  /** The same with half of the beginnings, and the new number of each text by its old one. */
  async halved(turns: Turns): Promise<{ table: TextTable; renumbered: Uint32Array }> {
    const table = new TextTable(Math.max(1, Math.floor(this.keptChars / 2)));
    const renumbered = new Uint32Array(this.#texts.length);
    for (let i = 0; i < renumbered.length; i++) {
      renumbered[i] = table.numberOf(this.#texts[i]!);
      if (turns.isOver) await turns.rest();
    }
    return { table, renumbered };
  }
}

function tableOf(text: string): number {
  const { length } = text;
  if (length === 0) return 0;
  return (length * 31 + text.charCodeAt(length - 1) * 7 + text.charCodeAt(length >> 1)) % tables;
}
