import { FarcallError, messageOf } from "../spec/errors.ts";
import type { NodeAgent } from "./nodeAgent.ts";
import type { NodeRecord } from "./registry.ts";

/** Why nothing is heard of a node of a cluster that is up. */
export interface Absence {
  /** Of the node. */
  number: number;
  /**
   * `unreachable`: this client cannot log in to its machine. `silent`: no agent answers there. `uncarried`: an agent does,
   * and no client that is connected carries its traffic. `cut-off`: the same of one that needs nobody for that.
   */
  why: "unreachable" | "silent" | "uncarried" | "cut-off";
  /** What went wrong with a machine that is `unreachable`, or empty. */
  problem: string;
  /** The code of that. */
  code?: string;
}

const withinMs = 8_000;

/** Finds out by going to the machine, without starting anything. */
export async function absenceOf(
  { number, host, relay }: NodeRecord,
  agent: NodeAgent,
  signal: AbortSignal | undefined,
): Promise<Absence> {
  const late = AbortSignal.timeout(withinMs);
  try {
    const link = await agent.connect({ start: false, signal: signal ? AbortSignal.any([signal, late]) : late });
    link.transport.destroy();
    return { number, why: relay ? "uncarried" : "cut-off", problem: "" };
  } catch (error) {
    signal?.throwIfAborted();
    if (late.aborted)
      return { number, why: "unreachable", problem: `${host} does not answer within ${withinMs / 1_000} s.` };
    const code = error instanceof FarcallError ? error.code : undefined;
    if (code === "agent.unreachable") return { number, why: "silent", problem: "" };
    return { number, why: "unreachable", problem: messageOf(error), ...(code === undefined ? {} : { code }) };
  }
}
