import type { AgentMethods } from "../../protocol/messages/agent.ts";
import type { NodeStatus } from "../../protocol/messages/nodes.ts";
import type { Params } from "../../protocol/messages/catalogue.ts";
import type { RunRecord } from "../../protocol/messages/runs.ts";
import type { AskWork } from "../../protocol/passOn.ts";
import type { ResolvedEnv } from "../../spec/env.ts";
import { FarcallError } from "../../spec/errors.ts";
import type { RunId } from "../../spec/names.ts";
import { withSignal } from "../../spec/withSignal.ts";
import type { Changes } from "../changes.ts";
import type { SharedCode } from "../fleet/code.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { RunLogs } from "../logs.ts";
import type { OutcomeCache } from "../outcomeCache.ts";
import type { Pools } from "../pools.ts";
import type { RunStore } from "../runs.ts";
import { GuestMap } from "./guestMap.ts";

/**
 * The maps of other clusters that this one works on, for as long as a client that has both carries work between them.
 * The node that the client is connected to has the others join as well, and passes on what they ask.
 */
export interface GuestMapsOptions {
  /** Number of this node. */
  node: number;
  cache: OutcomeCache;
  pools: Pools;
  runs: RunStore;
  logs: RunLogs;
  changes: Changes;
  fleet?: Fleet;
  code?: SharedCode;
}

type Join = Params<AgentMethods["work.join"]>;

export class GuestMaps {
  readonly #options: GuestMapsOptions;
  readonly #maps = new Map<RunId, { map: GuestMap; ended: Promise<void> }>();

  constructor(options: GuestMapsOptions) {
    this.#options = options;
  }

  /** Works on a map until it has ended, or `signal` says that nobody brings work any more. */
  async join(join: Join, ask: AskWork, signal: AbortSignal): Promise<void> {
    const { run, spec, home, cluster, here = false, waits = false } = join;
    for (let before = this.#maps.get(run); before; before = this.#maps.get(run)) {
      // A client that comes back may be here before it is known that its connection of before is gone.
      if (!waits) before.map.leave();
      await withSignal(before.ended, signal);
    }
    const { node, cache, runs, logs, changes } = this.#options;
    const map = new GuestMap({
      run,
      spec,
      home,
      cluster,
      node,
      ask,
      cache,
      before: runs.get(run),
      logFile: (id, replica) => logs.file(id, replica),
      onProgress: () => changes.announce(run),
    });
    const leave = () => map.leave();
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    const working = this.#work(map, here ? undefined : join, signal);
    this.#maps.set(run, { map, ended: working.catch(() => undefined) });
    try {
      await working;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  async #work(map: GuestMap, spread: Join | undefined, signal: AbortSignal): Promise<void> {
    const { pools, runs, logs, changes, code } = this.#options;
    const { run, spec } = map;
    const note = () => {
      runs.save(map.record);
      changes.announce(run);
    };
    runs.saveBundle(spec.module.bundle);
    note();
    const ends = new AbortController();
    if (spread) this.#spread(spread, AbortSignal.any([signal, ends.signal]));
    try {
      await map.work(async () => {
        await code?.fetch(spec.module.bundle);
        return (await pools.load(spec.module, { signal })).pool;
      });
    } finally {
      ends.abort();
      this.#maps.delete(run);
      note();
      logs.grew(run);
    }
  }

  /** Has the other nodes join, those that come later too. What one of them cannot do is left to the rest. */
  #spread(join: Join, signal: AbortSignal): void {
    const { fleet } = this.#options;
    if (!fleet) return;
    const joined = new Set<number>();
    const look = () => {
      for (const { number } of fleet.elsewhere()) {
        if (joined.has(number)) continue;
        joined.add(number);
        fleet
          .peer(number, signal)
          .then((peer) => peer.request("work.join", { ...join, here: true, waits: false }, { signal }))
          .catch(() => undefined)
          .finally(() => joined.delete(number));
      }
    };
    signal.addEventListener("abort", fleet.onShape(look), { once: true });
    look();
  }

  /** Whom to ask for the work of a map, for another node. */
  askFor(run: RunId): AskWork {
    const found = this.#maps.get(run);
    if (found) return found.map.ask;
    throw new FarcallError("run.unknown", `This node does not work on the run ${run} any more.`);
  }

  has(run: RunId): boolean {
    return this.#maps.has(run);
  }

  get count(): number {
    return this.#maps.size;
  }

  record(run: RunId): RunRecord | undefined {
    return this.#maps.get(run)?.map.record;
  }

  working(): NodeStatus["maps"] {
    return [...this.#maps].map(([run, { map }]) => ({
      run,
      active: map.activeInputs,
      replicas: map.replicas,
      home: map.home,
    }));
  }

  busyRuns(uses: (env: ResolvedEnv) => boolean): RunId[] {
    return [...this.#maps].flatMap(([run, { map }]) => (uses(map.spec.module.env) ? [run] : []));
  }

  refill(): void {
    for (const { map } of this.#maps.values()) map.refill();
  }

  /** Ends the part of this cluster; the map goes on without it. */
  async cancel(run: RunId): Promise<void> {
    const found = this.#maps.get(run);
    found?.map.leave(new FarcallError("run.cancelled", "Its part of the map was cancelled there."));
    await found?.ended;
  }

  async cancelAll(): Promise<void> {
    await Promise.all([...this.#maps.keys()].map((run) => this.cancel(run)));
  }

  /** The agent ends: nobody waits for what it has begun. */
  close(): void {
    for (const { map } of this.#maps.values()) map.leave(new FarcallError("agent.stopping", "The agent is stopping."));
  }
}
