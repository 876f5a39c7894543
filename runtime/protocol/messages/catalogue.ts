import type * as v from "valibot";

/**
 * What the messages between client, agent and worker are made of.
 *
 * A catalogue lists what one side may ask of the other: the parameters, the items a stream sends, and the
 * result. On the wire a request is `{ type: <method>, id, credit?, ...params }`; together the requests of a
 * catalogue and the control messages of `rpc` form one union, told apart by `type`, for each direction.
 * Bodies (raw bytes behind a header) are named in the comments: only the two ends of a call read them.
 */

interface Method {
  params: v.GenericSchema<Record<string, unknown>>;
  result: v.GenericSchema;
  /** What a stream sends before its result. */
  item?: v.GenericSchema;
}
export type Catalogue = Record<string, Method>;

export type Params<M extends Method> = v.InferOutput<M["params"]>;
export type Result<M extends Method> = v.InferOutput<M["result"]>;
export type Item<M extends Method> = M["item"] extends v.GenericSchema ? v.InferOutput<M["item"]> : never;
