import type { AgentMethods } from "../../protocol/messages/agent.ts";
import type { Item } from "../../protocol/messages/catalogue.ts";
import { waitWithin } from "../../spec/waitWithin.ts";
import type { Fleet } from "./fleet.ts";

/** How often it is looked whether there are nodes that are not followed. */
const lookEveryMs = 2_000;

/** Gives what other nodes tell of their changes, also those that come later, until the signal aborts. */
export async function followOthers(
  fleet: Fleet,
  signal: AbortSignal,
  take: (item: Item<AgentMethods["changes.follow"]>) => void | Promise<void>,
): Promise<void> {
  const followed = new Set<number>();
  const follow = async (number: number): Promise<void> => {
    followed.add(number);
    try {
      const peer = await fleet.peer(number, signal);
      await peer.request("changes.follow", {}, { signal }, (item) => take(item as never));
    } catch {
      // It is gone, or whoever wanted to know; if it is the former, it may come back.
    }
    followed.delete(number);
  };
  while (!signal.aborted) {
    for (const { number } of fleet.elsewhere()) if (!followed.has(number)) void follow(number);
    await waitWithin(lookEveryMs, new Promise(() => undefined), signal);
  }
}
