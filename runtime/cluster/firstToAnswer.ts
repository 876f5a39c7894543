import { isConnectionLoss } from "../client/loss.ts";
import type { AgentLink } from "../providers/provider.ts";
import type { NodeAgent } from "./nodeAgent.ts";

/** A node that is there has answered by then, most of the time. */
const nextAfterMs = 1_500;

/**
 * Connects to the first node of a cluster that answers, and starts nothing. One that is away takes long to be given
 * up, so the next is tried beside it soon. When none answers, rejects with what a person can do something about, or
 * with the first loss.
 */
export function firstToAnswer(
  agents: readonly NodeAgent[],
  signal: AbortSignal | undefined,
): Promise<{ agent: NodeAgent; link: AgentLink }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ agent: NodeAgent; link: AgentLink }>();
  const failures: unknown[] = [];
  let isOver = false;
  let next = 0;
  let timer: NodeJS.Timeout | undefined;
  const end = (): void => {
    isOver = true;
    clearTimeout(timer);
  };
  const tryNext = (): void => {
    clearTimeout(timer);
    const agent = agents[next++];
    if (!agent || isOver) return;
    timer = setTimeout(tryNext, nextAfterMs);
    agent.connect({ start: false, signal }).then(
      (link) => {
        if (isOver) return link.transport.destroy();
        end();
        resolve({ agent, link });
      },
      (error: unknown) => {
        failures.push(error);
        if (failures.length < agents.length) return tryNext();
        end();
        reject(failures.find((each) => !isConnectionLoss(each)) ?? failures[0]);
      },
    );
  };
  tryNext();
  return promise;
}
