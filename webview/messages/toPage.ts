import * as v from "valibot";
import { clusterViewSchema, metricsSchema } from "./cluster.ts";
import { count, shortText, text } from "./fields.ts";
import { launchFormSchema, sourceKinds } from "./launch.ts";
import {
  connectionProblemSchema,
  failureSchema,
  logLineSchema,
  rowSchema,
  runHeaderSchema,
  timelineSchema,
  treeNodeSchema,
} from "./run.ts";

/** Names a request, for its answer. */
const request = count;

/** What the extension says to a page. */
export const toPage = v.variant("type", [
  /** First, in answer to `ready`. `strings` are translations by English text, or null for English. */
  v.object({
    type: v.literal("start"),
    locale: shortText,
    strings: v.nullable(v.record(v.string(), v.union([v.string(), v.object({ message: v.string() })]))),
  }),

  /**
   * Which run the page is about, before anything is known of it. While there is a problem, what is shown of the run is
   * what was last known.
   */
  v.object({
    type: v.literal("connection"),
    run: shortText,
    cluster: shortText,
    problem: v.nullable(connectionProblemSchema),
  }),
  v.object({ type: v.literal("run"), run: runHeaderSchema, canRepeat: v.boolean() }),
  v.object({ type: v.literal("timeline"), timeline: timelineSchema }),
  /** Answers `getRows`. `of` is the number of rows in the view. */
  v.object({
    type: v.literal("rows"),
    request,
    of: count,
    columns: v.array(text),
    first: count,
    rows: v.array(rowSchema),
  }),
  /** Answers `getRows` when they could not be read. */
  v.object({ type: v.literal("rowsFailed"), request, problem: text }),
  /** How far reading through all results for a view has come, 0 to 1; null when it is over. */
  v.object({ type: v.literal("scan"), fraction: v.nullable(v.number()) }),
  /** Answers `getTree`. `problem` says why there is no value. */
  v.object({ type: v.literal("tree"), request, nodes: v.array(treeNodeSchema), problem: v.nullable(text) }),
  /** What a finished call returned, as the root of a tree; null while there is none. */
  v.object({ type: v.literal("result"), root: v.nullable(treeNodeSchema) }),
  /**
   * With `reset` the lines begin anew. `dropped` counts lines that were left out right before these; what the page has
   * is then older than anything that is kept. `kept` says how much the page is to keep.
   */
  v.object({
    type: v.literal("logs"),
    reset: v.boolean(),
    dropped: count,
    kept: v.object({ lines: count, chars: count }),
    lines: v.array(logLineSchema),
  }),
  /** `more` is true when only the first of many failures were read; `others` were, but are of kinds that are not shown. */
  v.object({ type: v.literal("failures"), groups: v.array(failureSchema), more: v.boolean(), others: count }),

  v.object({ type: v.literal("cluster"), cluster: clusterViewSchema }),
  v.object({ type: v.literal("metrics"), metrics: metricsSchema }),

  v.object({ type: v.literal("form"), form: launchFormSchema }),
  /** Answers `previewSource`. */
  v.object({
    type: v.literal("preview"),
    request,
    count: v.nullable(count),
    exact: v.boolean(),
    first: v.array(text),
    problem: v.nullable(text),
  }),
  /** What was picked after `pickSource`. */
  v.object({ type: v.literal("picked"), kind: v.picklist(sourceKinds), text }),
  /** Why a form that was submitted was not taken; `parameter` is the number of the field, or null. */
  v.object({ type: v.literal("refused"), parameter: v.nullable(count), message: text }),
]);
export type ToPage = v.InferOutput<typeof toPage>;
