import type { StatusLine } from "./terminal.ts";

/** Links are cut and there again within a moment, of which a log file needs no line. */
const plainAfterMs = 3_000;

/** Says that a connection was lost and is sought again: on the status line, or elsewhere when it takes a while. */
export class Reconnecting implements Disposable {
  readonly #line: StatusLine;
  readonly #cluster: string;
  #timer: NodeJS.Timeout | undefined;
  #said = false;
  isReconnecting = false;

  constructor(line: StatusLine, cluster: string) {
    this.#line = line;
    this.#cluster = cluster;
  }

  readonly onReconnecting = (isReconnecting: boolean): void => {
    this.isReconnecting = isReconnecting;
    clearTimeout(this.#timer);
    if (this.#line.isLive) {
      if (isReconnecting) this.#line.update(`reconnecting to ${this.#cluster}`);
      else this.#line.clear();
    } else if (isReconnecting) {
      this.#timer = setTimeout(() => {
        this.#said = true;
        this.#line.print(`the connection to ${this.#cluster} was lost; reconnecting`);
      }, plainAfterMs);
      this.#timer.unref();
    } else if (this.#said) {
      this.#said = false;
      this.#line.print(`connected to ${this.#cluster} again`);
    }
  };

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
