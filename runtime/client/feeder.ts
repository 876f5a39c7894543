import { hasEnded } from "../protocol/runState.ts";
import { FarcallError } from "../spec/errors.ts";
import type { InputChunk, InputRange } from "./inputs.ts";
import { isConnectionLoss, pause } from "./loss.ts";
import type { Asking } from "./asking.ts";

/** Inputs could not be brought to the cluster, for the reason in `cause`. */
export class NotSent extends Error {}

/** The run ended while inputs were being sent: no fault of the sender, and the reader learns why. */
export function isEnded(error: unknown): boolean {
  return error instanceof NotSent && error.cause instanceof FarcallError && error.cause.code === "run.state";
}

const windowChunks = 16;
const windowBytes = 8 * 1024 * 1024;
const backPressurePauseMs = 100;
const leaveTimeoutMs = 2_000;
/** How often the agent is asked whether it has noticed that the connection before is gone. */
const maxTakes = 20;
const betweenTakesMs = 250;

/** Sends chunks, some at a time, and sends those again that a lost connection left unanswered. */
export class Feeder {
  readonly #session: Asking;
  readonly #run: string;
  readonly #reattach: () => Promise<unknown>;
  readonly #signal: AbortSignal;
  readonly #inFlight = new Set<Promise<void>>();
  #bytes = 0;
  #failed: { error: unknown } | undefined;

  constructor(session: Asking, run: string, reattach: () => Promise<unknown>, signal: AbortSignal) {
    this.#session = session;
    this.#run = run;
    this.#reattach = reattach;
    this.#signal = signal;
  }

  async send(chunks: AsyncGenerator<InputChunk, number, undefined>): Promise<void> {
    let total: number;
    for (;;) {
      const next = await chunks.next();
      if (next.done) {
        total = next.value;
        break;
      }
      this.#start(next.value);
      while (this.#inFlight.size >= windowChunks || this.#bytes > windowBytes) {
        await Promise.race(this.#inFlight);
        if (this.#failed) break;
      }
      if (this.#failed) {
        await chunks.return(0);
        throw this.#failed.error;
      }
    }
    await Promise.all(this.#inFlight);
    if (this.#failed) throw this.#failed.error;
    await this.#persist(async () => {
      await this.#session.request("map.close", { run: this.#run, total });
    });
  }

  #start(chunk: InputChunk): void {
    const { lo, count, body } = chunk;
    this.#bytes += body.byteLength;
    const sending = this.#persist(async () => {
      const chunks = [{ lo, count, bytes: body.byteLength }];
      await this.#session.request("map.add", { run: this.#run, chunks }, { body });
    })
      .catch((error: unknown) => {
        this.#failed ??= { error };
      })
      .finally(() => {
        this.#inFlight.delete(sending);
        this.#bytes -= body.byteLength;
      });
    this.#inFlight.add(sending);
  }

  /** Everything sent here may be sent again: chunks are known by their first index, and closing twice is fine. */
  async #persist(act: () => Promise<void>): Promise<void> {
    const patience = this.#session.patience(this.#signal);
    for (;;) {
      try {
        await act();
        return;
      } catch (error) {
        if (error instanceof FarcallError && error.code === "queue.back-pressure") {
          patience.renew();
          await pause(backPressurePauseMs, this.#signal);
        } else {
          await patience.bear(error).catch((cause: unknown) => {
            throw new NotSent("", { cause });
          });
          await this.#reattach().catch((again: unknown) => {
            if (!isConnectionLoss(again)) throw new NotSent("", { cause: again });
          });
        }
      }
    }
  }
}

/** Where the rest of a map's inputs begins. */
export interface Rest {
  /** So many inputs are stored without a gap. */
  accepted: number;
  /** Chunks behind them that came out of order. */
  stored: InputRange[];
}

/** The part of a map's inputs that is still to be sent; `busy` while another process sends it. */
export async function takeFeed(session: Asking, run: string, signal?: AbortSignal): Promise<Rest | "busy" | "ended"> {
  const { value } = await session.withRetry(() => session.request("map.take", { run }, { signal }), signal);
  const { taken, stored, record } = value;
  if (taken) return { accepted: record.accepted, stored };
  return hasEnded(record.state) ? "ended" : "busy";
}

/** For whoever sent the inputs until the connection was lost: the agent may take that one for alive for a while. */
export async function takeFeedAgain(session: Asking, run: string, signal: AbortSignal): Promise<Rest> {
  for (let takes = 0; takes < maxTakes; takes++) {
    if (takes > 0) await pause(betweenTakesMs, signal);
    const rest = await takeFeed(session, run, signal);
    if (rest === "ended") throw new FarcallError("run.state", `The run ${run} has ended.`);
    if (rest !== "busy") return rest;
  }
  throw new FarcallError("run.mismatch", `Another process sends the inputs of the run ${run}.`, {
    hint: "Only one can send them. This one goes on when the other is closed and the run is resumed here.",
  });
}

/** Says that nothing more comes from here, so that the run counts as interrupted. Whoever is not heard is gone anyway. */
export async function leaveFeed(session: Asking, run: string): Promise<void> {
  await session.request("map.leave", { run }, { timeoutMs: leaveTimeoutMs }).catch(() => undefined);
}
