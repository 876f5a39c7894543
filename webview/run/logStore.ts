import { listen } from "../host.ts";
import { LineWindow } from "../lineWindow.ts";
import type { PanelLogLine } from "../messages/run.ts";
import type { ToPage } from "../messages/toPage.ts";
import { plainText } from "../ui/ansi.tsx";
import { Observable } from "../ui/hooks.ts";
import type { LogFilter } from "./pageState.ts";

/** The newest lines of a run's log, and those of them that pass the filter. */

export class LogStore extends Observable {
  #filter: LogFilter;
  #needle = "";
  /** Every message says how much is to be kept. */
  readonly #window = new LineWindow({ lines: 0, chars: 0 });
  #shown: PanelLogLine[] = [];
  #gone = 0;
  #widestChars = 0;
  readonly #replicas = new Set<number>();

  constructor(filter: LogFilter) {
    super();
    this.#filter = filter;
    this.#needle = filter.text.toLowerCase();
    listen((message) => {
      if (message.type === "logs") this.#take(message);
    });
  }

  get shown(): readonly PanelLogLine[] {
    return this.#shown;
  }

  /** How many of the shown lines have gone from the beginning so far. */
  get gone(): number {
    return this.#gone;
  }

  /** Whether the page has no line at all, shown or not. */
  get isEmpty(): boolean {
    return this.#window.lines.length === 0;
  }

  /** Older lines that are not here. */
  get dropped(): number {
    return this.#window.dropped;
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

  #take({ reset, dropped, kept, lines }: Extract<ToPage, { type: "logs" }>): void {
    this.#window.limits = kept;
    if (reset) {
      this.#window.clear();
      this.#replicas.clear();
    }
    if (dropped > 0) this.#window.skip(dropped);
    if (reset || dropped > 0) this.#sift();
    for (const line of lines) {
      this.#replicas.add(line.replica);
      this.#show(line);
    }
    const goneNow = this.#window.push(lines).filter((line) => this.#passes(line)).length;
    this.#shown.splice(0, goneNow);
    this.#gone += goneNow;
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
    for (const line of this.#window.lines) this.#show(line);
  }

  #passes(line: PanelLogLine): boolean {
    const { stream, replica } = this.#filter;
    if (stream !== "all" && line.stream !== stream) return false;
    if (replica !== "all" && String(line.replica) !== replica) return false;
    return this.#needle === "" || plainText(line.text).toLowerCase().includes(this.#needle);
  }
}
