import type { AgentMethods, Item } from "../../protocol/messages.ts";
import { FarcallError } from "../../spec/errors.ts";
import type { RunId } from "../../spec/names.ts";
import type { Fleet } from "./fleet.ts";

/** What a run prints on other nodes. */
export type LogItem = Item<AgentMethods["run.logs"]>;

export interface NodeLogOptions {
  follow: boolean;
  tail?: number | undefined;
  tailBytes?: number | undefined;
  signal: AbortSignal;
  take: (item: LogItem) => void | Promise<void>;
}

const unknownTries = 20;
const betweenTriesMs = 250;

/** Resolves when the node has no more lines of the run, or is gone. */
export async function followNodeLog(
  fleet: Fleet,
  number: number,
  run: RunId,
  { follow, tail, tailBytes, signal, take }: NodeLogOptions,
): Promise<void> {
  for (let tries = 1; !signal.aborted; tries++) {
    try {
      const peer = await fleet.peer(number);
      const limits = { ...(tail === undefined ? {} : { tail }), ...(tailBytes === undefined ? {} : { tailBytes }) };
      await peer.request("run.logs", { run, follow, here: true, ...limits }, { signal }, (item) =>
        take(item as LogItem),
      );
      return;
    } catch (error) {
      // The node may hear of the run a moment later than this one.
      const isEarly = follow && error instanceof FarcallError && error.code === "run.unknown" && tries < unknownTries;
      if (!isEarly) return;
      await new Promise((resolve) => setTimeout(resolve, betweenTriesMs));
    }
  }
}

/** The same of all other nodes that are there now. */
export async function followNodeLogs(fleet: Fleet, run: RunId, options: NodeLogOptions): Promise<void> {
  const others = fleet.nodes().filter(({ number }) => number !== fleet.number);
  await Promise.all(others.map(({ number }) => followNodeLog(fleet, number, run, options)));
}
