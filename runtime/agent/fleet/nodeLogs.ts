import { advance, type LogPosition } from "../../protocol/logPosition.ts";
import type { AgentMethods } from "../../protocol/messages/agent.ts";
import type { Item } from "../../protocol/messages/catalogue.ts";
import { FarcallError } from "../../spec/errors.ts";
import type { RunId } from "../../spec/names.ts";
import type { Fleet } from "./fleet.ts";

/** What a run prints on other nodes. */
export type LogItem = Item<AgentMethods["run.logs"]>;

export interface NodeLogOptions {
  follow: boolean;
  tail?: number | undefined;
  tailBytes?: number | undefined;
  /** How far the reader is on all nodes. */
  after?: LogPosition | undefined;
  signal: AbortSignal;
  take: (item: LogItem) => void | Promise<void>;
}

/** The node may hear of the run a moment later than this one, and may lose its connection for a moment. */
const maxTries = 20;
const betweenTriesMs = 250;

/** Resolves when the node has no more lines of the run, or is gone. */
export async function followNodeLog(
  fleet: Fleet,
  number: number,
  run: RunId,
  { follow, tail, tailBytes, after = [], signal, take }: NodeLogOptions,
): Promise<void> {
  let position = after.filter(({ node }) => node === number);
  const isThere = () => fleet.nodes().some((node) => node.number === number);
  for (let tries = 1; !signal.aborted; tries++) {
    try {
      const peer = await fleet.peer(number);
      const limits = { ...(tail === undefined ? {} : { tail }), ...(tailBytes === undefined ? {} : { tailBytes }) };
      const from = position.length > 0 ? { after: position } : limits;
      await peer.request("run.logs", { run, follow, here: true, ...from }, { signal }, async (item) => {
        const taken = item as LogItem;
        tries = 0;
        position = advance(position, taken.place);
        await take(taken);
      });
      return;
    } catch (error) {
      const code = error instanceof FarcallError ? error.code : "internal";
      const mayCome =
        code === "run.unknown" || ((code === "connection.lost" || code === "node.unreachable") && isThere());
      if (!follow || !mayCome || tries >= maxTries) return;
      await new Promise((resolve) => setTimeout(resolve, betweenTriesMs));
    }
  }
}

/** The same of all other nodes that are there now. */
export async function followNodeLogs(fleet: Fleet, run: RunId, options: NodeLogOptions): Promise<void> {
  await Promise.all(fleet.elsewhere().map(({ number }) => followNodeLog(fleet, number, run, options)));
}
