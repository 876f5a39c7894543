import * as v from "valibot";
import type { Catalogue } from "./catalogue.ts";
import { count, nothing } from "./fields.ts";

/** How a connection to an agent begins, and how agents are asked to end. */

/** Raised when a message changes so that the other side would misread it. `hello` and `retire` never change. */
export const protocolVersion = 3;

export const sessionMethods = {
  /** First on every connection. The answer to a wrong token is `agent.auth`, and the end. */
  hello: {
    params: v.object({
      protocol: count,
      token: v.string(),
      version: v.string(),
      build: v.string(),
      /** Names the client: its connection before, if there is one still, has ended. */
      client: v.optional(v.string()),
    }),
    result: v.object({ protocol: count, version: v.string(), build: v.string(), pid: count }),
  },
  /**
   * Asks an agent of another version to end itself, and with it those of the other nodes; it does if the cluster has no
   * work and no other client. Asked by another node it speaks for itself.
   */
  retire: { params: nothing, result: v.object({ retiring: v.boolean(), why: v.optional(v.string()) }) },
  /** Ends the agents of all nodes; with `here` only that of this one. */
  stop: {
    params: v.object({ force: v.boolean(), here: v.optional(v.boolean()) }),
    result: v.object({ stopping: v.boolean(), activeRuns: count }),
  },
} as const satisfies Catalogue;
