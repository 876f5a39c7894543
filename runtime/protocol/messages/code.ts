import * as v from "valibot";
import { resolvedEnvSchema } from "../../spec/env.ts";
import type { Catalogue } from "./catalogue.ts";
import { count, hash, nothing } from "./fields.ts";

/** Code on its way to the cluster: its files, and the module they make there. */

/** A bundle as the agent needs to know it: which files, by hash, under which relative paths. */
const bundleSchema = v.object({
  hash,
  entry: v.string(),
  commonJs: v.boolean(),
  files: v.array(v.object({ path: v.string(), hash, size: count })),
});
export type BundleRef = v.InferOutput<typeof bundleSchema>;

/** Where the source lies on the client that began a run, to map stacks and show code. */
export const sourceSchema = v.object({
  /** Absolute path of the source file. */
  file: v.pipe(v.string(), v.maxLength(4096)),
  /** The folder that paths in source maps are relative to. */
  root: v.pipe(v.string(), v.maxLength(4096)),
});

/** What code to run, and in which env. */
export const moduleSchema = v.object({ bundle: bundleSchema, env: resolvedEnvSchema, source: sourceSchema });
export type ModuleRef = v.InferOutput<typeof moduleSchema>;

const functionKinds = ["function", "async", "generator", "async-generator"] as const;
export const exportSchema = v.object({
  name: v.string(),
  /** A class counts as `other`, and so does everything that cannot be called. */
  kind: v.picklist([...functionKinds, "other"]),
  /** Names of the static methods, for a class. */
  methods: v.optional(v.array(v.string())),
});
export type ExportInfo = v.InferOutput<typeof exportSchema>;

export const codeMethods = {
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
} as const satisfies Catalogue;
