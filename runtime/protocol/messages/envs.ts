import * as v from "valibot";
import type { Catalogue } from "./catalogue.ts";
import { count, nothing } from "./fields.ts";

/** Envs as a cluster has them. */

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

export const envMethods = {
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
} as const satisfies Catalogue;
