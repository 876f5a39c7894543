import type { RunRecord } from "../../protocol/messages/runs.ts";
import { FarcallError } from "../../spec/errors.ts";
import { waitWithin } from "../../spec/waitWithin.ts";
import { isAway } from "../loss.ts";
import type { Session } from "../session.ts";
import { MirrorAsking } from "./asking.ts";
import { hasEnded } from "../../protocol/runState.ts";
import { keepRun } from "./copy.ts";
import type { KeptRun, MirrorStore } from "./store.ts";

/** What this client keeps of a cluster's runs, and gives in the cluster's place when that is not there. */
export interface MirrorOptions {
  store: MirrorStore;
  /** Whether the cluster was stopped or taken down: it is not started for what is kept. */
  isDown: () => boolean;
  /** Told that what is given is what was kept, and why. */
  onUse?: ((why: string) => void) | undefined;
}

/** Runs that are kept at a time. */
const together = 2;
const listedAtOnce = 1_000;

export class Mirror {
  readonly #options: MirrorOptions;
  readonly #keeping = new Map<string, Promise<void>>();

  constructor(options: MirrorOptions) {
    this.#options = options;
  }

  /** Keeps a run that has ended, in the background. What fails is tried again by whoever follows the run next. */
  keep(session: Session, run: string): void {
    const { store } = this.#options;
    if (this.#keeping.has(run) || store.has(run)) return;
    const keeping = keepRun(session, store, run)
      .catch(() => undefined)
      .finally(() => this.#keeping.delete(run));
    this.#keeping.set(run, keeping);
  }

  /** Resolves when what is being kept is kept, or it has taken too long. */
  async settled(withinMs: number): Promise<void> {
    await waitWithin(withinMs, Promise.all(this.#keeping.values()));
  }

  /** Keeps all runs that have ended, and returns how many could not be. */
  async keepAll(session: Session, signal: AbortSignal): Promise<number> {
    const { store } = this.#options;
    const { value } = await session.request("run.list", { limit: listedAtOnce }, { signal });
    const isWanted = ({ id, state }: RunRecord) => hasEnded(state) && !store.has(id);
    const wanted = value.runs.filter(isWanted).map(({ id }) => id);
    let failed = 0;
    const work = async () => {
      for (let run = wanted.pop(); run !== undefined; run = wanted.pop()) {
        await keepRun(session, store, run, signal).catch(() => failed++);
      }
    };
    await Promise.all(Array.from({ length: together }, work));
    return failed;
  }

  /**
   * What `ask` gives, or where the cluster is not there what is kept in its place, if anything is. `kept` is told what
   * asking came to, and nothing when the cluster is down.
   */
  async instead<T>(ask: () => Promise<T>, kept: (failure?: Error) => Promise<T | undefined>): Promise<T> {
    const { isDown, onUse } = this.#options;
    if (isDown()) {
      const found = await kept();
      if (found !== undefined) {
        onUse?.("it is down");
        return found;
      }
    }
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const found = mayStandIn(error) ? await kept(error) : undefined;
      if (found === undefined) throw error;
      onUse?.(error.message);
      return found;
    }
  }

  /** Undefined when none are kept. */
  async list(limit: number, before: string | undefined): Promise<RunRecord[] | undefined> {
    const all = await this.#options.store.list();
    if (all.length === 0) return undefined;
    const from = before === undefined ? 0 : all.findIndex(({ id }) => id === before) + 1;
    return all.slice(from, from + limit);
  }

  async open(run: string): Promise<{ asking: MirrorAsking; kept: KeptRun } | undefined> {
    const kept = await this.#options.store.get(run);
    if (!kept) return undefined;
    for (const what of cutParts(kept)) this.#options.onUse?.(`${what} were too many to keep all of them`);
    return { asking: new MirrorAsking(this.#options.store, kept), kept };
  }
}

function cutParts({ cut }: KeptRun): string[] {
  return [...(cut.outcomes ? ["the outcomes"] : []), ...(cut.log ? ["the lines of the log"] : [])];
}

/** The machines do not answer, or are no longer those of the cluster, or do not know the run any more. */
function mayStandIn(error: unknown): boolean {
  const isGone =
    error instanceof FarcallError && ["cluster.unknown", "run.unknown", "agent.start-failed"].includes(error.code);
  return isGone || isAway(error);
}
