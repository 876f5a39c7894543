import type { AgentMethods } from "../protocol/messages/agent.ts";
import type { Failure } from "../protocol/failure.ts";
import type { Item, Params } from "../protocol/messages/catalogue.ts";
import type { ModuleRef } from "../protocol/messages/code.ts";
import type { RunRecord, RunState } from "../protocol/messages/runs.ts";
import { toFailure } from "../protocol/failure.ts";
import { packValues } from "../protocol/pack.ts";
import type { Abortable, Incoming } from "../protocol/served.ts";
import { FarcallError } from "../spec/errors.ts";
import { label } from "./runWords.ts";

type CallParams = Params<AgentMethods["call"]>;
type CallItem = Item<AgentMethods["call"]>;

/** Above these, results and arguments are not kept; the caller of a call that is not detached got its result. */
const maxResultBytes = 1024 * 1024;
const maxDetachedResultBytes = 64 * 1024 * 1024;
const maxArgsBytes = 256 * 1024;
const maxItemsBytes = 8 * 1024 * 1024;
/** No pack holds more. */
const maxItems = 100_000;

/** What is kept of the end of a call. */
export interface StoredResult {
  ok: boolean;
  /** The encoded return value or error. */
  body: Uint8Array | undefined;
  /** How many values it yielded. */
  items: number;
  /** A pack of them; undefined when there were none, or too many to be kept. */
  itemsBody: Uint8Array | undefined;
}

/** What was asked for, with the module by its key. */
export interface StoredRequest {
  module: string;
  export: string;
  timeoutMs: number | undefined;
  /** Undefined when they were too large to be kept. */
  args: Uint8Array | undefined;
}

/** Where a request comes from that is yet to be stored. */
export interface Asked {
  readonly request: StoredRequest;
  requestStored: boolean;
}

/**
 * A call that is running, between the one who made it and the replica that works on it. Cancelling it is up to its
 * caller, whose lost connection counts as well unless the call is detached, and to whoever else knows its id.
 *
 * Every warm call makes one of these, so it does little until somebody asks.
 */
export class LiveCall implements Abortable, Asked {
  readonly params: CallParams;
  readonly body: Uint8Array;
  /** Set when its request has been stored. */
  requestStored = false;
  /** Set when another node worked on it, which has its record and result as well. */
  keptElsewhere = false;
  readonly #module: ModuleRef;
  readonly #caller: Incoming<CallItem>;
  readonly #createdAtMs = Date.now();
  #state: RunState = "running";
  #endedAtMs: number | null = null;
  #error: Failure | null = null;
  #items: Uint8Array[] | undefined;
  #itemCount = 0;
  #itemsBytes = 0;
  #reason: Error | undefined;
  #listeners: (() => void)[] | undefined;

  constructor(params: CallParams, module: ModuleRef, caller: Incoming<CallItem>) {
    this.params = params;
    this.body = caller.body;
    this.#module = module;
    this.#caller = caller;
    caller.cancellation.addEventListener("abort", () => this.#callerLeft());
  }

  get aborted(): boolean {
    return this.#reason !== undefined;
  }

  get reason(): Error | undefined {
    return this.#reason;
  }

  addEventListener(_type: "abort", listener: () => void): void {
    (this.#listeners ??= []).push(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.#listeners = this.#listeners?.filter((each) => each !== listener);
  }

  abort(reason: Error): void {
    if (this.#reason) return;
    this.#reason = reason;
    const listeners = this.#listeners;
    this.#listeners = undefined;
    for (const listener of listeners ?? []) listener();
  }

  /** Keeps a yielded value and sends it on; resolves when the next may follow, at once when nobody is left to read. */
  send(item: CallItem, body: Uint8Array): Promise<void> {
    this.#itemCount++;
    this.#itemsBytes += body.byteLength;
    if (this.#itemsBytes > maxItemsBytes || this.#itemCount > maxItems) this.#items = undefined;
    // A copy: what was received lies in a larger buffer.
    else (this.#items ??= []).push(Buffer.from(body));
    return this.#caller.send(item, body);
  }

  /** Notes that it is over. `ok` is undefined when there is no answer, for the reason in `error`. */
  end(ok: boolean | undefined, error?: unknown): void {
    this.#endedAtMs = Date.now();
    // Where it was forwarded to, somebody else may have cancelled it.
    const cancelled = this.aborted || (error instanceof FarcallError && error.code === "run.cancelled");
    this.#state = cancelled ? "cancelled" : ok ? "done" : "failed";
    if (error !== undefined && !cancelled) this.#error = toFailure(error);
  }

  result(ok: boolean, answer: Uint8Array | undefined): StoredResult {
    const limitBytes = this.params.detached ? maxDetachedResultBytes : maxResultBytes;
    return {
      ok,
      body: answer && answer.byteLength <= limitBytes ? answer : undefined,
      items: this.#itemCount,
      itemsBody: this.#items && packValues(this.#items),
    };
  }

  get request(): StoredRequest {
    const { module, export: name, timeoutMs } = this.params;
    const args = this.body.byteLength <= maxArgsBytes ? this.body : undefined;
    return { module, export: name, timeoutMs, args };
  }

  get record(): RunRecord {
    const ended = this.#endedAtMs !== null;
    return {
      id: this.params.run,
      kind: "call",
      label: label({ module: this.#module, export: this.params.export }),
      env: this.#module.env.name,
      state: this.#state,
      createdAtMs: this.#createdAtMs,
      endedAtMs: this.#endedAtMs,
      total: 1,
      accepted: 1,
      done: ended ? 1 : 0,
      failed: this.#state === "failed" || this.#state === "cancelled" ? 1 : 0,
      active: ended ? 0 : 1,
      replicas: 1,
      error: this.#error,
      costUsd: 0,
      source: this.#module.source,
      bundle: this.#module.bundle.hash,
    };
  }

  get module(): ModuleRef {
    return this.#module;
  }

  #callerLeft(): void {
    const reason = this.#caller.cancellation.reason as Error;
    const asked = reason instanceof FarcallError && reason.code === "run.cancelled";
    if (asked || !this.params.detached) this.abort(reason);
  }
}
