import type { ToPage } from "../../webview/messages/toPage.ts";
import type { LogStore } from "./logStore.ts";

/**
 * Sends a run's log to its page: what gathers in a tenth of a second together, the next message once the page has
 * taken the one before, and nothing while there is no page. What the page is too slow for, the store drops meanwhile.
 */
export interface LogPage {
  /** Whether there is a page to be sent anything. */
  readonly isShown: boolean;
  /** Resolves when the page has been handed the message. */
  deliver(message: ToPage): Promise<void>;
}

const gatherMs = 100;
const maxLines = 2_000;
const maxChars = 1_000_000;

export class LogFeed {
  readonly #store: LogStore;
  readonly #page: LogPage;
  /** Number in the log of the line to be sent next. */
  #next = 0;
  #isReset = true;
  #timer: NodeJS.Timeout | undefined;
  /** Of the loop that sends; one for a page that is gone may wait for it forever. */
  #turn = 0;
  #isSending = false;
  #isDisposed = false;

  constructor(store: LogStore, page: LogPage) {
    this.#store = store;
    this.#page = page;
  }

  /** There are more lines. */
  changed(): void {
    if (this.#isDisposed || this.#isSending || !this.#page.isShown) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#send(this.#turn);
    }, gatherMs);
  }

  /** The log, or the page, begins anew. */
  restart(): void {
    this.#turn++;
    this.#isSending = false;
    this.#next = 0;
    this.#isReset = true;
    this.changed();
  }

  dispose(): void {
    this.#turn++;
    this.#isDisposed = true;
    clearTimeout(this.#timer);
  }

  async #send(turn: number): Promise<void> {
    this.#isSending = true;
    while (turn === this.#turn && this.#page.isShown) {
      const { first, lines } = this.#store.chunk(this.#next, maxLines, maxChars);
      if (!this.#isReset && lines.length === 0) break;
      const message: ToPage = {
        type: "logs",
        reset: this.#isReset,
        dropped: first - this.#next,
        kept: this.#store.limits,
        lines,
      };
      this.#isReset = false;
      this.#next = first + lines.length;
      await this.#page.deliver(message);
    }
    if (turn === this.#turn) this.#isSending = false;
  }
}
