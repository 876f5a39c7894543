import * as v from "valibot";
import { PageState } from "../host.ts";
import { type LaunchForm, launchTargetSchema, type MapForm, type SourceKind } from "../messages/launch.ts";

/** What was entered into the form, kept while the page is hidden. */

const sourceTexts = v.object({ file: v.string(), glob: v.string(), export: v.string(), paste: v.string() });
const entriesSchema = v.object({
  /** Of which form: what was entered into another one is of no use. */
  form: v.string(),
  /** What the extension makes the form of again when the window was reloaded; null before there is one. */
  target: v.nullable(launchTargetSchema),
  texts: v.array(v.string()),
  env: v.string(),
  cluster: v.string(),
  guests: v.array(v.string()),
  map: v.object({
    replicas: v.string(),
    concurrency: v.string(),
    retries: v.string(),
    timeoutSeconds: v.string(),
    onError: v.picklist(["collect", "stop"]),
  }),
  source: v.picklist(["file", "glob", "export", "paste"]),
  sourceTexts,
});
export type Entries = v.InferOutput<typeof entriesSchema>;

const none: SourceTexts = { file: "", glob: "", export: "", paste: "" };
type SourceTexts = Record<SourceKind, string>;
const noMap: MapForm = { replicas: "", concurrency: "", retries: "", timeoutSeconds: "", onError: "collect" };

export const pageState = new PageState(entriesSchema, {
  form: "",
  target: null,
  texts: [],
  env: "",
  cluster: "",
  guests: [],
  map: noMap,
  source: "file",
  sourceTexts: none,
});

/** What the form begins with: what was entered before it was hidden, if it is the same form. */
export function entriesFor(form: LaunchForm): Entries {
  const id = JSON.stringify([
    form.target.mode,
    form.file,
    form.name,
    form.parameters.map(({ name, type }) => [name, type]),
  ]);
  const kept = pageState.value;
  if (kept.form === id) {
    return {
      ...kept,
      env: form.envs.includes(kept.env) ? kept.env : form.env,
      cluster: form.clusters.includes(kept.cluster) ? kept.cluster : form.cluster,
      guests: kept.guests.filter((name) => form.clusters.includes(name)),
    };
  }
  return {
    form: id,
    target: form.target,
    texts: form.parameters.map(({ field }) => (field.kind === "checkbox" && !field.optional ? "false" : "")),
    env: form.env,
    cluster: form.cluster,
    guests: form.guests,
    map: form.map,
    source: form.source.kind,
    sourceTexts: { ...none, [form.source.kind]: form.source.text },
  };
}
