import type { ResolvedEnv } from "../../spec/env.ts";
import { FarcallError } from "../../spec/errors.ts";
import { type Capacity, type Need, share } from "./share.ts";

/** How many replicas of an env each node is to have, as things are now. */
export class Shares {
  readonly #number: number;
  readonly #nodes: () => readonly Capacity[];
  readonly #withinMs: number;
  /** Asked for with every slice that is offered, so what was worked out stands until there are other nodes. */
  readonly #known = new Map<string, Map<number, number>>();

  /** Of the node of that number, among those that are there; all are known once this one has been so for `withinMs`. */
  constructor(number: number, nodes: () => readonly Capacity[], withinMs: number) {
    this.#number = number;
    this.#nodes = nodes;
    this.#withinMs = withinMs;
  }

  /** There are other nodes, or they have something else. */
  forget(): void {
    this.#known.clear();
  }

  /** By number of the node. `total` is what a map asks for in place of what the env says. */
  of(env: ResolvedEnv, total: number | null): Map<number, number> {
    const wanted = total ?? env.replicas;
    const need = needOf(env);
    const key = JSON.stringify([wanted, need]);
    let shares = this.#known.get(key);
    if (!shares) this.#known.set(key, (shares = share(wanted, need, this.#nodes())));
    return shares;
  }

  /** Those of this node. */
  mine(env: ResolvedEnv, total: number | null): number {
    return this.of(env, total).get(this.#number) ?? 0;
  }

  /**
   * Resolves when some node can have a replica. Throws `spec.invalid` when none that comes in time can, and
   * `node.unreachable` when it was to be one that does not come.
   */
  async some(env: ResolvedEnv, signal?: AbortSignal): Promise<void> {
    const withinMs = env.node === null || this.#withinMs === 0 ? this.#withinMs : pinnedWithinMs;
    const giveUpAtMs = performance.now() + withinMs;
    while (![...this.of(env, null).values()].some((replicas) => replicas > 0)) {
      if (performance.now() >= giveUpAtMs) throw this.noRoom(env);
      await new Promise((resolve) => setTimeout(resolve, againMs));
      signal?.throwIfAborted();
    }
  }

  /** Why no node can have a replica of the env. */
  noRoom({ name, memoryMiB, gpus, node }: ResolvedEnv): FarcallError {
    if (node !== null && !this.#nodes().some(({ number }) => number === node)) {
      return new FarcallError("node.unreachable", `The node ${node}, which the env ${name} asks for, is not there.`, {
        hint: "`farcall status` shows the nodes of the cluster.",
        retryable: true,
      });
    }
    const wants = [
      ...(gpus ? [`${gpus} GPU${gpus > 1 ? "s" : ""}`] : []),
      ...(memoryMiB === null ? [] : [`${memoryMiB} MiB of memory`]),
      ...(node === null ? [] : [`the number ${node}`]),
    ].join(" and ");
    return new FarcallError(
      "spec.invalid",
      `No node of the cluster has what a replica of the env ${name} needs: ${wants}.`,
      { hint: "Ask for less in `compute`, or add a node that has it." },
    );
  }
}

/** One that clients relay comes some seconds after them. */
const pinnedWithinMs = 8_000;
const againMs = 100;

function needOf({ cpus, memoryMiB, gpus, node }: ResolvedEnv): Need {
  return { cpus, memoryMiB, gpus, node };
}
