import * as v from "valibot";
import { mapOptionsSchema } from "../../spec/map.ts";
import type { Catalogue } from "./catalogue.ts";
import { moduleSchema } from "./code.ts";
import { clusterNames, count, inputName, nothing, runId } from "./fields.ts";
import { runSchema } from "./runs.ts";

/** Maps: inputs in, outcomes out. */

/** Most indices one `map.pick` may name. */
export const maxPicked = 1_000;

/** What a map is, as the client asks for it and the agent keeps it. */
export const mapSpecSchema = v.object({
  module: moduleSchema,
  export: v.string(),
  options: mapOptionsSchema,
  /** How the client came by the inputs, as it may be told again: `/data/urls.jsonl`, `/data/gen.ts#pages`. */
  input: v.optional(inputName),
  /** Names of other clusters that are to work on it as well, as the client knows them. */
  guests: v.optional(clusterNames),
});
export type MapSpec = v.InferOutput<typeof mapSpecSchema>;

export const mapMethods = {
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
} as const satisfies Catalogue;
