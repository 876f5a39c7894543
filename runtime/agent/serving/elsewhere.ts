import type { AgentMethods } from "../../protocol/messages/agent.ts";
import type { Incoming } from "../../protocol/served.ts";
import type { RunId } from "../../spec/names.ts";
import { whoKnows } from "../fleet/allRuns.ts";
import { knows, type Serving } from "./serving.ts";

/** Answers one request. */
export type Handle = (params: object, incoming: Incoming<never>) => unknown;

/** What another node may answer that knows the run. */
const aboutRun = new Set<string>([
  "run.get",
  "run.control",
  "run.request",
  "run.timeline",
  "run.result",
  "run.watch",
  "run.logs",
] satisfies (keyof AgentMethods)[]);

/** What is asked about a run that this node does not know, another one may answer. */
export function orElsewhere(serving: Serving, name: string, handle: Handle): Handle {
  const { fleet, caller } = serving;
  if (!fleet || caller.isNode || !aboutRun.has(name)) return handle;
  return async (params, incoming) => {
    const { run } = params as { run: RunId };
    const peer = knows(serving, run) ? undefined : await whoKnows(fleet, run);
    if (!peer) return handle(params, incoming);
    const { signal } = incoming;
    const send = (item: unknown, body: Uint8Array) => incoming.send(item as never, body);
    const { value, body } = await peer.request(name as "run.get", { ...params, run }, { signal }, send);
    return { result: value, body };
  };
}
