import type { runMethods, RunRecord } from "../../protocol/messages/runs.ts";
import type { Handlers } from "../../protocol/rpc.ts";
import { hasEnded } from "../../protocol/runState.ts";
import type { RunId } from "../../spec/names.ts";
import { followChanges, followRecord } from "../changeFeed.ts";
import { listAll } from "../fleet/allRuns.ts";
import { followOthers } from "../fleet/nodeChanges.ts";
import { wholeTimeline } from "../fleet/wholeTimeline.ts";
import type { Maps } from "../maps.ts";
import { answerRequest, controlRun } from "../runAnswers.ts";
import { runUnknown } from "../runWords.ts";
import { emptyTimeline } from "../timeline.ts";
import { knows, type Serving } from "./serving.ts";

/** How long another node may take to answer what is only asked to be shown. */
const elsewhereTimeoutMs = 5_000;
const maxListed = 1_000;

/** Tells of runs, and controls them. */
export function serveRuns(serving: Serving): Handlers<typeof runMethods> {
  const { agent, maps, runs, timelines, fleet, caller } = serving;
  const { changes } = agent;
  return {
    "run.list": async ({ limit, before }) => {
      const most = Math.min(limit, maxListed);
      const mine = await Promise.all(runs.list(most, before).map((record) => current(record, maps)));
      return { result: { runs: fleet && !caller.isNode ? await listAll(fleet, mine, { limit: most, before }) : mine } };
    },
    "run.get": async ({ run }) => {
      // Another node asks for what this one knows: the queue it has itself.
      if (caller.isNode && !knows(serving, run)) throw runUnknown(run);
      return { result: { record: await maps.record(run) } };
    },
    "run.control": async (params) => ({ result: { record: await controlRun(params, serving) } }),
    "run.request": ({ run }) => answerRequest(run, serving),
    "run.timeline": async ({ run, here }) => {
      const record = await maps.record(run);
      const none = emptyTimeline(record.createdAtMs);
      const mine = timelines.get(run) ?? none;
      if (here || !fleet || record.kind === "call") return { result: { timeline: mine } };
      const ask = { run, here: true };
      const others = await fleet.others((peer) =>
        peer.request("run.timeline", ask, { timeoutMs: elsewhereTimeoutMs }).then(
          ({ value }) => value.timeline,
          () => none,
        ),
      );
      return { result: { timeline: wholeTimeline(mine, others) } };
    },
    "run.watch": async ({ run }, incoming) => {
      await followRecord(changes, maps, run, incoming);
      return { result: {} };
    },
    "changes.follow": async (_params, incoming) => {
      const source = { record: (run: RunId) => maps.record(run), replicaCount: () => agent.replicaCount() };
      if (fleet && !caller.isNode) {
        // Maps are followed by every node; of calls that others were asked for only those know.
        void followOthers(fleet, incoming.signal, ({ runs: changed }) => {
          const news = changed.filter(({ id, kind }) => kind === "call" && !knows(serving, id));
          if (news.length > 0) return incoming.send({ runs: news, replicas: agent.replicaCount() });
        });
      }
      await followChanges(changes, source, incoming);
      return { result: {} };
    },
  };
}

/** A map's record changes while it runs; a call's is stored as it is. */
async function current(record: RunRecord, maps: Maps): Promise<RunRecord> {
  return record.kind === "map" && !hasEnded(record.state) ? maps.record(record.id) : record;
}
