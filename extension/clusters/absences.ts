import type { Absence, AgentStatus, Cluster } from "../../runtime/index.ts";
import { pauseAfter } from "./condition.ts";

/**
 * Why nodes of a cluster are not heard of. It is found out beside everything else, as a machine that is away takes
 * seconds to be given up, and for the same nodes not again before a pause.
 */
export class Absences {
  readonly #onFound: (found: Absence[]) => void;
  /** Numbers of the nodes that it was last found out for. */
  #asked = "";
  #nextAtMs = 0;
  #isLooking = false;

  /** `onFound` is told of all that are missing, and with nothing when there are none any more. */
  constructor(onFound: (found: Absence[]) => void) {
    this.#onFound = onFound;
  }

  /** `numbers` are those of all nodes. */
  look(cluster: Cluster, status: AgentStatus, numbers: readonly number[]): void {
    const heard = new Set(status.nodes.map(({ number }) => number));
    const missing = numbers.filter((number) => !heard.has(number)).join();
    if (this.#isLooking || (missing === this.#asked && Date.now() < this.#nextAtMs)) return;
    if (missing === "") {
      if (this.#asked !== "") this.#onFound([]);
      this.#asked = "";
      return;
    }
    this.#isLooking = true;
    void this.#find(cluster, status).finally(() => {
      this.#isLooking = false;
      this.#asked = missing;
    });
  }

  async #find(cluster: Cluster, status: AgentStatus): Promise<void> {
    try {
      const found = await cluster.absences(status);
      this.#nextAtMs = Date.now() + Math.max(0, ...found.map(({ code }) => pauseAfter(cluster.name, code)));
      this.#onFound(found);
    } catch {
      // The cluster itself is gone, as whoever follows it hears.
    }
  }
}
