import type { callMethods } from "../../protocol/messages/calls.ts";
import type { Handlers } from "../../protocol/rpc.ts";
import { FarcallError } from "../../spec/errors.ts";
import { keptCalls } from "../fleet/callCopies.ts";
import { LiveCall, type StoredResult } from "../liveCall.ts";
import type { Slot } from "../pool.ts";
import { answerResult } from "../runAnswers.ts";
import { begin, type Serving } from "./serving.ts";

/** Begins calls, and keeps what becomes of them. */
export function serveCalls(serving: Serving): Handlers<typeof callMethods> {
  const {
    agent: { changes },
    pools,
    runs,
    logs,
    envs,
    router,
    copies,
    caller,
  } = serving;
  return {
    call: (params, incoming) => {
      const ready = pools.get(params.module);
      if (!ready) throw new FarcallError("module.unknown", "The agent does not know this module.", { retryable: true });
      const { run } = params;
      if (runs.liveCalls.has(run)) throw new FarcallError("run.mismatch", `The run ${run} is another call.`);
      begin(caller, run);
      const call = new LiveCall(params, ready.pool.module, incoming);
      runs.begin(call);
      changes.touch(run, true);
      const end = (result?: StoredResult) => {
        runs.end(call, result);
        if (!caller.isNode && !call.keptElsewhere) copies?.add(call, result);
        changes.announce(run, true);
        return caller.follower?.flush(run);
      };
      const logFile = (slot: Slot) => logs.file(run, slot.replica.id);
      const answered =
        router && !params.here
          ? router.run(call, ready, logFile, (number) => caller.follower?.followNode(run, number))
          : ready.calls.run(call, logFile);
      return answered.then(
        (answer) => {
          const { ok } = answer.result;
          call.end(ok);
          const flushed = end(call.result(ok, answer.body));
          return flushed ? flushed.then(() => answer) : answer;
        },
        async (error: unknown) => {
          call.end(undefined, error);
          await end();
          throw error;
        },
      );
    },

    "run.result": ({ run }) => answerResult(run, serving),
    "run.keep": (params, { body }) => {
      if (!caller.isNode) throw new FarcallError("protocol.invalid", "Only a node has calls to be kept.");
      for (const { call, request, result } of keptCalls(params, body)) {
        envs.keepModule(call.module, call.env);
        runs.keep(call.record, result, request);
        changes.touch(call.record.id, true);
        if (result?.ok === false) void keepSourceMaps(serving, call.record.bundle);
      }
      return { result: {} };
    },
  };
}

/** So that the error of a call names lines of its source also when the node that ran it is gone. */
async function keepSourceMaps({ runs, code }: Serving, hash: string): Promise<void> {
  if (runs.bundle(hash)) return;
  try {
    const bundle = await code?.fetchSourceMaps(hash);
    if (bundle) runs.saveBundle(bundle);
  } catch {
    // A full disk, most likely. The stack is shown as it came.
  }
}
