import type { NodeStatus } from "../protocol/messages/nodes.ts";
import type { Connection } from "./connection.ts";
import type { Engine } from "./engine.ts";
import { IdleClock } from "./idleClock.ts";
import { readIdleMs, readNextBuild, readNodeFile } from "./node.ts";

/** For how long an agent is needed: it ends when it is idle, and when it is to come up anew as something else. */

export interface LifetimeHost {
  folder: string;
  build: string;
  engine: Engine;
  activeRuns: () => Promise<number>;
  /** Clients that used it a moment ago. */
  users: () => Connection[];
  /** The other nodes, as they said of themselves. */
  others: () => NodeStatus[];
  /** Nobody has needed it for as long as it was to wait. */
  onIdle: () => void;
  /** It is to end and to be started again, as what was put in place. */
  onOutdated: () => void;
}

/** How often it is seen whether the agent is still needed. */
const mostIdleStepMs = 5_000;

export class Lifetime implements Disposable {
  readonly clock: IdleClock;
  readonly #host: LifetimeHost;
  /** Another build was put in place, for the next start. */
  #isOutdated = false;
  /** It is to reach the queue by another way from the next start on. */
  #isMoved = false;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(idleMs: number, host: LifetimeHost) {
    this.clock = new IdleClock(idleMs);
    this.#host = host;
  }

  /** Why this agent would be missed now; undefined when it would not. A node that asks has looked at the others itself. */
  async whyNeeded(asker?: Connection): Promise<string | undefined> {
    const activeRuns = await this.#host.activeRuns();
    if (activeRuns > 0) return activeRuns === 1 ? "1 run is active" : `${activeRuns} runs are active`;
    const users = this.#host.users().filter((each) => each !== asker).length;
    if (users > 0) return `${users} other clients are connected`;
    if (asker && !asker.isClient) return undefined;
    const used = this.#host.others().find(({ isBusy, users = 0 }) => isBusy || users > 0);
    return used && `the node ${used.number} is used`;
  }

  /** Goes by what was changed in this node's folder. `restarts` when it ends to come up as that. */
  async reread(): Promise<{ restarts: boolean }> {
    const { folder, build, engine } = this.#host;
    const node = readNodeFile(folder);
    this.#isMoved = node !== undefined && engine.reread(node);
    this.clock.idleMs = readIdleMs(folder) ?? this.clock.idleMs;
    // Whoever has just changed something is about to use it.
    this.clock.touch();
    this.#isOutdated = (readNextBuild(folder) ?? build) !== build;
    return { restarts: await this.#renew() };
  }

  /** Ends, to be started again as what it is to be, if that is something else and nobody would miss this one. */
  async #renew(): Promise<boolean> {
    // By a way that it has lost nobody gets anything from it, and it does not get to know who would miss it.
    const isUseless = this.#isMoved && this.#host.engine.isCutOff;
    const isOther = this.#isOutdated || this.#isMoved;
    if (!isUseless && (!isOther || (await this.whyNeeded()) !== undefined)) return false;
    this.#host.onOutdated();
    return true;
  }

  /** Sees from now on whether the agent is needed. */
  watch(): void {
    const look = async () => {
      if (await this.#renew()) return;
      if ((await this.#host.activeRuns()) > 0) this.clock.touch();
      // Whoever uses the cluster through another node may need this one at any moment.
      const others = this.#host.others().map(({ isBusy, usedAgoMs = Infinity }) => (isBusy ? 0 : usedAgoMs));
      if (this.clock.isOver(others)) this.#host.onIdle();
      else next();
    };
    const next = () => {
      if (this.#isOver) return;
      const { idleMs } = this.clock;
      const afterMs = idleMs === 0 ? mostIdleStepMs : Math.min(mostIdleStepMs, Math.max(50, idleMs / 10));
      this.#timer = setTimeout(() => void look().catch(next), afterMs);
    };
    next();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }
}
