import * as v from "valibot";
import type { Catalogue } from "./catalogue.ts";
import { clusterName, count, nothing, runId } from "./fields.ts";
import { mapSpecSchema } from "./maps.ts";

/** A map that several clusters work on: who joins, and the work on its way to them and back. */

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

export type WorkMethods = typeof workMethods;

/** How a cluster comes to work on a map of another one, and leaves. */
export const guestMethods = {
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
} as const satisfies Catalogue;
