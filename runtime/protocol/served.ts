import type { Transport } from "../transport/transport.ts";
import { asError } from "./failure.ts";
import { emptyBody, encodeFrame } from "./frame.ts";

/** As much of an AbortSignal as is needed here. The real one costs more than a whole warm call. */
export interface Abortable {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: () => void, options?: { once: boolean }): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** One request as its handler sees it. */
export interface Incoming<I> {
  readonly body: Uint8Array;
  /** Aborts when the other side cancels or goes away. */
  readonly signal: AbortSignal;
  /** The same, for the hot path. */
  readonly cancellation: Abortable;
  /** Sends one item of a stream; resolves when the next may follow. Resolves at once after an abort. */
  send(item: I, body?: Uint8Array): Promise<void>;
}

/** The serving end of one request. */
export class Served implements Incoming<unknown>, Abortable {
  readonly body: Uint8Array;
  readonly #transport: Transport;
  readonly #id: number;
  #credit: number;
  /** Items for which there is no credit yet, in their order. */
  #waiting: { item: unknown; body: Uint8Array | undefined; settle: (error?: unknown) => void }[] = [];
  #lastWaiting: Promise<void> | undefined;
  #controller: AbortController | undefined;
  #aborted: Error | undefined;
  #listeners: (() => void)[] | undefined;

  constructor(transport: Transport, id: number, body: Uint8Array, credit: number) {
    this.#transport = transport;
    this.#id = id;
    this.body = body;
    this.#credit = credit;
  }

  /** Made when first asked for: most requests are answered before anyone could cancel them. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort(this.#aborted);
    }
    return this.#controller.signal;
  }

  get cancellation(): Abortable {
    return this;
  }

  get aborted(): boolean {
    return this.#aborted !== undefined;
  }

  get reason(): unknown {
    return this.#aborted;
  }

  addEventListener(_type: "abort", listener: () => void): void {
    (this.#listeners ??= []).push(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.#listeners = this.#listeners?.filter((each) => each !== listener);
  }

  async send(item: unknown, body?: Uint8Array): Promise<void> {
    if (this.#aborted) return;
    if (this.#credit > 0) {
      this.#sendNow(item, body);
      return;
    }
    this.#lastWaiting = new Promise<void>((resolve, reject) => {
      const settle = (error?: unknown) => (error === undefined ? resolve() : reject(asError(error)));
      this.#waiting.push({ item, body, settle });
    });
    await this.#lastWaiting;
  }

  /** Resolves when the items that still wait for credit are sent; undefined when none do. */
  get unsent(): Promise<void> | undefined {
    return this.#waiting.length > 0 ? this.#lastWaiting : undefined;
  }

  grant(credit: number): void {
    this.#credit += credit;
    while (this.#credit > 0) {
      const next = this.#waiting.shift();
      if (!next) return;
      try {
        this.#sendNow(next.item, next.body);
        next.settle();
      } catch (error) {
        next.settle(error);
      }
    }
  }

  #sendNow(item: unknown, body: Uint8Array | undefined): void {
    const frame = encodeFrame({ type: "item", id: this.#id, item }, body ?? emptyBody);
    this.#credit--;
    this.#transport.send(frame);
  }

  abort(reason: Error): void {
    if (this.#aborted) return;
    this.#aborted = reason;
    this.#controller?.abort(reason);
    const listeners = this.#listeners;
    this.#listeners = undefined;
    for (const listener of listeners ?? []) listener();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { settle } of waiting) settle();
  }
}
