import * as v from "valibot";
import { resolvedEnvSchema } from "../spec/env.ts";
import { mapOptionsSchema } from "../spec/map.ts";

/**
 * Every message between client, agent and worker.
 *
 * A catalogue lists what one side may ask of the other: the parameters, the items a stream sends, and the
 * result. On the wire a request is `{ type: <method>, id, credit?, ...params }`; together the requests of a
 * catalogue and the control messages below form one union, told apart by `type`, for each direction.
 * Bodies (raw bytes behind a header) are named in the comments: only the two ends of a call read them.
 */

/** Raised when a message changes so that the other side would misread it. `hello` and `retire` never change. */
export const protocolVersion = 1;

interface Method {
  params: v.GenericSchema<Record<string, unknown>>;
  result: v.GenericSchema;
  /** What a stream sends before its result. */
  item?: v.GenericSchema;
}
export type Catalogue = Record<string, Method>;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const hash = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const runId = v.pipe(v.string(), v.maxLength(40), v.regex(/^[a-z0-9-]+$/));
const nothing = v.object({});

/** An error of Farcall's own on the wire. Errors of user code travel as encoded values instead. */
export const failureSchema = v.object({
  code: v.string(),
  message: v.string(),
  hint: v.optional(v.string()),
  retryable: v.optional(v.boolean()),
});
export type Failure = v.InferOutput<typeof failureSchema>;

/** A bundle as the agent needs to know it: which files, by hash, under which relative paths. */
const bundleSchema = v.object({
  hash,
  entry: v.string(),
  commonJs: v.boolean(),
  files: v.array(v.object({ path: v.string(), hash, size: count })),
});
export type BundleRef = v.InferOutput<typeof bundleSchema>;

/** Where the source lies on the client that began a run, to map stacks and show code. */
const sourceSchema = v.object({
  /** Absolute path of the source file. */
  file: v.pipe(v.string(), v.maxLength(4096)),
  /** The folder that paths in source maps are relative to. */
  root: v.pipe(v.string(), v.maxLength(4096)),
});

/** What code to run, and in which env. */
const moduleSchema = v.object({ bundle: bundleSchema, env: resolvedEnvSchema, source: sourceSchema });
export type ModuleRef = v.InferOutput<typeof moduleSchema>;

const functionKinds = ["function", "async", "generator", "async-generator"] as const;
const exportSchema = v.object({
  name: v.string(),
  /** A class counts as `other`, and so does everything that cannot be called. */
  kind: v.picklist([...functionKinds, "other"]),
  /** Names of the static methods, for a class. */
  methods: v.optional(v.array(v.string())),
});
export type ExportInfo = v.InferOutput<typeof exportSchema>;

const runStates = ["running", "paused", "done", "failed", "cancelled", "interrupted"] as const;
export type RunState = (typeof runStates)[number];

/** The record of a call or a map. */
const runSchema = v.object({
  id: runId,
  kind: v.picklist(["call", "map"]),
  /** `file#export`, as a person knows it. */
  label: v.string(),
  env: v.string(),
  state: v.picklist(runStates),
  createdAtMs: v.number(),
  endedAtMs: v.nullable(v.number()),
  /** Inputs in all, once that is known; 1 for a call. */
  total: v.nullable(count),
  /** Inputs stored by the agent. */
  accepted: count,
  /** Inputs with an outcome, those that failed included. */
  done: count,
  failed: count,
  /** Inputs being worked on. */
  active: count,
  replicas: count,
  /** Why the run as a whole failed. */
  error: v.nullable(failureSchema),
  costUsd: v.number(),
  source: sourceSchema,
  /** Hash of the bundle that ran. */
  bundle: hash,
});
export type RunRecord = v.InferOutput<typeof runSchema>;

/** What a map is, as the client asks for it and the agent keeps it. */
const mapSpecSchema = v.object({
  module: moduleSchema,
  export: v.string(),
  options: mapOptionsSchema,
});
export type MapSpec = v.InferOutput<typeof mapSpecSchema>;

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

const statusSchema = v.object({
  pid: count,
  version: v.string(),
  build: v.string(),
  nodeVersion: v.string(),
  startedAtMs: v.number(),
  idleTimeoutMs: v.number(),
  clients: count,
  activeRuns: count,
  residentMiB: v.number(),
  replicas: v.array(
    v.object({
      id: count,
      pid: count,
      env: v.string(),
      bundle: v.string(),
      state: v.string(),
      active: count,
      residentMiB: v.number(),
    }),
  ),
  warnings: v.array(v.string()),
});
export type AgentStatus = v.InferOutput<typeof statusSchema>;

/** What a client may ask of an agent. */
export const agentMethods = {
  /** First on every connection. The answer to a wrong token is `agent.auth`, and the end. */
  hello: {
    params: v.object({ protocol: count, token: v.string(), version: v.string(), build: v.string() }),
    result: v.object({ protocol: count, version: v.string(), build: v.string(), pid: count }),
  },
  /** Asks an agent of another version to end itself; it does if it has no work and no other client. */
  retire: { params: nothing, result: v.object({ retiring: v.boolean(), why: v.optional(v.string()) }) },
  status: { params: nothing, result: statusSchema },
  stop: {
    params: v.object({ force: v.boolean() }),
    result: v.object({ stopping: v.boolean(), activeRuns: count }),
  },

  "files.missing": { params: v.object({ hashes: v.array(hash) }), result: v.object({ missing: v.array(hash) }) },
  /** Body: the file. */
  "file.put": { params: v.object({ hash }), result: nothing },
  /** Result body: the file. */
  "file.get": { params: v.object({ hash }), result: nothing },

  /** What a bundle consists of, for those who know it by its hash only. */
  "bundle.get": { params: v.object({ hash }), result: v.object({ bundle: bundleSchema }) },

  /** Readies the env, imports the bundle in a replica and says what it exports. Items are lines of progress. */
  "module.load": {
    params: v.object({ module: moduleSchema }),
    item: v.object({ line: v.string() }),
    result: v.object({
      /** Names the module in calls, for as long as this agent lives. */
      module: v.string(),
      exports: v.array(exportSchema),
      env: v.picklist(["reused", "installed"]),
    }),
  },

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
    }),
    item: v.object({}),
    result: v.object({ ok: v.boolean(), replica: count }),
  },

  /** Makes a map, or finds it again by its id. */
  "map.create": {
    params: v.object({ run: runId, spec: mapSpecSchema }),
    result: v.object({ record: runSchema }),
  },
  /** Body: for each chunk in turn a pack of values. Resolves when the inputs are durable. */
  "map.add": {
    params: v.object({
      run: runId,
      chunks: v.array(v.object({ lo: count, count, bytes: count })),
    }),
    result: nothing,
  },
  "map.close": { params: v.object({ run: runId, total: count }), result: nothing },
  "map.control": {
    params: v.object({ run: runId, to: v.picklist(["run", "pause", "cancel"]) }),
    result: v.object({ record: runSchema }),
  },
  /**
   * Outcomes as they settle, by index without gaps or as they come; ends when the run has ended and all were
   * sent. Item body: a pack of outcomes.
   */
  "map.outcomes": {
    params: v.object({
      run: runId,
      order: v.picklist(["index", "settled"]),
      from: count,
      errorsOnly: v.optional(v.boolean()),
      /** Ends with what there is instead of waiting for the run's end. */
      follow: v.boolean(),
    }),
    item: v.object({ lo: count, count, sequence: count }),
    result: v.object({ record: runSchema }),
  },

  "run.list": {
    params: v.object({ limit: count, before: v.optional(runId) }),
    result: v.object({ runs: v.array(runSchema) }),
  },
  "run.get": { params: v.object({ run: runId }), result: v.object({ record: runSchema }) },
  /** Result body: the encoded return value or error of a finished call. */
  "run.result": { params: v.object({ run: runId }), result: v.object({ ok: v.boolean(), stored: v.boolean() }) },
  /** A record now, then one whenever it changed, at most ten a second, until the run ended. */
  "run.watch": { params: v.object({ run: runId }), item: v.object({ record: runSchema }), result: nothing },
  "run.logs": {
    params: v.object({ run: runId, follow: v.boolean() }),
    item: v.object({ lines: v.array(logLineSchema) }),
    result: nothing,
  },
  /** Log lines of every run that this connection begins, from now on. */
  "logs.follow": { params: nothing, item: v.object({ lines: v.array(logLineSchema) }), result: nothing },
} as const satisfies Catalogue;

/** What an agent may ask of a worker, over the pipe between them. */
export const workerMethods = {
  /** Imports files that the next bundle will most likely import, while nobody waits. */
  warm: { params: v.object({ files: v.array(v.string()) }), result: nothing },
  load: {
    params: v.object({ folder: v.string(), entry: v.string(), commonJs: v.boolean() }),
    /** Result body when `ok` is false: the encoded error that the import threw. */
    result: v.object({ ok: v.boolean(), exports: v.array(exportSchema) }),
  },
  /** Bodies as for the agent's `call`. */
  invoke: {
    params: v.object({
      run: runId,
      logFile: v.string(),
      export: v.string(),
      timeoutMs: v.nullable(count),
    }),
    item: v.object({}),
    result: v.object({ ok: v.boolean() }),
  },
  /**
   * Works the inputs of one chunk. Body: a pack of values. Items carry outcomes of neighbouring inputs as a
   * pack, whenever some have gathered; together they cover the chunk when the result comes.
   */
  slice: {
    params: v.object({
      run: runId,
      logFile: v.string(),
      export: v.string(),
      lo: count,
      concurrency: count,
      retries: count,
      timeoutMs: v.nullable(count),
      /** Workers that died over these inputs; after the first, every start is written down. */
      deaths: count,
      /** Names the slice in the journal. */
      token: v.string(),
    }),
    item: v.object({ lo: count, count, errors: count }),
    /** `strays` counts the functions of this worker that went on after they were told to stop. */
    result: v.object({ strays: count }),
  },
} as const satisfies Catalogue;

/** What a worker may tell its agent without being asked. */
export const workerNotices = {
  ready: { params: v.object({ pid: count }), result: nothing },
  /** The log file of a run has grown. */
  output: { params: v.object({ run: runId }), result: nothing },
} as const satisfies Catalogue;

export type AgentMethods = typeof agentMethods;
export type WorkerMethods = typeof workerMethods;
export type WorkerNotices = typeof workerNotices;
export type Params<M extends Method> = v.InferOutput<M["params"]>;
export type Result<M extends Method> = v.InferOutput<M["result"]>;
export type Item<M extends Method> = M["item"] extends v.GenericSchema ? v.InferOutput<M["item"]> : never;
