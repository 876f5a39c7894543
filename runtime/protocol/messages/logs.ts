import * as v from "valibot";
import type { Catalogue } from "./catalogue.ts";
import { count, nothing, runId } from "./fields.ts";

/** What functions print. */

const logLineSchema = v.object({
  run: runId,
  replica: count,
  stream: v.picklist(["stdout", "stderr", "log"]),
  timeMs: v.number(),
  /** Input index; absent for calls and for output that cannot be told apart. */
  index: v.optional(count),
  text: v.string(),
});
export type LogLine = v.InferOutput<typeof logLineSchema>;

/** Where in the files of a node's log a reader is: the bytes of each that it has had. */
const logPlaceSchema = v.object({
  node: count,
  files: v.record(v.pipe(v.string(), v.regex(/^\d+\.(log|raw)$/)), count),
});
export type LogPlace = v.InferOutput<typeof logPlaceSchema>;

export const logMethods = {
  /**
   * With `tail` no more than that many of the lines there are, the newest, in `tailBytes` of their files; the first
   * item then says how many were skipped. With `after` what lies behind that position; each item has what of the
   * position changes with it.
   */
  "run.logs": {
    params: v.object({
      run: runId,
      follow: v.boolean(),
      /** Only what was printed on the node that is asked. */
      here: v.optional(v.boolean()),
      tail: v.optional(count),
      tailBytes: v.optional(count),
      after: v.optional(v.array(logPlaceSchema)),
    }),
    item: v.object({ lines: v.array(logLineSchema), place: v.optional(logPlaceSchema), skipped: v.optional(count) }),
    result: nothing,
  },

  /**
   * Log lines of every run that this connection begins from now on, and of `runs`, which an earlier one began, from
   * where each was read. An item has lines of one run.
   */
  "logs.follow": {
    params: v.object({ runs: v.optional(v.array(v.object({ run: runId, after: v.array(logPlaceSchema) }))) }),
    item: v.object({ lines: v.array(logLineSchema), place: v.optional(logPlaceSchema) }),
    result: nothing,
  },
} as const satisfies Catalogue;
