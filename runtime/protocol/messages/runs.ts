import * as v from "valibot";
import { envSchema } from "../../spec/env.ts";
import { mapOptionsSchema } from "../../spec/map.ts";
import { failureSchema } from "../failure.ts";
import type { Catalogue } from "./catalogue.ts";
import { sourceSchema } from "./code.ts";
import { clusterNames, count, hash, inputName, nothing, runId } from "./fields.ts";

/** The record of runs: what each was asked to do, how it goes, and what changes. */

const runStates = ["running", "paused", "done", "failed", "cancelled", "interrupted"] as const;
export type RunState = (typeof runStates)[number];

/** How much a node of another cluster works on a map, as it last said. */
export const guestWorkSchema = v.object({ cluster: v.string(), node: count, active: count, replicas: count });
export type GuestWork = v.InferOutput<typeof guestWorkSchema>;

/** Nodes of other clusters. */
const maxGuests = 10_000;

/** What a node of another cluster did of a map, and does. */
const guestSchema = v.object({
  ...guestWorkSchema.entries,
  /** Inputs it settled, those that failed included. */
  done: count,
  failed: count,
});
export type GuestPart = v.InferOutput<typeof guestSchema>;

/** The record of a call or a map. */
export const runSchema = v.object({
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
  guests: v.optional(v.pipe(v.array(guestSchema), v.maxLength(maxGuests))),
  /** The cluster that a map belongs to, where that is another one: the counts are of what was done here. */
  home: v.optional(v.string()),
});
export type RunRecord = v.InferOutput<typeof runSchema>;

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

export const runMethods = {
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
  /** A record now, then one whenever it changed, at most ten a second, until the run ended. */
  "run.watch": { params: v.object({ run: runId }), item: v.object({ record: runSchema }), result: nothing },
  /**
   * Runs that were begun, got further or ended since the item before, and the number of replicas; at once, then
   * at most four times a second while something changes. In a storm of short calls some are left out.
   */
  "changes.follow": {
    params: nothing,
    item: v.object({ runs: v.array(runSchema), replicas: count }),
    result: nothing,
  },
} as const satisfies Catalogue;
