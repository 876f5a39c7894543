import { listen } from "../host.ts";
import type { PanelLogLine } from "../messages.ts";
import { plainText } from "../ui/ansi.tsx";
import { Observable } from "../ui/hooks.ts";
import type { LogFilter } from "./pageState.ts";

/** The newest lines of a run's log, and those of them that pass the filter. */

const keptLines = 50_000;
/** Dropped many at once, as each time moves all others. */
const slack = 5_000;
const maxChars = 10_000;

export class LogStore extends Observable {
  #filter: LogFilter;
  #needle = "";
  #lines: PanelLogLine[] = [];
  #shown: PanelLogLine[] = [];
  #gone = 0;
  #dropped = 0;
  /** Of the dropped ones, those that the page had. */
  #pageDropped = 0;
  #widestChars = 0;
  readonly #replicas = new Set<number>();

  constructor(filter: LogFilter) {
    super();
    this.#filter = filter;
    this.#needle = filter.text.toLowerCase();
    listen((message) => {
      if (message.type === "logs") this.#take(message.reset, message.dropped, message.lines);
    });
  }

  get shown(): readonly PanelLogLine[] {
    return this.#shown;
  }

  /** How many of the shown lines have gone from the beginning so far. */
  get gone(): number {
    return this.#gone;
  }

  /** Lines in all that the page has or had. */
  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  /** Older lines that are not here. */
  get dropped(): number {
    return this.#dropped;
  }

  get replicas(): readonly number[] {
    return [...this.#replicas].sort((a, b) => a - b);
  }

  /** Characters of the longest of the shown lines so far. */
  get widestChars(): number {
    return this.#widestChars;
  }

  get filter(): LogFilter {
    return this.#filter;
  }

  setFilter(filter: LogFilter): void {
    this.#filter = filter;
    this.#needle = filter.text.toLowerCase();
    this.#sift();
    this.changed();
  }

  #take(reset: boolean, dropped: number, given: readonly PanelLogLine[]): void {
    if (reset) {
      this.#lines = [];
      this.#replicas.clear();
      this.#sift();
      this.#pageDropped = 0;
    }
    for (const line of given) {
      const kept = line.text.length > maxChars ? { ...line, text: `${line.text.slice(0, maxChars)}…` } : line;
      this.#lines.push(kept);
      this.#replicas.add(kept.replica);
      this.#show(kept);
    }
    if (this.#lines.length > keptLines + slack) {
      const old = this.#lines.splice(0, this.#lines.length - keptLines);
      const goneNow = old.filter((line) => this.#passes(line)).length;
      this.#shown.splice(0, goneNow);
      this.#gone += goneNow;
      this.#pageDropped += old.length;
    }
    this.#dropped = dropped + this.#pageDropped;
    this.changed();
  }

  #show(line: PanelLogLine): void {
    if (!this.#passes(line)) return;
    this.#shown.push(line);
    this.#widestChars = Math.max(this.#widestChars, line.text.length);
  }

  #sift(): void {
    this.#shown = [];
    this.#gone = 0;
    this.#widestChars = 0;
    for (const line of this.#lines) this.#show(line);
  }

  #passes(line: PanelLogLine): boolean {
    const { stream, replica } = this.#filter;
    if (stream !== "all" && line.stream !== stream) return false;
    if (replica !== "all" && String(line.replica) !== replica) return false;
    return this.#needle === "" || plainText(line.text).toLowerCase().includes(this.#needle);
  }
}
