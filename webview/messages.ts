import * as v from "valibot";

/**
 * Every message between a panel's page and the extension. Both sides check what they are sent against these
 * schemas: the page shows what came from afar, and the extension must not do what only a broken page would ask.
 *
 * A page is thrown away while its panel is hidden and messages to it are lost, so it says `ready` when it is
 * there, is sent everything anew, and keeps nothing but which tab, filter and sort it shows.
 */

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
/** Of a text in a message. What a page would send must not be longer, or it is not heard. */
export const maxTextChars = 2_000_000;
const text = v.pipe(v.string(), v.maxLength(maxTextChars));
const shortText = v.pipe(v.string(), v.maxLength(4_096));

// ---- The run panel -------------------------------------------------------------------------------------------------

const runHeaderSchema = v.object({
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
const connectionProblemSchema = v.object({
  text,
  /** What is shown meanwhile. */
  note: v.nullable(text),
  action: v.nullable(v.picklist(["start", "retry"])),
});
export type ConnectionProblem = v.InferOutput<typeof connectionProblemSchema>;

const timelineSchema = v.object({
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
const viewSchema = v.object({
  /** `#` for the index, `attempts`, `value` for results that have no columns, or a column's name behind a dot. */
  sort: v.pipe(v.string(), v.maxLength(1_000)),
  descending: v.boolean(),
  filter: v.pipe(v.string(), v.maxLength(1_000)),
  failuresOnly: v.boolean(),
});
export type ResultView = v.InferOutput<typeof viewSchema>;
export const defaultView: ResultView = { sort: "#", descending: false, filter: "", failuresOnly: false };

const rowSchema = v.object({
  index: count,
  /** `pending` has no outcome yet. */
  state: v.picklist(["pending", "ok", "error"]),
  attempts: count,
  sizeBytes: count,
  /** One text for each column, or a single one. */
  cells: v.array(text),
});
export type ResultRow = v.InferOutput<typeof rowSchema>;

const treeNodeSchema = v.object({
  /** Property name, array index or map key, as text; empty for the root. */
  key: text,
  /** What kind of value it is, for its colour. */
  kind: v.picklist(["string", "number", "boolean", "null", "undefined", "date", "error", "object", "array", "other"]),
  text,
  /** How many children it has; it is opened by asking for them. */
  children: count,
});
export type TreeNode = v.InferOutput<typeof treeNodeSchema>;

const logLineSchema = v.object({
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
const failureSchema = v.object({
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

// ---- The launch form -----------------------------------------------------------------------------------------------

const scalarSchema = v.union([v.string(), v.number(), v.boolean(), v.null()]);
const fieldSchema = v.variant("kind", [
  v.object({ kind: v.literal("text"), optional: v.boolean() }),
  v.object({ kind: v.literal("number"), integer: v.optional(v.boolean()), optional: v.boolean() }),
  v.object({ kind: v.literal("checkbox"), optional: v.boolean() }),
  v.object({ kind: v.literal("choice"), values: v.array(scalarSchema), optional: v.boolean() }),
  v.object({
    kind: v.literal("json"),
    placeholder: text,
    /** Nothing but an array will do. */
    array: v.optional(v.boolean()),
    /** What the parameter takes cannot be written as JSON. */
    unsayable: v.optional(v.boolean()),
    optional: v.boolean(),
  }),
]);

const parameterSchema = v.object({
  name: shortText,
  /** As written in the source; empty when there is none. */
  type: text,
  doc: text,
  rest: v.boolean(),
  /** Source text of the default, or empty. */
  default: text,
  field: fieldSchema,
});
export type FormParameter = v.InferOutput<typeof parameterSchema>;

/** Options of a map as the form has them: texts, empty for the default. */
const mapFormSchema = v.object({
  replicas: shortText,
  concurrency: shortText,
  retries: shortText,
  timeoutSeconds: shortText,
  onError: v.picklist(["collect", "stop"]),
});
export type MapForm = v.InferOutput<typeof mapFormSchema>;

const sourceKinds = ["file", "glob", "export", "paste"] as const;
export type SourceKind = (typeof sourceKinds)[number];

/** What a form is about. The page keeps it, so that the form comes back when the window was reloaded. */
export const launchTargetSchema = v.object({
  mode: v.picklist(["call", "map"]),
  /** Absolute path. */
  path: shortText,
  export: shortText,
});

const launchFormSchema = v.object({
  target: launchTargetSchema,
  name: shortText,
  /** Path of the file, as short as it can be. */
  file: shortText,
  signature: text,
  doc: text,
  /** What a person should know before, such as parameters that a map leaves open; or empty. */
  warning: text,
  parameters: v.array(parameterSchema),
  /** Arguments of earlier runs, newest first: for each parameter the text of its field. */
  history: v.array(v.array(text)),
  envs: v.array(shortText),
  env: shortText,
  clusters: v.array(shortText),
  cluster: shortText,
  /** Other clusters that the last map of this function ran on. */
  guests: v.array(shortText),
  map: mapFormSchema,
  /** The input source of the last map of this function. */
  source: v.object({ kind: v.picklist(sourceKinds), text }),
});
export type LaunchForm = v.InferOutput<typeof launchFormSchema>;

// ---- The cluster panel ---------------------------------------------------------------------------------------------

const clusterNodeSchema = v.object({
  /** From 1 on. */
  number: count,
  host: shortText,
  /** Such as `linux x64`; null when it is not known. */
  platform: v.nullable(shortText),
  cpus: v.nullable(count),
  memoryMiB: v.nullable(v.number()),
  /** Null while the node is not heard of. */
  load: v.nullable(v.object({ cpuShare: v.number(), usedMiB: v.number() })),
  replicas: v.array(
    v.object({ id: count, pid: count, env: shortText, bundle: shortText, active: count, residentMiB: v.number() }),
  ),
});
export type ClusterNode = v.InferOutput<typeof clusterNodeSchema>;

const clusterViewSchema = v.object({
  name: shortText,
  condition: v.picklist(["up", "idle", "stopped", "launching", "ending", "unreachable", "broken", "unknown"]),
  /** Why nothing is known, or empty. */
  problem: text,
  usdPerHour: v.number(),
  /** When it came to be as it is; null when that is not known. */
  sinceMs: v.nullable(v.number()),
  nodes: v.array(clusterNodeSchema),
  /** Clusters whose maps it works on now, and those that work on its own. */
  helps: v.array(shortText),
  helpedBy: v.array(shortText),
  warnings: v.array(text),
  /** What can be done with it now. */
  offers: v.array(v.picklist(["start", "stop", "shutDown", "terminal", "log"])),
});
export type ClusterView = v.InferOutput<typeof clusterViewSchema>;

/** Samples of a node, equally far apart, the last one the newest. */
const metricsSchema = v.object({
  node: count,
  stepMs: v.number(),
  cpuShares: v.pipe(v.array(v.number()), v.maxLength(10_000)),
  usedMiB: v.pipe(v.array(v.number()), v.maxLength(10_000)),
});
export type ClusterMetrics = v.InferOutput<typeof metricsSchema>;

// ---- Extension to page ---------------------------------------------------------------------------------------------

const request = count;

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

// ---- Page to extension ---------------------------------------------------------------------------------------------

const path = v.pipe(v.array(count), v.maxLength(1_000));
/** Which value a tree shows: the outcome of an input, or with null what a call returned. */
const treeOf = v.nullable(count);

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
