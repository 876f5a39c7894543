import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterMetrics } from "../../webview/messages.ts";
import { conditionOf } from "../clusters/condition.ts";
import type { Farcall } from "../farcall.ts";

/** Reads how busy the nodes of a cluster have been, again and again while somebody looks. */
export interface MetricsFeed {
  farcall: Farcall;
  cluster: string;
  isShown: () => boolean;
  take: (metrics: ClusterMetrics) => void;
  signal: AbortSignal;
}

/** As often as nodes take samples. */
const everyMs = 5_000;
/** To see at once what a panel shows that has just been opened. */
const hiddenEveryMs = 250;
const atOnce = 4;

export async function followMetrics({ farcall, cluster: name, isShown, take, signal }: MetricsFeed): Promise<void> {
  while (!signal.aborted) {
    const state = farcall.live.state(name);
    const isSeen = isShown() && conditionOf(state) === "up";
    if (isSeen) {
      const numbers = (state.status?.nodes ?? []).map(({ number }) => number);
      const next = numbers.values();
      const workers = Array.from({ length: atOnce }, async () => {
        for (const node of next) {
          try {
            const metrics = await (await farcall.cluster(name)).metrics(node, signal);
            if (metrics && !signal.aborted) take({ node, ...metrics });
          } catch (error) {
            // A node that is away has no curve; the view says that it is.
            if (!signal.aborted) farcall.log.debug(`Metrics of node ${node} of ${name}: ${String(error)}`);
          }
        }
      });
      await Promise.all(workers);
    }
    await sleep(isSeen ? everyMs : hiddenEveryMs, undefined, { signal }).catch(() => undefined);
  }
}
