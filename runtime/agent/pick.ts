import type { AgentMethods } from "../protocol/messages/agent.ts";
import type { Params, Result } from "../protocol/messages/catalogue.ts";
import { pickStored } from "../protocol/pick.ts";
import type { Answer } from "../protocol/rpc.ts";
import type { MapQueue } from "../queue/mapQueue.ts";

/** The outcomes of some inputs. */
export function pickOutcomes(
  queue: MapQueue,
  { run, ...wanted }: Params<AgentMethods["map.pick"]>,
  signal: AbortSignal,
): Promise<Answer<Result<AgentMethods["map.pick"]>>> {
  const readRange = async (index: number) => {
    // In a turn of its own: a thousand scattered indices are a thousand ranges.
    await new Promise((resolve) => setImmediate(resolve));
    const { ranges } = await queue.outcomes(run, { order: "index", from: index, limit: 1, limitBytes: 1 });
    return ranges[0];
  };
  return pickStored(readRange, wanted, signal);
}
