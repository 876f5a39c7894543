import * as v from "valibot";
import { shortText, text } from "./fields.ts";

/** What the launch form is filled with. */

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
export const mapFormSchema = v.object({
  replicas: shortText,
  concurrency: shortText,
  retries: shortText,
  timeoutSeconds: shortText,
  onError: v.picklist(["collect", "stop"]),
});
export type MapForm = v.InferOutput<typeof mapFormSchema>;

export const sourceKinds = ["file", "glob", "export", "paste"] as const;
export type SourceKind = (typeof sourceKinds)[number];

/** What a form is about. The page keeps it, so that the form comes back when the window was reloaded. */
export const launchTargetSchema = v.object({
  mode: v.picklist(["call", "map"]),
  /** Absolute path. */
  path: shortText,
  export: shortText,
});

export const launchFormSchema = v.object({
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
