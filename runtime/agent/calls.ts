import { encodeError } from "../protocol/codec.ts";
import type { AgentMethods } from "../protocol/messages/agent.ts";
import type { Result } from "../protocol/messages/catalogue.ts";
import type { Answer } from "../protocol/rpc.ts";
import { FarcallError } from "../spec/errors.ts";
import { describeDeath } from "./death.ts";
import type { LiveCall } from "./liveCall.ts";
import type { Pool, Slot, Workload } from "./pool.ts";

/** Single calls: each goes to a replica with room, and is begun at most once. */

type CallAnswer = Answer<Result<AgentMethods["call"]>>;

/** A worker that has not reacted this long after its call's time was up is ended. */
const overtimeMs = 500;
/** Node's timers fire at once above this. */
const maxTimerMs = 2 ** 31 - 1;
/** How long a cancelled function may take to react to its signal before its worker is ended. */
const cancelGraceMs = 2_000;

interface Call {
  live: LiveCall;
  logFile(slot: Slot): string;
  resolve(answer: CallAnswer): void;
  reject(error: Error): void;
  /** It was told to stop, did not, and takes its worker with it. */
  givenUp: boolean;
}

export class Calls implements Workload {
  readonly urgent = true;
  usedMs = 0;
  readonly #pool: Pool;
  readonly #waiting: Call[] = [];
  #active = 0;

  constructor(pool: Pool) {
    this.#pool = pool;
    pool.add(this);
  }

  /** A call that another node sent here is worked here, even where this one would have sent it elsewhere by now. */
  get maxReplicas(): number {
    return Math.max(1, this.#pool.share(null));
  }

  get wanted(): number {
    return Math.ceil((this.#waiting.length + this.#active) / this.#pool.module.env.concurrency);
  }

  run(live: LiveCall, logFile: (slot: Slot) => string): Promise<CallAnswer> {
    return new Promise((resolve, reject) => {
      const call: Call = { live, logFile, resolve, reject, givenUp: false };
      // The shortest way, for the most common case: nobody waits and a replica has nothing to do.
      const free = this.#waiting.length === 0 ? this.#pool.freeSlot() : undefined;
      if (free) void this.#work(call, free);
      else {
        this.#waiting.push(call);
        live.addEventListener("abort", () => this.#leaveQueue(call));
        this.#pool.dispatch();
      }
    });
  }

  offer(slot: Slot): "given" | "none" | "wait" {
    if (this.#waiting.length === 0 || slot.draining) return "none";
    if (slot.slices.size > 0) return "wait";
    if (slot.calls >= this.#pool.module.env.concurrency) return "none";
    void this.#work(this.#waiting.shift()!, slot);
    return "given";
  }

  fail(error: FarcallError): void {
    for (const call of this.#waiting.splice(0)) call.reject(error);
  }

  #leaveQueue(call: Call): void {
    const at = this.#waiting.indexOf(call);
    if (at === -1) return;
    this.#waiting.splice(at, 1);
    call.reject(cancelled());
  }

  async #work(call: Call, slot: Slot): Promise<void> {
    const { replica } = slot;
    const { live } = call;
    const { params } = live;
    slot.calls++;
    slot.lastRun = params.run;
    this.#active++;
    const { timeoutMs } = params;
    const overtime =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => this.#giveUp(call, slot, "timeout"), Math.min(timeoutMs + overtimeMs, maxTimerMs));
    let grace: NodeJS.Timeout | undefined;
    const cancel = () => {
      grace = setTimeout(() => this.#giveUp(call, slot, "cancelled"), cancelGraceMs);
    };
    live.addEventListener("abort", cancel);
    try {
      const request = {
        run: params.run,
        logFile: call.logFile(slot),
        export: params.export,
        timeoutMs: timeoutMs ?? null,
      };
      const { value, body } = await replica.peer.request(
        "invoke",
        request,
        { body: live.body, signal: live, onAbort: "wait" },
        (_item, itemBody) => live.send({}, itemBody),
      );
      call.resolve({ result: { ok: value.ok, replica: replica.id }, body });
    } catch (error) {
      if (live.aborted) call.reject(cancelled());
      else if (error instanceof FarcallError && error.code === "connection.lost") {
        const death = await replica.died;
        const described = describeDeath(death, 1);
        call.resolve({ result: { ok: false, replica: replica.id }, body: encodeError(described) });
      } else call.reject(error as Error);
    } finally {
      clearTimeout(overtime);
      clearTimeout(grace);
      live.removeEventListener("abort", cancel);
      if (call.givenUp) slot.stuck--;
      slot.calls--;
      this.#active--;
      this.#pool.finished(slot);
    }
  }

  /**
   * Ends a call whose function does not react. That takes the whole worker, so calls beside it are let finish
   * first; the one given up is answered now.
   */
  #giveUp(call: Call, slot: Slot, why: "timeout" | "cancelled"): void {
    call.givenUp = true;
    slot.stuck++;
    if (slot.calls === slot.stuck && slot.slices.size === 0) {
      slot.replica.kill(why);
      return;
    }
    if (why === "timeout") {
      const error = new FarcallError("item.timeout", "The function did not finish in time.");
      call.resolve({ result: { ok: false, replica: slot.replica.id }, body: encodeError(error) });
    } else call.reject(cancelled());
    this.#pool.recycle(slot);
  }
}

function cancelled(): FarcallError {
  return new FarcallError("run.cancelled", "The call was cancelled.");
}
