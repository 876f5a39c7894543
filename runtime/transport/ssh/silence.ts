import type { Duplex } from "node:stream";
import type { Client } from "ssh2";
import { messageOf } from "../../spec/errors.ts";
import { ask } from "./asking.ts";

const everyMs = 4_000;
/** So many unanswered in a row mean that the link is dead; counted, as this process may have slept in between. */
const missedAtMost = 3;
/** So many where others answer meanwhile, who would not if it were the network. */
const missedBesideOthers = 2;

/**
 * Resolves to whether others answer that are reached by the same network; never rejects. The signal is aborted when
 * nobody wants to know any more.
 */
export type DoOthersAnswer = (signal: AbortSignal) => Promise<boolean>;

/** Notices when the other side is silent, and fails the client. */
export class Silence {
  /** Asked once in a silence, when an answer is late. */
  doOthersAnswer: DoOthersAnswer | undefined;
  readonly #client: Client;
  readonly #timer: NodeJS.Timeout;
  #unanswered = 0;
  #othersAnswer = false;
  #comparing: AbortController | undefined;

  constructor(client: Client, stream: Duplex, closed: Promise<unknown>) {
    this.#client = client;
    // Anything counts: an answer can be long behind an upload over a slow link.
    stream.on("data", this.#hear);
    this.#timer = setInterval(() => this.#ask(), everyMs).unref();
    void closed.then(() => {
      clearInterval(this.#timer);
      this.#comparing?.abort();
    });
  }

  readonly #hear = (): void => {
    this.#unanswered = 0;
    this.#othersAnswer = false;
    this.#comparing?.abort();
  };

  #ask(): void {
    if (this.#unanswered >= missedAtMost) return this.#fail("it does not answer any more");
    if (this.#unanswered >= missedBesideOthers && this.#othersAnswer)
      return this.#fail("it does not answer any more, as others do");
    if (this.#unanswered === 1) void this.#compare();
    this.#unanswered++;
    try {
      ask(this.#client, this.#hear);
    } catch (error) {
      this.#fail(messageOf(error));
    }
  }

  async #compare(): Promise<void> {
    const { signal } = (this.#comparing = new AbortController());
    const answer = (await this.doOthersAnswer?.(signal)) ?? false;
    if (!signal.aborted) this.#othersAnswer = answer;
  }

  #fail(why: string): void {
    clearInterval(this.#timer);
    this.#client.emit("error", new Error(why));
  }
}
