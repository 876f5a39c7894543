import type { AskWork } from "../../protocol/passOn.ts";
import { FarcallError } from "../../spec/errors.ts";
import type { RunId } from "../../spec/names.ts";
import type { Agent } from "../agent.ts";
import type { EnvRegistry } from "../envRegistry.ts";
import type { FileStore } from "../files.ts";
import type { CallCopies } from "../fleet/callCopies.ts";
import type { SharedCode } from "../fleet/code.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { Router } from "../fleet/router.ts";
import type { LogFollower } from "../logFollower.ts";
import type { RunLogs } from "../logs.ts";
import type { Maps } from "../maps.ts";
import type { Pools } from "../pools.ts";
import type { RunStore } from "../runs.ts";
import type { Timelines } from "../timelines.ts";

/** What requests are answered with: the parts of this node. */
export interface NodeParts {
  agent: Agent;
  /** Number of this node. */
  node: number;
  files: FileStore;
  pools: Pools;
  maps: Maps;
  runs: RunStore;
  logs: RunLogs;
  envs: EnvRegistry;
  timelines: Timelines;
  /** On a node that is not alone. */
  fleet?: Fleet;
  code?: SharedCode;
  router?: Router;
  copies?: CallCopies;
}

/** Whoever asks, at the other end of a connection. */
export interface Caller {
  /** It is another node of the cluster, which the broker has let in. */
  readonly isNode: boolean;
  /** Sends it what its runs print, once it has asked for that. */
  follower: LogFollower | undefined;
  /** Asks it for work of a map that is another cluster's. */
  readonly request: AskWork;
}

export interface Serving extends NodeParts {
  caller: Caller;
}

/** A run is begun by whoever asks. */
export function begin(caller: Caller, run: RunId): void {
  if (!/^[a-z0-9-]+$/.test(run)) throw new FarcallError("protocol.invalid", "A run has an impossible id.");
  caller.follower?.begin(run);
}

/** Whether this node can tell of a run by itself, without asking the queue, which may have to look for a leader. */
export function knows({ runs, maps }: Pick<NodeParts, "runs" | "maps">, run: RunId): boolean {
  return maps.isLive(run) || runs.get(run) !== undefined;
}
