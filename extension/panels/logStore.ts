import type { LogLine } from "../../runtime/index.ts";
import type { PanelLogLine } from "../../webview/messages.ts";
import { cut } from "./preview.ts";

/** The newest lines of a run's log, for a page that comes and goes. */
const maxLineChars = 10_000;

export class LogStore {
  readonly #limit: number;
  #lines: PanelLogLine[] = [];
  #dropped = 0;

  /** Keeps `limit` lines. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get lines(): readonly PanelLogLine[] {
    return this.#lines;
  }

  /** Older lines that are not kept. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Returns the lines as the page takes them. */
  add(lines: readonly LogLine[]): PanelLogLine[] {
    const taken = lines.map(({ replica, stream, timeMs, index, text }): PanelLogLine => ({
      replica,
      stream,
      timeMs,
      text: cut(text, maxLineChars),
      ...(index === undefined ? {} : { index }),
    }));
    this.#lines.push(...taken);
    // A little late, so that not every line moves all others.
    if (this.#lines.length > this.#limit * 1.1) {
      const over = this.#lines.length - this.#limit;
      this.#dropped += over;
      this.#lines = this.#lines.slice(over);
    }
    return taken;
  }

  clear(): void {
    this.#lines = [];
    this.#dropped = 0;
  }
}
