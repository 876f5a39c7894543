import * as v from "valibot";
import { envSchema } from "../../spec/env.ts";
import type { Catalogue } from "./catalogue.ts";
import { count, nothing, runId } from "./fields.ts";
import { runSchema } from "./runs.ts";

/** Calls, and what became of them. */

export const callMethods = {
  /**
   * One call. Body: the encoded array of arguments. Items, with an encoded value as body each, come from
   * generators. Result body: the encoded return value; an error of the function is `ok: false` and the
   * encoded error.
   */
  call: {
    params: v.object({
      run: runId,
      /** As `module.load` named it; `module.unknown` asks to load it again. */
      module: v.string(),
      export: v.string(),
      timeoutMs: v.optional(count),
      /** The call goes on when this connection is lost; `run.result` has what became of it. */
      detached: v.optional(v.boolean()),
      /** Runs on the node that is asked, and on no other. */
      here: v.optional(v.boolean()),
    }),
    item: v.object({}),
    result: v.object({ ok: v.boolean(), replica: count }),
  },
  /**
   * What became of a call. Result body: a pack of `itemsBytes` with the values it yielded, then, if `stored`, its
   * encoded return value or error. Yielded values are kept up to 8 MiB together, and none of them above.
   */
  "run.result": {
    params: v.object({ run: runId }),
    result: v.object({
      ok: v.boolean(),
      stored: v.boolean(),
      items: count,
      itemsBytes: count,
      itemsDropped: v.boolean(),
      record: runSchema,
    }),
  },
  /**
   * From node to node: keeps what became of calls that ended on another one. Body: for each in turn the encoded
   * arguments, the pack of what it yielded, and the encoded return value or error, where there are so many `bytes` of it.
   */
  "run.keep": {
    params: v.object({
      calls: v.array(
        v.object({
          record: runSchema,
          env: envSchema,
          module: v.string(),
          export: v.string(),
          timeoutMs: v.optional(count),
          /** Absent when there was no answer. */
          ok: v.optional(v.boolean()),
          items: count,
          bytes: v.object({ args: v.nullable(count), items: v.nullable(count), answer: v.nullable(count) }),
        }),
      ),
    }),
    result: nothing,
  },
} as const satisfies Catalogue;
