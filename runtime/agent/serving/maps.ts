import type { mapMethods } from "../../protocol/messages/maps.ts";
import type { Handlers } from "../../protocol/rpc.ts";
import { hasEnded } from "../../protocol/runState.ts";
import { sendOutcomes } from "../mapOutcomes.ts";
import { pickOutcomes } from "../pick.ts";
import { begin, type Serving } from "./serving.ts";

/** Begins maps, takes their inputs in, and gives their outcomes out. */
export function serveMaps(serving: Serving): Handlers<typeof mapMethods> {
  const {
    agent: { changes },
    maps,
    caller,
  } = serving;
  return {
    "map.create": async (params) => {
      begin(caller, params.run);
      const record = await maps.create(params, caller);
      caller.follower?.beginEverywhere(params.run);
      return { result: { record } };
    },
    "map.take": async ({ run }) => {
      const result = await maps.take(run, caller);
      if (result.taken) caller.follower?.beginEverywhere(run);
      return { result };
    },
    "map.leave": async ({ run }) => {
      maps.leave(run, caller);
      return { result: {} };
    },
    "map.add": async (params, { body }) => {
      await maps.add(params, body, caller);
      return { result: {} };
    },
    "map.close": async (params) => {
      await maps.closeInput(params);
      return { result: {} };
    },
    "map.pick": (params, { signal }) => pickOutcomes(maps.queue, params, signal),
    "map.outcomes": async (params, incoming) => {
      const result = await sendOutcomes(maps, changes, params, incoming);
      if (hasEnded(result.record.state)) await caller.follower?.flush(params.run);
      return { result };
    },
  };
}
