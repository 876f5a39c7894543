import * as v from "valibot";
import { envSchema, resolvedEnvSchema } from "../spec/env.ts";
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
export const protocolVersion = 3;

/** Most indices one `map.pick` may name. */
export const maxPicked = 1_000;

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
const inputName = v.pipe(v.string(), v.maxLength(4096));
const clusterName = v.pipe(v.string(), v.maxLength(200));
const clusterNames = v.pipe(v.array(clusterName), v.maxLength(100));
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

/** How much a node of another cluster works on a map, as it last said. */
const guestWorkSchema = v.object({ cluster: v.string(), node: count, active: count, replicas: count });
export type GuestWork = v.InferOutput<typeof guestWorkSchema>;

/** What a node of another cluster did of a map, and does. */
const guestSchema = v.object({
  ...guestWorkSchema.entries,
  /** Inputs it settled, those that failed included. */
  done: count,
  failed: count,
});
export type GuestPart = v.InferOutput<typeof guestSchema>;

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
  /** Of a map that other clusters work on as well: the part of each of their nodes. */
  guests: v.optional(v.array(guestSchema)),
  /** The cluster that a map belongs to, where that is another one: the counts are of what was done here. */
  home: v.optional(v.string()),
});
export type RunRecord = v.InferOutput<typeof runSchema>;

/** What a map is, as the client asks for it and the agent keeps it. */
const mapSpecSchema = v.object({
  module: moduleSchema,
  export: v.string(),
  options: mapOptionsSchema,
  /** How the client came by the inputs, as it may be told again: `/data/urls.jsonl`, `/work/gen.ts#pages`. */
  input: v.optional(inputName),
  /** Names of other clusters that are to work on it as well, as the client knows them. */
  guests: v.optional(clusterNames),
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

/** Where in the files of a node's log a reader is: the bytes of each that it has had. */
const logPlaceSchema = v.object({
  node: count,
  files: v.record(v.pipe(v.string(), v.regex(/^\d+\.(log|raw)$/)), count),
});
export type LogPlace = v.InferOutput<typeof logPlaceSchema>;

const replicaSchema = v.object({
  id: count,
  pid: count,
  env: v.string(),
  bundle: v.string(),
  state: v.string(),
  active: count,
  residentMiB: v.number(),
});

const nodeMapSchema = v.object({
  run: runId,
  /** Inputs in the hands of its own replicas, and how many those are. */
  active: count,
  replicas: count,
  /** The cluster that the map belongs to, where that is another one. */
  home: v.optional(v.string()),
  /** Other clusters that this node lends work of the map to. */
  guests: v.optional(v.array(guestWorkSchema)),
});

/** A node of a cluster, as it says of itself every few seconds. */
const nodeStatusSchema = v.object({
  /** From 1 on. */
  number: count,
  name: v.string(),
  platform: v.string(),
  cpus: count,
  memoryMiB: v.number(),
  gpus: count,
  /** Share of its processors' time that is in use, 0 to 1. */
  cpuShare: v.number(),
  usedMiB: v.number(),
  /** Of its agent. */
  startedAtMs: v.number(),
  residentMiB: v.number(),
  clients: count,
  activeRuns: count,
  /** It works, or answers somebody who does more than look. */
  isBusy: v.boolean(),
  /** How long ago more than a look was asked of it. */
  usedAgoMs: v.optional(v.number()),
  /** Clients that are connected to it and would miss it. */
  users: v.optional(count),
  /** Of its agent. */
  build: v.optional(v.string()),
  replicas: v.array(replicaSchema),
  /** Maps that it works on or lends the work of. */
  maps: v.array(nodeMapSchema),
});
export type NodeStatus = v.InferOutput<typeof nodeStatusSchema>;

/** Samples of a node, equally far apart, the last one at `endMs`. */
const nodeMetricsSchema = v.object({
  endMs: v.number(),
  stepMs: v.number(),
  cpuShares: v.array(v.number()),
  usedMiB: v.array(v.number()),
});
export type NodeMetrics = v.InferOutput<typeof nodeMetricsSchema>;

const statusSchema = v.object({
  pid: count,
  version: v.string(),
  build: v.string(),
  nodeVersion: v.string(),
  startedAtMs: v.number(),
  /** 0 for never. */
  idleTimeoutMs: v.number(),
  clients: count,
  activeRuns: count,
  residentMiB: v.number(),
  /** Of all nodes. */
  replicas: v.array(replicaSchema),
  nodes: v.array(nodeStatusSchema),
  warnings: v.array(v.string()),
});
export type AgentStatus = v.InferOutput<typeof statusSchema>;

/** What was asked for, so that a run can be repeated. */
const requestSchema = v.object({
  kind: v.picklist(["call", "map"]),
  /** Absolute path of the source file on the client that asked. */
  file: v.string(),
  export: v.string(),
  /** As the user wrote it. */
  env: envSchema,
  /** Of a call. */
  timeoutMs: v.optional(count),
  /** Of a map. */
  options: v.optional(mapOptionsSchema),
  input: v.optional(inputName),
  guests: v.optional(clusterNames),
});
export type RequestRecord = v.InferOutput<typeof requestSchema>;

/** How a map went over time, in steps of one length from `startMs` on. The lists are equally long. */
const timelineSchema = v.object({
  startMs: v.number(),
  stepMs: v.number(),
  /** Inputs that got an outcome within the step, those that failed included; they add up to the record's. */
  done: v.array(count),
  failed: v.array(count),
  /** Inputs being worked on at the end of the step. */
  active: v.array(v.number()),
  /** For each replica the share of the step, 0 to 1, that it was busy with this run. */
  replicas: v.array(v.object({ id: count, busy: v.array(v.number()) })),
});
export type Timeline = v.InferOutput<typeof timelineSchema>;

const envStatusSchema = v.object({
  name: v.string(),
  /** Names what is installed for it; envs that need the same share it. */
  id: v.string(),
  reqs: v.array(v.string()),
  /** Exact versions by package name. */
  dependencies: v.record(v.string(), v.string()),
  /** As asked for; null for as many as the node has cores. */
  replicas: v.nullable(count),
  concurrency: count,
  varNames: v.array(v.string()),
  usedAtMs: v.number(),
  state: v.picklist(["ready", "installing", "failed", "absent"]),
  /** Why the last install failed. */
  error: v.optional(v.string()),
  liveReplicas: count,
  /** Of its packages on disk; null until it has been measured. */
  sizeBytes: v.nullable(count),
});
export type EnvStatus = v.InferOutput<typeof envStatusSchema>;

/** Who borrows work: a node of a cluster that is not the map's home. */
const borrower = { run: runId, cluster: clusterName, node: count };
const outcomeRanges = v.array(v.object({ lo: count, count, errors: count, bytes: count }));

/**
 * The work of a map on its way to other clusters. The agent of the map's home serves these; the client that has both
 * clusters, and a node for the others of its own, serve them by passing them on, bytes unread.
 */
export const workMethods = {
  /**
   * Leases chunks, as `MapQueue.claim` does; each comes as an item, its body a pack of values. `ended` says that no
   * more will ever come.
   */
  "work.claim": {
    params: v.object({ ...borrower, max: count, waitMs: count }),
    item: v.object({ lo: count, count, deaths: count, attempt: count, token: v.string() }),
    result: v.object({ ended: v.boolean() }),
  },
  "work.extend": { params: v.object({ ...borrower, token: v.string() }), result: v.object({ held: v.boolean() }) },
  "work.release": { params: v.object({ ...borrower, token: v.string(), delayMs: count }), result: nothing },
  /** Outcomes of a leased chunk that is settled soon, when they are too much for one message. Body: for each range a pack. */
  "work.put": { params: v.object({ ...borrower, token: v.string(), ranges: outcomeRanges }), result: nothing },
  /** Settles a chunk. Body: for each range a pack of outcomes. Children are cut out of the chunk where that is. */
  "work.settle": {
    params: v.object({
      ...borrower,
      token: v.string(),
      ranges: outcomeRanges,
      children: v.array(v.object({ lo: count, count, deaths: count })),
    }),
    result: v.object({ became: v.picklist(["stored", "already"]) }),
  },
  /** How much the borrower works on the map now: its replicas that do, and the inputs in their hands. */
  "work.say": { params: v.object({ ...borrower, replicas: count, active: count }), result: nothing },
} as const satisfies Catalogue;

/** What a client may ask of an agent. */
export const agentMethods = {
  /** First on every connection. The answer to a wrong token is `agent.auth`, and the end. */
  hello: {
    params: v.object({
      protocol: count,
      token: v.string(),
      version: v.string(),
      build: v.string(),
      /** Names the client: its connection before, if there is one still, has ended. */
      client: v.optional(v.string()),
    }),
    result: v.object({ protocol: count, version: v.string(), build: v.string(), pid: count }),
  },
  /**
   * Asks an agent of another version to end itself, and with it those of the other nodes; it does if the cluster has no
   * work and no other client. Asked by another node it speaks for itself.
   */
  retire: { params: nothing, result: v.object({ retiring: v.boolean(), why: v.optional(v.string()) }) },
  status: { params: nothing, result: statusSchema },
  /** How busy a node has been. Of the one that is asked unless `node` says otherwise. */
  "node.metrics": {
    params: v.object({ node: v.optional(count) }),
    result: v.object({ metrics: nodeMetricsSchema }),
  },
  /** Ends the agents of all nodes; with `here` only that of this one. */
  stop: {
    params: v.object({ force: v.boolean(), here: v.optional(v.boolean()) }),
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
      /** The call goes on when this connection is lost; `run.result` has what became of it. */
      detached: v.optional(v.boolean()),
      /** Runs on the node that is asked, and on no other. */
      here: v.optional(v.boolean()),
    }),
    item: v.object({}),
    result: v.object({ ok: v.boolean(), replica: count }),
  },

  /** Makes a map, or finds it again by its id. */
  "map.create": {
    params: v.object({ run: runId, spec: mapSpecSchema }),
    result: v.object({ record: runSchema }),
  },
  /**
   * Asks to send the rest of a map's inputs. `taken` is false while another connection sends them. `stored` are the
   * chunks behind the first `record.accepted` inputs, which came out of order.
   */
  "map.take": {
    params: v.object({ run: runId }),
    result: v.object({
      taken: v.boolean(),
      stored: v.array(v.object({ lo: count, count })),
      record: runSchema,
    }),
  },
  /** This connection sends no more inputs of a map, although they have not ended. */
  "map.leave": { params: v.object({ run: runId }), result: nothing },
  /** Body: for each chunk in turn a pack of values. Resolves when the inputs are durable. */
  "map.add": {
    params: v.object({
      run: runId,
      chunks: v.array(v.object({ lo: count, count, bytes: count })),
    }),
    result: nothing,
  },
  "map.close": { params: v.object({ run: runId, total: count }), result: nothing },
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

  /**
   * The outcomes of some inputs, for those of `indices` that have one, by rising index. Result body: the bytes of
   * those that are not withheld, one after the other. Withheld are those above `maxBytes`, and all that no longer
   * fit when the body has reached 16 MiB.
   */
  "map.pick": {
    params: v.object({ run: runId, indices: v.pipe(v.array(count), v.maxLength(maxPicked)), maxBytes: count }),
    result: v.object({
      picked: v.array(
        v.object({ index: count, ok: v.boolean(), attempts: count, sizeBytes: count, withheld: v.boolean() }),
      ),
    }),
  },

  ...workMethods,
  /** What a map is, for who has other clusters work on it again. */
  "map.spec": { params: v.object({ run: runId }), result: v.object({ spec: mapSpecSchema }) },
  /** Gives back all that a cluster has leased of a map. */
  "work.leave": { params: v.object({ run: runId, cluster: v.string() }), result: nothing },
  /**
   * Has this cluster work on a map of another one, `home`, under the name `cluster`. What it needs of that it asks of
   * whoever sent this, by `workMethods`. Ends when the map has, and on its cancelling.
   */
  "work.join": {
    params: v.object({
      run: runId,
      spec: mapSpecSchema,
      home: v.string(),
      cluster: v.string(),
      /** Only the node that is asked. */
      here: v.optional(v.boolean()),
      /** While somebody else brings it the work, this begins when that ends, rather than take over. */
      waits: v.optional(v.boolean()),
    }),
    result: nothing,
  },

  "run.list": {
    params: v.object({ limit: count, before: v.optional(runId) }),
    result: v.object({ runs: v.array(runSchema) }),
  },
  "run.get": { params: v.object({ run: runId }), result: v.object({ record: runSchema }) },
  /** Pauses, resumes or cancels a run, whoever began it. A call can only be cancelled. */
  "run.control": {
    params: v.object({ run: runId, to: v.picklist(["run", "pause", "cancel"]) }),
    result: v.object({ record: runSchema }),
  },
  /** Result body with `args`: the encoded array of a call's arguments, which is kept up to 256 KiB. */
  "run.request": {
    params: v.object({ run: runId }),
    result: v.object({ request: requestSchema, args: v.boolean() }),
  },
  /** Of a map; empty for a call. */
  "run.timeline": {
    params: v.object({ run: runId, here: v.optional(v.boolean()) }),
    result: v.object({ timeline: timelineSchema }),
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
  /** A record now, then one whenever it changed, at most ten a second, until the run ended. */
  "run.watch": { params: v.object({ run: runId }), item: v.object({ record: runSchema }), result: nothing },
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
   * Runs that were begun, got further or ended since the item before, and the number of replicas; at once, then
   * at most four times a second while something changes. In a storm of short calls some are left out.
   */
  "changes.follow": {
    params: nothing,
    item: v.object({ runs: v.array(runSchema), replicas: count }),
    result: nothing,
  },

  /** Envs as they were last used, by name. */
  "env.list": { params: nothing, result: v.object({ envs: v.array(envStatusSchema) }) },
  /** Installs an env anew; `run.state` while runs use it. Items are lines of progress. */
  "env.rebuild": {
    params: v.object({ name: v.string(), here: v.optional(v.boolean()) }),
    item: v.object({ line: v.string() }),
    result: nothing,
  },
  /** Forgets an env, and removes what is installed for it alone; `run.state` while runs use it. */
  "env.remove": { params: v.object({ name: v.string(), here: v.optional(v.boolean()) }), result: nothing },

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
    /**
     * `workedMs` is from the start of the first input to the end of the last. `strays` counts the functions of this
     * worker that went on after they were told to stop.
     */
    result: v.object({ strays: count, workedMs: v.number() }),
  },
} as const satisfies Catalogue;

/** What a worker may tell its agent without being asked. */
export const workerNotices = {
  ready: { params: v.object({ pid: count }), result: nothing },
  /** The log file of a run has grown. */
  output: { params: v.object({ run: runId }), result: nothing },
} as const satisfies Catalogue;

export type AgentMethods = typeof agentMethods;
export type WorkMethods = typeof workMethods;
export type WorkerMethods = typeof workerMethods;
export type WorkerNotices = typeof workerNotices;
export type Params<M extends Method> = v.InferOutput<M["params"]>;
export type Result<M extends Method> = v.InferOutput<M["result"]>;
export type Item<M extends Method> = M["item"] extends v.GenericSchema ? v.InferOutput<M["item"]> : never;
