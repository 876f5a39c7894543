import * as v from "valibot";
import { FarcallError } from "../spec/errors.ts";
import type { Transport } from "../transport/transport.ts";
import { asError, fromFailure, toFailure } from "./failure.ts";
import { decodeFrame, encodeFrame } from "./frame.ts";
import { failureSchema } from "./failure.ts";
import type { Catalogue, Item, Params, Result } from "./messages/catalogue.ts";
import { handOff } from "./handOff.ts";
import { type Abortable, type Incoming, Served } from "./served.ts";

/**
 * Requests, replies and streams on any transport, the same in both directions.
 *
 * A request has an id that its sender counts up. The answer is one `reply` or `fail`; a stream sends items
 * before it, no more than the receiver gave credit for, so a slow reader holds back the sender instead of
 * filling memory. `cancel` asks the other side to stop; the request then still ends with a reply or fail.
 * When the transport closes, everything open ends with `connection.lost`, and handlers see their signal abort.
 */

/** What a side answers with: a header that fits the method's schema, and bytes. */
export interface Answer<T> {
  result: T;
  body?: Uint8Array;
}

export interface Received<T> {
  value: T;
  body: Uint8Array;
}

export interface RequestOptions {
  body?: Uint8Array;
  signal?: Abortable | undefined;
  /**
   * What an abort does besides telling the other side: `reject` (default) ends the request here at once,
   * `wait` leaves it open until the other side has made an end of it.
   */
  onAbort?: "reject" | "wait";
  /** Default: no bound of its own, for calls whose length only the user knows. */
  timeoutMs?: number;
}

/** Takes an item of a stream. The next ones are held back until what it returns has resolved. */
export type OnItem = (item: unknown, body: Uint8Array) => void | Promise<void>;

export type Handlers<C extends Catalogue> = {
  [K in keyof C]: (
    params: Params<C[K]>,
    incoming: Incoming<Item<C[K]>>,
  ) => Answer<Result<C[K]>> | Promise<Answer<Result<C[K]>>>;
};

export interface PeerOptions<Mine extends Catalogue> {
  /** The methods this side serves. */
  methods: Mine;
  handlers: Handlers<Mine>;
  /** Called once when the connection is gone. */
  onClose?: (cause?: Error) => void;
  /** Whether silence of the other side for `silenceLimitMs` ends the connection. Default false. */
  keepAlive?: boolean;
}

/** A side that has been silent for this long is taken for lost; VS Code's remote protocol uses the same 20 s. */
const silenceLimitMs = 20_000;
const pingEveryMs = 5_000;
/** Items a stream may have on the way before the reader has taken one. */
const streamWindow = 16;

interface Pending {
  resolve(received: Received<unknown>): void;
  reject(error: Error): void;
  onItem?: OnItem;
}

export class Peer<Theirs extends Catalogue, Mine extends Catalogue = Record<never, never>> {
  readonly #transport: Transport;
  readonly #theirs: Theirs;
  readonly #options: PeerOptions<Mine>;
  readonly #pending = new Map<number, Pending>();
  readonly #serving = new Map<number, Served>();
  #nextId = 1;
  #silentTicks = 0;
  #keepAlive: NodeJS.Timeout | undefined;
  #closed: { cause: Error | undefined } | undefined;
  readonly #closing = Promise.withResolvers<void>();

  constructor(transport: Transport, theirs: Theirs, options: PeerOptions<Mine>) {
    this.#transport = transport;
    this.#theirs = theirs;
    this.#options = options;
    if (options.keepAlive) {
      this.#keepAlive = setInterval(() => this.#checkSilence(), pingEveryMs);
      this.#keepAlive.unref();
    }
    transport.start({
      onFrame: (frame) => this.#receive(frame),
      onClose: (cause) => this.#end(cause),
    });
  }

  get isOpen(): boolean {
    return this.#closed === undefined;
  }

  /** Resolves when the connection is gone. */
  get closed(): Promise<void> {
    return this.#closing.promise;
  }

  /** Sends a request and resolves with its reply. Rejects with the other side's error, or `connection.lost`. */
  request<K extends keyof Theirs & string>(
    method: K,
    params: Params<Theirs[K]>,
    options: RequestOptions = {},
    onItem?: OnItem,
  ): Promise<Received<Result<Theirs[K]>>> {
    return this.#open(method, params, options, onItem);
  }

  /** Sends a request that is not answered. */
  notify<K extends keyof Theirs & string>(method: K, params: Params<Theirs[K]>, body?: Uint8Array): void {
    this.#transport.send(encodeFrame({ ...params, type: method, id: 0 }, body));
  }

  /**
   * Sends a request and returns its items as they come. Leaving the loop early cancels the request. The
   * result of the request is the generator's return value.
   */
  stream<K extends keyof Theirs & string>(
    method: K,
    params: Params<Theirs[K]>,
    options: RequestOptions = {},
  ): AsyncGenerator<Received<Item<Theirs[K]>>, Received<Result<Theirs[K]>>, undefined> {
    return handOff(
      (give, signal) =>
        this.request(method, params, { ...options, signal }, (value, body) =>
          give({ value: value as Item<Theirs[K]>, body }),
        ),
      options.signal,
    );
  }

  close(): void {
    this.#transport.close();
  }

  destroy(): void {
    this.#transport.destroy();
  }

  #open(
    method: string,
    params: object,
    options: RequestOptions,
    onItem: OnItem | undefined,
  ): Promise<Received<unknown>> {
    const { body, signal, timeoutMs, onAbort = "reject" } = options;
    if (this.#closed) return Promise.reject(connectionLost(this.#closed.cause));
    if (signal?.aborted) return Promise.reject(asError(signal.reason));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const header = onItem ? { ...params, type: method, id, credit: streamWindow } : { ...params, type: method, id };
      const frame = encodeFrame(header, body);
      let timer: NodeJS.Timeout | undefined;
      const settle = () => {
        this.#pending.delete(id);
        if (timer) clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
      };
      const giveUp = (error: Error) => {
        settle();
        this.#transport.send(encodeFrame({ type: "cancel", id }));
        reject(error);
      };
      const abort = () => {
        if (onAbort === "wait") this.#transport.send(encodeFrame({ type: "cancel", id }));
        else giveUp(asError(signal?.reason));
      };
      signal?.addEventListener("abort", abort, { once: true });
      if (timeoutMs !== undefined) {
        timer = setTimeout(
          () =>
            giveUp(
              new FarcallError("timeout", `The other side did not answer ${method} within ${timeoutMs} ms.`, {
                retryable: true,
              }),
            ),
          timeoutMs,
        );
      }
      const pending: Pending = {
        resolve: (received) => {
          settle();
          try {
            const schema = this.#theirs[method]?.result;
            resolve(schema ? { value: parse(schema, received.value, method), body: received.body } : received);
          } catch (error) {
            reject(asError(error));
          }
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      if (onItem) {
        const itemSchema = this.#theirs[method]?.item;
        pending.onItem = async (item, itemBody) => {
          try {
            await onItem(itemSchema ? parse(itemSchema, item, method) : item, itemBody);
            this.#transport.send(encodeFrame({ type: "credit", id, credit: 1 }));
          } catch (error) {
            if (this.#pending.has(id)) giveUp(asError(error));
          }
        };
      }
      this.#pending.set(id, pending);
      this.#transport.send(frame);
    });
  }

  #receive(frame: Uint8Array): void {
    // Frames may still come out of a transport that is being destroyed.
    if (this.#closed) return;
    this.#silentTicks = 0;
    try {
      const { header, body } = decodeFrame(frame);
      const type = header["type"];
      if (typeof type !== "string") throw new FarcallError("protocol.invalid", "A message has no type.");
      if (isControl(type)) this.#control(type, header, body);
      else this.#serve(type, header, body);
    } catch (error) {
      // A party that breaks the protocol once cannot be trusted to be in step again.
      this.#end(asError(error));
      this.#transport.destroy();
    }
  }

  #control(type: ControlType, header: Record<string, unknown>, body: Uint8Array): void {
    if (type === "ping") {
      this.#transport.send(encodeFrame({ type: "pong" }));
      return;
    }
    if (type === "pong") return;
    const id = idOf(header);
    switch (type) {
      case "reply":
        this.#pending.get(id)?.resolve({ value: header["result"], body });
        return;
      case "fail":
        this.#pending.get(id)?.reject(fromFailure(parse(failureSchema, header["error"], type)));
        return;
      case "item":
        this.#take(id, header["item"], body);
        return;
      case "credit":
        this.#serving.get(id)?.grant(parse(creditSchema, header["credit"], type));
        return;
      case "cancel":
        this.#serving.get(id)?.abort(new FarcallError("run.cancelled", "The caller cancelled."));
        return;
    }
  }

  /** An item that cannot be read, or that the reader throws at, ends its request. */
  #take(id: number, item: unknown, body: Uint8Array): void {
    const pending = this.#pending.get(id);
    const taken = pending?.onItem?.(item, body);
    if (taken instanceof Promise) {
      taken.catch((error: unknown) => {
        this.#transport.send(encodeFrame({ type: "cancel", id }));
        pending?.reject(asError(error));
      });
    }
  }

  #serve(type: string, header: Record<string, unknown>, body: Uint8Array): void {
    const method = Object.hasOwn(this.#options.methods, type) ? this.#options.methods[type] : undefined;
    const handler = method && this.#options.handlers[type];
    const id = idOf(header);
    if (!method || !handler) {
      this.#fail(id, new FarcallError("protocol.invalid", `There is no method ${JSON.stringify(type)}.`));
      return;
    }
    const credit = typeof header["credit"] === "number" ? header["credit"] : 0;
    if (this.#serving.has(id)) throw new FarcallError("protocol.invalid", `There are two requests ${id}.`);
    const served = new Served(this.#transport, id, body, credit);
    if (id !== 0) this.#serving.set(id, served);
    const fail = (error: unknown) => {
      this.#serving.delete(id);
      this.#fail(id, error);
    };
    const finish = (answer: Answer<unknown>) => {
      const unsent = served.unsent;
      if (unsent) {
        unsent.then(() => finish(answer), fail);
        return;
      }
      this.#serving.delete(id);
      if (id === 0) return;
      try {
        this.#transport.send(encodeFrame({ type: "reply", id, result: answer.result }, answer.body));
      } catch (error) {
        this.#fail(id, error);
      }
    };
    try {
      const params = parse(method.params, header, type);
      // A handler that answers at once is answered at once: a turn of the microtask queue counts on the warm path.
      const answer = handler(params, served);
      if (answer instanceof Promise) answer.then(finish, fail);
      else finish(answer);
    } catch (error) {
      fail(error);
    }
  }

  #fail(id: number, error: unknown): void {
    if (id !== 0) this.#transport.send(encodeFrame({ type: "fail", id, error: toFailure(error) }));
  }

  #checkSilence(): void {
    this.#silentTicks++;
    if (this.#silentTicks * pingEveryMs > silenceLimitMs) {
      this.#end(new Error(`nothing was heard from the other side for ${silenceLimitMs / 1000} s`));
      this.#transport.destroy();
    } else {
      this.#transport.send(encodeFrame({ type: "ping" }));
    }
  }

  #end(cause: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = { cause };
    clearInterval(this.#keepAlive);
    const lost = connectionLost(cause);
    for (const pending of this.#pending.values()) pending.reject(lost);
    for (const served of this.#serving.values()) served.abort(lost);
    this.#pending.clear();
    this.#serving.clear();
    this.#options.onClose?.(cause);
    this.#closing.resolve();
  }
}

/** What either side may send besides the requests of its catalogue. `reply`, `fail`, `item`, `credit` and `cancel` name a request. */
const controlTypes = ["reply", "fail", "item", "credit", "cancel", "ping", "pong"] as const;
type ControlType = (typeof controlTypes)[number];
const creditSchema = v.pipe(v.number(), v.integer(), v.minValue(0));

function isControl(type: string): type is ControlType {
  return (controlTypes as readonly string[]).includes(type);
}

/** Read by hand rather than by a schema: every message has one. */
function idOf(header: Record<string, unknown>): number {
  const id = header["id"];
  if (typeof id === "number" && Number.isSafeInteger(id) && id >= 0) return id;
  throw new FarcallError("protocol.invalid", "A message has no id.");
}

function parse<T>(schema: v.GenericSchema<T>, value: unknown, what: string): T {
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  const issue = parsed.issues[0];
  const path = issue.path?.map((part) => String(part.key)).join(".");
  throw new FarcallError(
    "protocol.invalid",
    `A message ${what} cannot be read: ${path ? `${path}: ` : ""}${issue.message}.`,
  );
}

function connectionLost(cause: Error | undefined): FarcallError {
  if (cause instanceof FarcallError) return cause;
  const why = cause ? `: ${cause.message}` : "";
  return new FarcallError("connection.lost", `The connection was lost${why}.`, { cause, retryable: true });
}
