import * as v from "valibot";
import type { Catalogue } from "./catalogue.ts";
import { exportSchema } from "./code.ts";
import { count, nothing, runId } from "./fields.ts";

/** What an agent and its workers say to each other, over the pipe between them. */

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

export type WorkerMethods = typeof workerMethods;
export type WorkerNotices = typeof workerNotices;
