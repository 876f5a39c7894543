import * as v from "valibot";
import { count, shortText, text } from "./fields.ts";

/** What the panel of a run shows. */

export const runHeaderSchema = v.object({
  id: shortText,
  kind: v.picklist(["call", "map"]),
  /** `file#export` */
  label: shortText,
  cluster: shortText,
  /** The cluster that the map belongs to, where that is another one. */
  home: v.nullable(shortText),
  /** Other clusters that work or worked on it, and how many inputs each has done. */
  guests: v.array(v.object({ cluster: shortText, done: count })),
  env: shortText,
  state: v.picklist(["running", "paused", "done", "failed", "cancelled", "interrupted"]),
  createdAtMs: v.number(),
  endedAtMs: v.nullable(v.number()),
  /** Inputs in all; null while the input has not ended. */
  total: v.nullable(count),
  accepted: count,
  done: count,
  failed: count,
  active: count,
  replicas: count,
  costUsd: v.number(),
  /** Inputs per second: over the last seconds, and of what has ended on average; null when not known. */
  ratePerSecond: v.nullable(v.number()),
  /** Why the run as a whole failed, or what its function threw. */
  error: v.nullable(v.object({ message: text, hint: v.nullable(text) })),
});
export type RunHeader = v.InferOutput<typeof runHeaderSchema>;

/** Why a run cannot be heard of, and what a person can do about it. */
export const connectionProblemSchema = v.object({
  text,
  /** What is shown meanwhile. */
  note: v.nullable(text),
  action: v.nullable(v.picklist(["start", "retry"])),
});
export type ConnectionProblem = v.InferOutput<typeof connectionProblemSchema>;

export const timelineSchema = v.object({
  startMs: v.number(),
  stepMs: v.number(),
  /** For each step, inputs done and failed in it. */
  done: v.array(v.number()),
  failed: v.array(v.number()),
  active: v.array(v.number()),
  /** For each replica the share, 0 to 1, of each step that it was busy. */
  replicas: v.array(v.object({ id: count, busy: v.array(v.number()) })),
});
export type TimelineData = v.InferOutput<typeof timelineSchema>;

/** How results are to be looked at. Anything but the default has the extension read through all of them. */
export const viewSchema = v.object({
  /** `#` for the index, `attempts`, `value` for results that have no columns, or a column's name behind a dot. */
  sort: v.pipe(v.string(), v.maxLength(1_000)),
  descending: v.boolean(),
  filter: v.pipe(v.string(), v.maxLength(1_000)),
  failuresOnly: v.boolean(),
});
export type ResultView = v.InferOutput<typeof viewSchema>;
export const defaultView: ResultView = { sort: "#", descending: false, filter: "", failuresOnly: false };

export const rowSchema = v.object({
  index: count,
  /** `pending` has no outcome yet. */
  state: v.picklist(["pending", "ok", "error"]),
  attempts: count,
  sizeBytes: count,
  /** One text for each column, or a single one. */
  cells: v.array(text),
});
export type ResultRow = v.InferOutput<typeof rowSchema>;

export const treeNodeSchema = v.object({
  /** Property name, array index or map key, as text; empty for the root. */
  key: text,
  /** What kind of value it is, for its colour. */
  kind: v.picklist(["string", "number", "boolean", "null", "undefined", "date", "error", "object", "array", "other"]),
  text,
  /** How many children it has; it is opened by asking for them. */
  children: count,
});
export type TreeNode = v.InferOutput<typeof treeNodeSchema>;

export const logLineSchema = v.object({
  replica: count,
  stream: v.picklist(["stdout", "stderr", "log"]),
  timeMs: v.number(),
  index: v.optional(count),
  /** As it was printed, with its escape sequences; the page shows colours and nothing else of them. */
  text,
});
export type PanelLogLine = v.InferOutput<typeof logLineSchema>;

const frameSchema = v.object({
  /** Name of the function, or empty. */
  name: text,
  /** `src/words.ts:12:7`, as shown. */
  place: text,
  /** Whether the place is a file on this machine that can be opened. */
  opens: v.boolean(),
});
export const failureSchema = v.object({
  /** The same for as long as the failures are of that kind. */
  id: shortText,
  /** `TypeError: cannot read …` */
  title: text,
  count,
  /** The first inputs that failed this way, at most ten. */
  indices: v.array(count),
  frames: v.array(frameSchema),
  /** Lines of source around the place, each with its number; the marked one threw. */
  code: v.array(v.object({ line: count, text, marked: v.boolean() })),
  /** What else the error says; of members, `further` is the number of those that are not shown. */
  details: v.array(v.object({ kind: v.picklist(["hint", "cause", "member", "further"]), text })),
});
export type FailureGroup = v.InferOutput<typeof failureSchema>;
