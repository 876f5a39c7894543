import * as v from "valibot";

/** What a node is to know of its place in its cluster: written by whoever sets it up, read by its agent. */
export const nodeFileSchema = v.object({
  number: v.pipe(v.number(), v.integer(), v.minValue(1)),
  /** Of a cluster of several nodes: where its queue is, and who this node is there. */
  broker: v.optional(
    v.object({
      /** `tls://host:port` of every seat, as this node reaches it. */
      servers: v.pipe(v.array(v.string()), v.minLength(1)),
      /** The first of them that answers is to be taken, as others go by way of a client. Otherwise any. */
      inOrder: v.optional(v.boolean()),
      replicas: v.picklist([1, 3]),
      tls: v.object({ ca: v.string(), cert: v.string(), key: v.string(), servername: v.string() }),
      nkeySeed: v.string(),
    }),
  ),
  /** Of a node that is a seat: the server it runs. */
  seat: v.optional(
    v.object({
      name: v.string(),
      listen: v.object({ host: v.string(), port: v.number() }),
      cluster: v.optional(v.object({ host: v.string(), port: v.number(), seats: v.array(v.string()) })),
      tls: v.object({ ca: v.string(), cert: v.string(), key: v.string() }),
      users: v.array(
        v.object({
          nkey: v.string(),
          role: v.picklist(["owner", "agent"]),
          inboxPrefix: v.string(),
          also: v.object({ publish: v.array(v.string()), subscribe: v.array(v.string()) }),
        }),
      ),
    }),
  ),
});
export type NodeFile = v.InferOutput<typeof nodeFileSchema>;
