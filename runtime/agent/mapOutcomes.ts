import type { AgentMethods } from "../protocol/messages/agent.ts";
import type { Item, Params, Result } from "../protocol/messages/catalogue.ts";
import type { Incoming } from "../protocol/served.ts";
import { hasEnded } from "../queue/jobState.ts";
import type { Changes } from "./changes.ts";
import type { Maps } from "./maps.ts";
import { runUnknown } from "./runWords.ts";

const pageRanges = 64;
const pageBytes = 1024 * 1024;

/** Sends the outcomes of a map until it has ended and all were sent, or with `follow` false until there are no more. */
export async function sendOutcomes(
  maps: Maps,
  changes: Changes,
  query: Params<AgentMethods["map.outcomes"]>,
  incoming: Incoming<Item<AgentMethods["map.outcomes"]>>,
): Promise<Result<AgentMethods["map.outcomes"]>> {
  const { queue } = maps;
  const { run, order, errorsOnly = false, follow } = query;
  const { signal } = incoming;
  let from = query.from;
  while (!signal.aborted) {
    const version = changes.version(run);
    const job = await queue.head(run);
    if (!job && maps.isElsewhere(run)) {
      if (!follow || !maps.guests.has(run)) break;
      await changes.wait(run, version, signal);
      continue;
    }
    if (!job) throw runUnknown(run);
    const mayGrow = follow && !hasEnded(job);
    const page = await queue.outcomes(run, { order, from, limit: pageRanges, limitBytes: pageBytes, errorsOnly });
    let sent = 0;
    for (const { lo, count, sequence, body } of page.ranges) {
      // In input order a gap means that an earlier input is still being worked, unless none will be any more.
      if (order === "index" && !errorsOnly && mayGrow && lo > from) break;
      await incoming.send({ lo, count, sequence }, body);
      if (signal.aborted) break;
      from = order === "index" ? lo + count : sequence;
      sent++;
    }
    if (sent > 0) continue;
    if (!mayGrow) break;
    await changes.wait(run, version, signal);
  }
  return { record: await maps.record(run) };
}
