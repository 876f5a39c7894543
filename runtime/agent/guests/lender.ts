import type { Item, Params, Result } from "../../protocol/messages/catalogue.ts";
import type { GuestPart, GuestWork } from "../../protocol/messages/runs.ts";
import type { WorkMethods } from "../../protocol/messages/work.ts";
import type { Handlers } from "../../protocol/rpc.ts";
import type { Incoming } from "../../protocol/served.ts";
import { hasEnded } from "../../queue/jobState.ts";
import { leaseMs } from "../../queue/leaseMs.ts";
import type { Lease, MapQueue, ResultRange } from "../../queue/mapQueue.ts";
import { FarcallError } from "../../spec/errors.ts";
import type { RunId } from "../../spec/names.ts";
import { piece } from "../chunks.ts";
import { nameOf, partsOf } from "./parts.ts";
import { cutRanges } from "./ranges.ts";

/**
 * Lends the work of this cluster's maps to other clusters, and takes their outcomes. The queue holds the truth here as
 * it does for replicas of this cluster: a lease that nobody extends, because the client between the two is gone, runs
 * out, and what comes of it afterwards is dropped or comes too late.
 */
export interface LenderHost {
  /** A guest settled an input that failed. */
  onInputFailed(run: RunId, lo: number): void;
  onSaid(run: RunId): void;
}

interface Lent {
  lease: Lease;
  cluster: string;
  node: number;
  /** On the monotonic clock. */
  untilMs: number;
  /** Outcomes that came ahead of the settlement. */
  put: ResultRange[];
}

type Working = GuestWork & { heardAtMs: number };
type Borrower = { run: RunId; cluster: string; node: number };

/** Chunks that one claim may have. */
const maxClaimed = 64;

export class Lender {
  readonly #queue: MapQueue;
  readonly #host: LenderHost;
  /** By run and by token. */
  readonly #lent = new Map<RunId, Map<string, Lent>>();
  readonly #working = new Map<RunId, Map<string, Working>>();

  constructor(queue: MapQueue, host: LenderHost) {
    this.#queue = queue;
    this.#host = host;
  }

  readonly handlers: Handlers<WorkMethods> = {
    "work.claim": async (params, incoming) => ({ result: await this.#claim(params, incoming) }),
    "work.extend": async (params) => ({ result: { held: await this.#extend(params) } }),
    "work.release": async (params) => {
      const lent = this.#take(params);
      if (lent) await this.#queue.release(lent.lease, params.delayMs);
      return { result: {} };
    },
    "work.put": (params, { body }) => {
      this.#put(params, body);
      return { result: {} };
    },
    "work.settle": async (params, { body }) => ({ result: { became: await this.#settle(params, body) } }),
    "work.say": async (params) => {
      await this.#say(params);
      return { result: {} };
    },
  };

  async #claim(
    params: Params<WorkMethods["work.claim"]>,
    incoming: Incoming<Item<WorkMethods["work.claim"]>>,
  ): Promise<Result<WorkMethods["work.claim"]>> {
    const { run, cluster, node, max, waitMs } = params;
    const { signal } = incoming;
    this.#forgetLate(run);
    const leases = await this.#queue.claim(run, { max: Math.min(max, maxClaimed), waitMs, signal });
    if (leases.length === 0 && (await this.#isOver(run))) return { ended: true };
    this.#hear(params);
    const lent = this.#lent.get(run) ?? new Map<string, Lent>();
    this.#lent.set(run, lent);
    for (const lease of leases) {
      if (signal.aborted) {
        await this.#queue.release(lease, 0);
        continue;
      }
      const { chunk, attempt, token } = lease;
      const { lo, count, deaths, body } = chunk;
      lent.set(token, { lease, cluster, node, untilMs: performance.now() + leaseMs, put: [] });
      await incoming.send({ lo, count, deaths, attempt, token }, body);
    }
    return { ended: false };
  }

  async #extend(params: Params<WorkMethods["work.extend"]>): Promise<boolean> {
    const lent = this.#find(params);
    const held = lent !== undefined && (await this.#queue.extend(lent.lease));
    if (held) lent.untilMs = performance.now() + leaseMs;
    return held;
  }

  async #say({ replicas, active, ...params }: Params<WorkMethods["work.say"]>): Promise<void> {
    if (await this.#isOver(params.run)) return;
    Object.assign(this.#hear(params), { replicas, active });
    this.#host.onSaid(params.run);
  }

  /** Throws `run.unknown` for a job that is not there. */
  async #isOver(run: RunId): Promise<boolean> {
    const job = await this.#queue.head(run);
    if (!job) throw new FarcallError("run.unknown", "The map that work is asked of is not there.");
    return hasEnded(job);
  }

  #put(params: Params<WorkMethods["work.put"]>, body: Uint8Array): void {
    const lent = this.#find(params);
    const known = new Set(lent?.put.map(({ lo }) => lo));
    lent?.put.push(...cutRanges(params.ranges, body).filter(({ lo }) => !known.has(lo)));
  }

  async #settle(params: Params<WorkMethods["work.settle"]>, body: Uint8Array): Promise<"stored" | "already"> {
    const lent = this.#find(params);
    if (!lent) return "already";
    const results = [...lent.put, ...cutRanges(params.ranges, body)];
    const { chunk } = lent.lease;
    const children = params.children.map(({ lo, count, deaths }) => piece(chunk, lo, lo + count, deaths));
    const became = await this.#queue.settle(lent.lease, { results, children, by: nameOf(params) });
    this.#take(params);
    const failed = became === "stored" ? results.find(({ errors }) => errors > 0) : undefined;
    if (failed) this.#host.onInputFailed(params.run, failed.lo);
    return became;
  }

  /** Takes back what a cluster has, which is known not to work on it any more. */
  async takeBack(run: RunId, cluster: string): Promise<void> {
    const lent = this.#lent.get(run);
    for (const [token, { lease, cluster: its }] of lent ?? []) {
      if (its !== cluster) continue;
      lent!.delete(token);
      await this.#queue.release(lease, 0);
    }
    const working = this.#working.get(run);
    for (const [name, each] of working ?? []) if (each.cluster === cluster) working!.delete(name);
    this.#host.onSaid(run);
  }

  /** What guests do of a map that this node lends the work of. */
  working(run: RunId): GuestWork[] {
    const nowMs = performance.now();
    return [...(this.#working.get(run)?.values() ?? [])].flatMap(({ heardAtMs, ...work }) =>
      nowMs - heardAtMs > leaseMs ? [] : [work],
    );
  }

  /** What guests did and do of a map. `elsewhere` is what they do of it by way of other nodes of this cluster. */
  async parts(run: RunId, elsewhere: readonly GuestWork[] = []): Promise<GuestPart[]> {
    return partsOf(await this.#queue.credits(run), [...this.working(run), ...elsewhere]);
  }

  /** The map has ended. */
  forget(run: RunId): void {
    this.#lent.delete(run);
    this.#working.delete(run);
  }

  #find(params: Borrower & { token: string }): Lent | undefined {
    const lent = this.#lent.get(params.run)?.get(params.token);
    if (lent) this.#hear(params);
    return lent;
  }

  #take(params: Borrower & { token: string }): Lent | undefined {
    const lent = this.#find(params);
    this.#lent.get(params.run)?.delete(params.token);
    return lent;
  }

  #hear({ run, cluster, node }: Borrower): Working {
    const working = this.#working.get(run) ?? new Map<string, Working>();
    this.#working.set(run, working);
    const name = nameOf({ cluster, node });
    const found = working.get(name) ?? { cluster, node, active: 0, replicas: 0, heardAtMs: 0 };
    found.heardAtMs = performance.now();
    working.set(name, found);
    return found;
  }

  /** The queue has given them to others, or will at once. */
  #forgetLate(run: RunId): void {
    const nowMs = performance.now();
    const lent = this.#lent.get(run);
    for (const [token, { untilMs }] of lent ?? []) if (untilMs + leaseMs < nowMs) lent!.delete(token);
  }
}
