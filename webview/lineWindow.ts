import type { PanelLogLine } from "./messages/run.ts";

/**
 * The newest lines of a log within two limits, and how many older ones there are. The extension keeps one for a page
 * that comes and goes, the page another of what it was sent, so both count alike.
 */
export interface WindowLimits {
  lines: number;
  /** Of the texts of all lines. */
  chars: number;
}

/** How far beyond its limits it grows before lines go, so that not every line moves all others. */
const slack = 1.1;

export class LineWindow {
  limits: WindowLimits;
  #lines: PanelLogLine[] = [];
  #chars = 0;
  #dropped = 0;

  constructor(limits: WindowLimits) {
    this.limits = limits;
  }

  get lines(): readonly PanelLogLine[] {
    return this.#lines;
  }

  /** Older lines that are not here, whatever became of them. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Returns the lines that had to go. */
  push(lines: readonly PanelLogLine[]): PanelLogLine[] {
    for (const line of lines) {
      this.#lines.push(line);
      this.#chars += line.text.length;
    }
    const { limits } = this;
    if (this.#lines.length <= limits.lines * slack && this.#chars <= limits.chars * slack) return [];
    let over = 0;
    while (this.#lines.length - over > limits.lines || this.#chars > limits.chars) {
      this.#chars -= this.#lines[over++]!.text.length;
    }
    this.#dropped += over;
    return this.#lines.splice(0, over);
  }

  /** `count` lines are left out here, so those before them go as well: lines here follow one another. */
  skip(count: number): void {
    this.#dropped += this.#lines.length + count;
    this.#lines = [];
    this.#chars = 0;
  }

  /** The log begins anew. */
  clear(): void {
    this.#lines = [];
    this.#chars = 0;
    this.#dropped = 0;
  }
}
