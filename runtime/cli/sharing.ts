import type { AgentStatus } from "../protocol/messages/nodes.ts";
import { sanitize, some } from "./terminal.ts";

/** What a cluster works on with others at the moment, a line for each map and cluster. */
export function sharingLines({ nodes }: AgentStatus): string[] {
  const maps = nodes.flatMap((node) => node.maps);
  const borrowed = maps.flatMap(({ home, ...map }) =>
    home === undefined ? [] : [{ ...map, what: `helps with run ${map.run} of ${home}` }],
  );
  const lent = maps.flatMap(({ run, guests = [] }) =>
    guests.map((guest) => ({ ...guest, what: `${guest.cluster} helps with run ${run}` })),
  );
  const sums = new Map<string, { active: number; replicas: number }>();
  for (const { what, active, replicas } of [...borrowed, ...lent]) {
    const sum = sums.get(what) ?? { active: 0, replicas: 0 };
    sums.set(what, { active: sum.active + active, replicas: sum.replicas + replicas });
  }
  return [...sums].map(
    ([what, { active, replicas }]) =>
      `${sanitize(what, false)}: ${some(active, "input")} in ${some(replicas, "replica")}`,
  );
}
