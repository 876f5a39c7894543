import type { guestMethods, WorkMethods } from "../../protocol/messages/work.ts";
import type { Handlers } from "../../protocol/rpc.ts";
import { FarcallError } from "../../spec/errors.ts";
import { runUnknown } from "../runWords.ts";
import { begin, type Serving } from "./serving.ts";

/** Lends work of the maps of this cluster, and joins those of others. */
export function serveWork(serving: Serving): Handlers<WorkMethods & typeof guestMethods> {
  const { maps, caller } = serving;
  return {
    "map.spec": async ({ run }) => {
      const spec = await maps.spec(run);
      if (!spec) throw runUnknown(run);
      return { result: { spec } };
    },
    ...maps.lender.handlers,
    "work.leave": async ({ run, cluster }) => {
      await maps.lender.takeBack(run, cluster);
      return { result: {} };
    },
    "work.join": async (params, { signal }) => {
      const { run } = params;
      if (await maps.spec(run)) throw new FarcallError("run.mismatch", `The run ${run} belongs to this cluster.`);
      begin(caller, run);
      caller.follower?.beginEverywhere(run);
      try {
        await maps.guests.join(params, (...asked) => caller.request(...asked), signal);
      } finally {
        await caller.follower?.flush(run);
      }
      return { result: {} };
    },
  };
}
