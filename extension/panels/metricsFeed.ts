import type { ClusterMetrics } from "../../webview/messages/cluster.ts";
import { conditionOf } from "../clusters/condition.ts";
import type { Farcall } from "../farcall.ts";

/** Reads how busy the nodes of a cluster have been, again and again while somebody looks and the cluster is up. */
export interface MetricsFeedOptions {
  farcall: Farcall;
  cluster: string;
  isShown: () => boolean;
  take: (metrics: ClusterMetrics) => void;
  signal: AbortSignal;
}

/** As often as nodes take samples. */
const everyMs = 5_000;
const atOnce = 4;

export class MetricsFeed {
  readonly #options: MetricsFeedOptions;
  #isReading = false;
  /** Somebody came while curves were being read for a page that may be gone. */
  #isDue = false;
  #next: NodeJS.Timeout | undefined;

  constructor(options: MetricsFeedOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", () => clearTimeout(this.#next), { once: true });
  }

  /** For a page that has nothing yet. */
  restart(): void {
    clearTimeout(this.#next);
    this.#next = undefined;
    this.#isDue = this.#isReading;
    this.look();
  }

  /** To be told of what may have changed: whether there is a page, or how the cluster is. */
  look(): void {
    if (this.#isReading || this.#next || !this.#isWanted) return;
    this.#isReading = true;
    void this.#read().finally(() => {
      this.#isReading = false;
      if (this.#options.signal.aborted) return;
      const isDue = this.#isDue;
      this.#isDue = false;
      this.#next = setTimeout(
        () => {
          this.#next = undefined;
          this.look();
        },
        isDue ? 0 : everyMs,
      );
    });
  }

  get #isWanted(): boolean {
    const { farcall, cluster, isShown, signal } = this.#options;
    return !signal.aborted && isShown() && conditionOf(farcall.live.state(cluster)) === "up";
  }

  async #read(): Promise<void> {
    const { farcall, cluster: name, take, signal } = this.#options;
    const nodes = (farcall.live.state(name).status?.nodes ?? []).values();
    const work = async () => {
      for (const { number: node } of nodes) {
        try {
          const metrics = await (await farcall.cluster(name)).metrics(node, signal);
          if (metrics && !signal.aborted) take({ node, ...metrics });
        } catch (error) {
          // A node that is away has no curve; the view says that it is.
          if (!signal.aborted) farcall.log.debug(`Metrics of node ${node} of ${name}: ${String(error)}`);
        }
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
  }
}
