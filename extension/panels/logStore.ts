import type { LogLine } from "../../runtime/index.ts";
import { LineWindow } from "../../webview/lineWindow.ts";
import type { PanelLogLine } from "../../webview/messages/run.ts";
import { cut } from "./preview.ts";

/** The newest lines of a run's log as its page takes them, for a page that comes and goes. */
const maxLineChars = 10_000;
/** Of all lines, so that panels of runs that print much do not fill the editor's memory. */
const maxLogChars = 20_000_000;

export class LogStore extends LineWindow {
  /** Keeps about `lines` lines. */
  constructor(lines: number, chars: number = maxLogChars) {
    super({ lines: Math.max(1, Math.floor(lines)), chars });
  }

  add(lines: readonly LogLine[]): void {
    this.push(
      lines.map(({ replica, stream, timeMs, index, text }) => ({
        replica,
        stream,
        timeMs,
        text: cut(text, maxLineChars),
        ...(index === undefined ? {} : { index }),
      })),
    );
  }

  /** Lines from number `number` of the log on, or from the first one that is kept, as many as make a message. */
  chunk(number: number, maxLines: number, maxChars: number): { first: number; lines: PanelLogLine[] } {
    const first = Math.max(number, this.dropped);
    const lines: PanelLogLine[] = [];
    let chars = 0;
    for (let at = first - this.dropped; at < this.lines.length && lines.length < maxLines && chars < maxChars; at++) {
      const line = this.lines[at]!;
      lines.push(line);
      chars += line.text.length;
    }
    return { first, lines };
  }
}
