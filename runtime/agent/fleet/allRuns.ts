import type { RunRecord } from "../../protocol/messages/runs.ts";
import { hasEnded } from "../../protocol/runState.ts";
import type { RunId } from "../../spec/names.ts";
import type { AgentPeer, Fleet } from "./fleet.ts";

/** Runs on all nodes. Maps are known on each; a call on that which was asked for it and on one or two others. */

/** A node that died a moment ago must not keep anybody waiting who looks at what runs. */
const askWithinMs = 2_000;

/** The newest of this node's and of all that answer. */
export async function listAll(
  fleet: Fleet,
  mine: readonly RunRecord[],
  { limit, before }: { limit: number; before?: RunId | undefined },
): Promise<RunRecord[]> {
  const ask = before === undefined ? { limit } : { limit, before };
  const others = await fleet.others(
    (peer, signal) =>
      peer.request("run.list", ask, { signal }).then(
        ({ value }) => value.runs,
        () => [],
      ),
    askWithinMs,
  );
  const byId = new Map<RunId, RunRecord>();
  for (const record of [mine, ...others].flat()) {
    const known = byId.get(record.id);
    if (!known || rank(record) > rank(known)) byId.set(record.id, record);
  }
  return [...byId.values()].sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, limit);
}

/** The node to be asked about a run that this one does not know; undefined when none knows it. */
export async function whoKnows(fleet: Fleet, run: RunId): Promise<AgentPeer | undefined> {
  const answers = await fleet.others(
    (peer, signal) =>
      peer.request("run.get", { run }, { signal }).then(
        ({ value }) => ({ peer, rank: rank(value.record) }),
        () => undefined,
      ),
    askWithinMs,
  );
  const known = answers.filter((answer) => answer !== undefined);
  return known.sort((a, b) => b.rank - a.rank)[0]?.peer;
}

/** A result says more than that its node was lost to another; so does a call that runs. */
function rank({ state }: RunRecord): number {
  if (state === "done") return 2;
  return hasEnded(state) ? 0 : 1;
}
