import type { AgentMethods } from "../../protocol/messages/agent.ts";
import type { Params } from "../../protocol/messages/catalogue.ts";
import type { LiveCall, StoredRequest, StoredResult } from "../liveCall.ts";
import { envSpecOf } from "../../spec/env.ts";
import type { Fleet } from "./fleet.ts";

/**
 * Sends what became of calls to one other node, so that it is known when this one dies. As with the record on disk that
 * comes a moment later, many at once.
 */
export class CallCopies implements Disposable {
  readonly #fleet: Fleet;
  readonly #waiting: Ended[] = [];
  #waitingBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #sending = false;
  #closed = false;

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  add(call: LiveCall, result: StoredResult | undefined): void {
    this.#waiting.push({ call, result });
    this.#waitingBytes += sizeOf(result);
    // In a storm the newest count: no node keeps more.
    while (this.#waiting.length > maxWaiting || this.#waitingBytes > maxWaitingBytes) this.#take();
    this.#timer ??= setTimeout(() => void this.#send(), sendAfterMs);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #take(): Ended {
    const ended = this.#waiting.shift()!;
    this.#waitingBytes -= sizeOf(ended.result);
    return ended;
  }

  async #send(): Promise<void> {
    this.#timer = undefined;
    if (this.#sending) return;
    this.#sending = true;
    while (this.#waiting.length > 0 && !this.#closed) {
      const batch = [this.#take()];
      let bytes = sizeOf(batch[0]!.result);
      while (this.#waiting.length > 0 && batch.length < maxAtOnce) {
        bytes += sizeOf(this.#waiting[0]!.result);
        if (bytes > maxCopiedBytes) break;
        batch.push(this.#take());
      }
      await this.#sendBatch(batch.map(copyOf));
    }
    this.#sending = false;
  }

  /** To the next node by number that takes it. */
  async #sendBatch(copies: readonly { call: KeptCall; body: Uint8Array[] }[]): Promise<void> {
    const calls = copies.map(({ call }) => call);
    const body = Buffer.concat(copies.flatMap((copy) => copy.body));
    const others = this.#fleet.elsewhere();
    const behind = others.filter(({ number }) => number > this.#fleet.number);
    for (const { number } of new Set([...behind, ...others])) {
      try {
        const peer = await this.#fleet.peer(number);
        await peer.request("run.keep", { calls }, { body, timeoutMs: keepTimeoutMs });
        return;
      } catch {
        // Another may take it.
      }
    }
  }
}

interface Ended {
  call: LiveCall;
  result: StoredResult | undefined;
}

type KeptCall = Params<AgentMethods["run.keep"]>["calls"][number];

const sendAfterMs = 100;
const keepTimeoutMs = 15_000;
const maxWaiting = 2_000;
const maxWaitingBytes = 64 * 1024 * 1024;
/** Of records together: they travel in a header, which is capped at 1 MiB, and may have two paths of 4 KiB. */
const maxAtOnce = 50;
/** Of results together, and of one: what is larger is on one node only. */
const maxCopiedBytes = 8 * 1024 * 1024;

function sizeOf(result: StoredResult | undefined): number {
  return (result?.body?.byteLength ?? 0) + (result?.itemsBody?.byteLength ?? 0);
}

function copyOf({ call, result }: Ended): { call: KeptCall; body: Uint8Array[] } {
  const fits = sizeOf(result) <= maxCopiedBytes;
  const { module, export: name, timeoutMs, args } = call.request;
  const itemsBody = fits ? result?.itemsBody : undefined;
  const answer = fits ? result?.body : undefined;
  return {
    call: {
      record: call.record,
      env: envSpecOf(call.module.env),
      module,
      export: name,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(result ? { ok: result.ok } : {}),
      items: result?.items ?? 0,
      bytes: {
        args: args?.byteLength ?? null,
        items: itemsBody?.byteLength ?? null,
        answer: answer?.byteLength ?? null,
      },
    },
    body: [args, itemsBody, answer].filter((part) => part !== undefined),
  };
}

/** What another node sent to be kept. */
export function* keptCalls(
  { calls }: Params<AgentMethods["run.keep"]>,
  body: Uint8Array,
): Generator<{ call: KeptCall; request: StoredRequest; result: StoredResult | undefined }> {
  let at = 0;
  // A copy: what was received lies in a larger buffer.
  const next = (bytes: number | null) =>
    bytes === null ? undefined : new Uint8Array(body.subarray(at, (at += bytes)));
  for (const call of calls) {
    const { module, export: name, timeoutMs, ok, items, bytes } = call;
    const [args, itemsBody, answer] = [next(bytes.args), next(bytes.items), next(bytes.answer)];
    yield {
      call,
      request: { module, export: name, timeoutMs, args },
      result: ok === undefined ? undefined : { ok, body: answer, items, itemsBody },
    };
  }
}
