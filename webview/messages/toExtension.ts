import * as v from "valibot";
import { count, shortText, text } from "./fields.ts";
import { mapFormSchema, sourceKinds } from "./launch.ts";
import { viewSchema } from "./run.ts";

/** Names a request, for its answer. */
const request = count;
const path = v.pipe(v.array(count), v.maxLength(1_000));
/** Which value a tree shows: the outcome of an input, or with null what a call returned. */
const treeOf = v.nullable(count);

/** What a page says to the extension. */
export const toExtension = v.variant("type", [
  v.object({ type: v.literal("ready") }),

  v.object({
    type: v.literal("getRows"),
    request,
    view: viewSchema,
    first: count,
    count: v.pipe(count, v.maxValue(500)),
  }),
  /**
   * Children `first` to `first + count` of the node that `path` leads to: numbers of children from the root. With an
   * empty path and a count of 0, the root itself.
   */
  v.object({
    type: v.literal("getTree"),
    request,
    of: treeOf,
    path,
    first: count,
    count: v.pipe(count, v.maxValue(500)),
  }),
  /** The whole value in an editor. */
  v.object({ type: v.literal("openValue"), of: treeOf }),
  v.object({ type: v.literal("openFrame"), failure: shortText, frame: count }),
  v.object({ type: v.literal("export"), format: v.picklist(["jsonl", "csv", "editor"]), view: viewSchema }),
  v.object({ type: v.literal("openFullLog") }),
  /** Tries at once to hear of the run; with `start` the cluster is started for it. */
  v.object({ type: v.literal("connect"), start: v.boolean() }),
  v.object({ type: v.literal("control"), to: v.picklist(["cancel", "pause", "resume"]) }),
  v.object({ type: v.literal("repeat") }),
  v.object({ type: v.literal("copyAs"), what: v.picklist(["script", "command"]) }),
  v.object({ type: v.literal("openSource") }),

  /** Something that the cluster offers; `node` says on which one, where there are several. */
  v.object({
    type: v.literal("clusterAct"),
    act: v.picklist(["start", "stop", "shutDown", "terminal", "log"]),
    node: v.nullable(count),
  }),

  v.object({ type: v.literal("pickSource"), kind: v.picklist(sourceKinds) }),
  v.object({
    type: v.literal("previewSource"),
    request,
    source: v.object({ kind: v.picklist(sourceKinds), text }),
  }),
  v.object({
    type: v.literal("submit"),
    cluster: shortText,
    /** For a map: other clusters that work on it as well. */
    guests: v.array(shortText),
    env: shortText,
    /** For a call: the text of each parameter's field. */
    texts: v.array(text),
    map: mapFormSchema,
    source: v.object({ kind: v.picklist(sourceKinds), text }),
  }),
  v.object({ type: v.literal("close") }),
]);
export type ToExtension = v.InferOutput<typeof toExtension>;
