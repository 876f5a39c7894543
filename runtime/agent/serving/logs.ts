import { onNode } from "../../protocol/logPosition.ts";
import type { logMethods } from "../../protocol/messages/logs.ts";
import type { Handlers } from "../../protocol/rpc.ts";
import { followNodeLogs, type LogItem } from "../fleet/nodeLogs.ts";
import { LogFollower } from "../logFollower.ts";
import type { Serving } from "./serving.ts";

/** Sends what functions print. */
export function serveLogs(serving: Serving): Handlers<typeof logMethods> {
  const { maps, runs, logs, node, fleet, caller } = serving;
  return {
    "run.logs": async ({ run, follow, here, tail, tailBytes, after }, incoming) => {
      await maps.record(run);
      const isLive = () => follow && (maps.isLive(run) || runs.get(run)?.state === "running");
      const { signal } = incoming;
      const limit = tail === undefined ? undefined : { lines: tail, bytes: tailBytes };
      const take = (item: LogItem) => incoming.send(item);
      const asked = { follow, tail, tailBytes, after, signal, take };
      const elsewhere = here || !fleet ? undefined : followNodeLogs(fleet, run, asked);
      const mine = { tail: limit, after: after && onNode(after, node) };
      for await (const { files, ...item } of logs.read(run, isLive, signal, mine)) {
        await take({ ...item, place: { node, files } });
      }
      await elsewhere;
      return { result: {} };
    },
    "logs.follow": async ({ runs: before = [] }, incoming) => {
      const follower = new LogFollower({ logs, incoming, node, ...(fleet ? { fleet } : {}) });
      for (const { run, after } of before) follower.resume(run, after);
      caller.follower = follower;
      try {
        await follower.run();
      } finally {
        if (caller.follower === follower) caller.follower = undefined;
      }
      return { result: {} };
    },
  };
}
