import type { AgentMethods } from "../protocol/messages/agent.ts";
import type { Params, Result } from "../protocol/messages/catalogue.ts";
import type { RequestRecord, RunRecord } from "../protocol/messages/runs.ts";
import type { Answer } from "../protocol/rpc.ts";
import { envSpecOf } from "../spec/env.ts";
import { FarcallError } from "../spec/errors.ts";
import type { RunId } from "../spec/names.ts";
import type { Changes } from "./changes.ts";
import type { EnvRegistry } from "./envRegistry.ts";
import type { Maps } from "./maps.ts";
import type { RunStore } from "./runs.ts";

/** What a client is told about a run, and what it may do to one, whether that is a call or a map. */

export interface RunParts {
  agent: { changes: Changes };
  runs: RunStore;
  maps: Maps;
  envs: EnvRegistry;
}

/** A cancelled function has two seconds to react before its worker is ended. */
const endWithinMs = 5_000;

export async function controlRun(
  { run, to }: Params<AgentMethods["run.control"]>,
  { agent: { changes }, runs, maps }: RunParts,
): Promise<RunRecord> {
  const record = await maps.record(run);
  if (record.kind === "map") return maps.control({ run, to });
  if (to !== "cancel") {
    throw new FarcallError("run.state", `The run ${run} is a call, which can be neither paused nor resumed.`, {
      hint: "It can be cancelled.",
    });
  }
  runs.liveCalls.get(run)?.abort(new FarcallError("run.cancelled", "The call was cancelled."));
  const deadline = AbortSignal.timeout(endWithinMs);
  while (runs.liveCalls.has(run) && !deadline.aborted) {
    await changes.wait(run, changes.version(run), deadline);
  }
  return maps.record(run);
}

export async function answerResult(
  run: RunId,
  { runs, maps }: RunParts,
): Promise<Answer<Result<AgentMethods["run.result"]>>> {
  const record = await maps.record(run);
  const stored = runs.result(run);
  const itemsBody = stored?.itemsBody ?? new Uint8Array();
  return {
    result: {
      ok: stored?.ok ?? false,
      stored: stored?.body !== undefined,
      items: stored?.items ?? 0,
      itemsBytes: itemsBody.byteLength,
      itemsDropped: (stored?.items ?? 0) > 0 && stored?.itemsBody === undefined,
      record,
    },
    body: Buffer.concat([itemsBody, stored?.body ?? new Uint8Array()]),
  };
}

export async function answerRequest(
  run: RunId,
  { runs, maps, envs }: RunParts,
): Promise<Answer<Result<AgentMethods["run.request"]>>> {
  const { kind, source } = await maps.record(run);
  const spec = kind === "map" ? await maps.spec(run) : undefined;
  if (spec) {
    const request: RequestRecord = {
      kind,
      file: source.file,
      export: spec.export,
      env: envSpecOf(spec.module.env),
      options: spec.options,
      ...(spec.input === undefined ? {} : { input: spec.input }),
      ...(spec.guests === undefined ? {} : { guests: spec.guests }),
    };
    return { result: { request, args: false } };
  }
  const call = runs.request(run);
  const env = call && envs.envOfModule(call.module);
  if (!call || !env) {
    throw new FarcallError("run.state", `What was asked for with the run ${run} was not kept.`, {
      hint: "An older version of Farcall recorded it.",
    });
  }
  const { timeoutMs, args } = call;
  const request: RequestRecord = {
    kind,
    file: source.file,
    export: call.export,
    env,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
  const result = { request, args: args !== undefined };
  return args ? { result, body: args } : { result };
}
