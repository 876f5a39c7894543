import { availableParallelism } from "node:os";
import type { ResolvedEnv } from "../../spec/env.ts";
import type { Fleet } from "./fleet.ts";
import { type Need, share } from "./share.ts";

/** How many replicas of an env each node is to have, as things are now. */
export interface Shares {
  /** By number of the node. `total` is what a map asks for in place of what the env says. */
  of(env: ResolvedEnv, total: number | null): Map<number, number>;
  /** Those of this node. */
  mine(env: ResolvedEnv, total: number | null): number;
}

/** One node alone: it has them all, and by default one a core. */
export const allHere: Shares = {
  of: (env, total) => new Map([[1, allHere.mine(env, total)]]),
  mine: (env, total) => total ?? env.replicas ?? availableParallelism(),
};

/** Asked for with every slice that is offered, so what was worked out stands until there are other nodes. */
export function sharesOf(fleet: Fleet): Shares {
  const known = new Map<string, Map<number, number>>();
  fleet.onShape(() => known.clear());
  const of = (env: ResolvedEnv, total: number | null): Map<number, number> => {
    const wanted = total ?? env.replicas;
    const need = needOf(env);
    const key = JSON.stringify([wanted, need]);
    let shares = known.get(key);
    if (!shares) known.set(key, (shares = share(wanted, need, fleet.nodes())));
    return shares;
  };
  return { of, mine: (env, total) => of(env, total).get(fleet.number) ?? 0 };
}

function needOf({ cpus, memoryMiB, gpus, node }: ResolvedEnv): Need {
  return { cpus, memoryMiB, gpus, node };
}
