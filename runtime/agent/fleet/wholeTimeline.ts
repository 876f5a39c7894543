import type { Timeline } from "../../protocol/messages/runs.ts";

/**
 * A map's timeline with what replicas of other nodes did. The inputs that got an outcome are those of the whole map on
 * every node; what is worked on and who is busy each node knows of its own.
 */
export function wholeTimeline(mine: Timeline, others: readonly Timeline[]): Timeline {
  const at = (other: Timeline, step: number) =>
    Math.floor((mine.startMs + step * mine.stepMs - other.startMs) / other.stepMs);
  const steps = mine.done.map((_, step) => step);
  return {
    ...mine,
    active: mine.active.map((active, step) =>
      others.reduce((sum, other) => sum + (other.active[at(other, step)] ?? 0), active),
    ),
    replicas: [
      ...mine.replicas,
      ...others.flatMap((other) =>
        other.replicas.map(({ id, busy }) => ({ id, busy: steps.map((step) => busy[at(other, step)] ?? 0) })),
      ),
    ],
  };
}
