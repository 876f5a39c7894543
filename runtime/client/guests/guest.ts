import type { MapSpec } from "../../protocol/messages/maps.ts";
import type { AskWork } from "../../protocol/passOn.ts";
import { FarcallError, messageOf } from "../../spec/errors.ts";
import { waitWithin } from "../../spec/waitWithin.ts";
import type { Asking } from "../asking.ts";
import { isConnectionLoss } from "../loss.ts";
import type { GuestPlace } from "./workPlace.ts";

/**
 * A cluster that works on a map of another one. This process carries work and outcomes between the two, and reads
 * neither; the queue of the map's home decides what counts. A guest that is lost is sought again while the map goes on.
 */
export interface GuestOptions {
  place: GuestPlace;
  /** The map's home, and its name. */
  home: Asking;
  homeName: string;
  run: string;
  spec: MapSpec;
  /** Whoever brings it the work already goes on with that; this is for when nobody does. */
  waits?: boolean;
  /** Told, as one line, when the cluster is lost, is there again, or does no more. */
  onWarning: (line: string) => void;
}

const endWithinMs = 3_000;
const takeBackWithinMs = 5_000;

class Guest {
  readonly #options: GuestOptions;
  #isLost = false;
  /** It has been brought work from here. */
  #isBrought = false;

  constructor(options: GuestOptions) {
    this.#options = options;
  }

  mapEnded(): void {
    this.#options.place.session.runEnded(this.#options.run);
  }

  /** Has the cluster work until the map has ended there or `signal` aborts. Never rejects. */
  async work(signal: AbortSignal): Promise<void> {
    const { place, run, onWarning } = this.#options;
    const { session } = place;
    const patience = session.patience(signal);
    session.followed.begin(run);
    const lending = session.lend(run, (method, params, options, onItem) => {
      patience.renew();
      this.#isBrought = true;
      if (method === "work.claim") this.#isBack();
      return this.#askHome(method, params, options, onItem);
    });
    try {
      for (;;) {
        try {
          await place.ready(signal, this.#isLost);
          await this.#join(signal);
          return;
        } catch (error) {
          signal.throwIfAborted();
          if (this.#isBrought) await this.#takeBack();
          if (isConnectionLoss(error)) this.#lost(error);
          await patience.bear(error);
        }
      }
    } catch (error) {
      if (!signal.aborted) onWarning(`${place.name} works on the map no longer: ${messageOf(error)}`);
    } finally {
      lending[Symbol.dispose]();
      session.followed.end(run);
    }
  }

  /** Resolves when the map has ended; after an abort when the cluster has said what was left to say. */
  async #join(signal: AbortSignal): Promise<void> {
    const { place, run, spec, homeName, waits = false } = this.#options;
    const params = { run, spec, home: homeName, cluster: place.name, ...(waits ? { waits } : {}) };
    await place.session.request("work.join", params, { signal, background: true, onAbort: "wait" });
  }

  /** Asked again as long as the home is only out of reach: outcomes that were worked out are not to be lost for that. */
  readonly #askHome: AskWork = (method, params, options, onItem) => {
    const { home } = this.#options;
    return home.withRetry(
      () => home.request(method, params, { ...options, background: true, start: false }, onItem),
      options.signal,
    );
  };

  /** Nothing that is out on the cluster comes back: others may have it at once. */
  async #takeBack(): Promise<void> {
    this.#isBrought = false;
    const { home, run, place } = this.#options;
    const options = { background: true, start: false, timeoutMs: takeBackWithinMs };
    // Otherwise the leases run out.
    await home.request("work.leave", { run, cluster: place.name }, options).catch(() => undefined);
  }

  #lost(error: unknown): void {
    const { place, onWarning } = this.#options;
    if (this.#isLost) return;
    this.#isLost = true;
    onWarning(`${place.name} was lost, and the map goes on without it until it is back: ${messageOf(error)}`);
  }

  #isBack(): void {
    const { place, onWarning } = this.#options;
    if (!this.#isLost) return;
    this.#isLost = false;
    onWarning(`${place.name} works on the map again`);
  }
}

/** The guests of one map, from when it has begun until it ends. */
export class Guests {
  readonly #ends = new AbortController();
  readonly #guests: readonly Guest[];
  readonly #working: Promise<unknown>;
  #ended: Promise<void> | undefined;

  constructor(guests: readonly GuestOptions[]) {
    this.#guests = guests.map((options) => new Guest(options));
    this.#working = Promise.all(this.#guests.map((guest) => guest.work(this.#ends.signal)));
  }

  /**
   * Resolves when none works any more, and what they printed is here, or after a while. With `isOver` the map has ended,
   * and what the guests did is kept.
   */
  end(isOver: boolean): Promise<void> {
    return (this.#ended ??= this.#end(isOver));
  }

  async #end(isOver: boolean): Promise<void> {
    this.#ends.abort(new FarcallError("run.state", "The map has ended."));
    await waitWithin(endWithinMs, this.#working);
    if (isOver) for (const guest of this.#guests) guest.mapEnded();
  }
}

export function printWarning(line: string): void {
  process.stderr.write(`${line}\n`);
}
