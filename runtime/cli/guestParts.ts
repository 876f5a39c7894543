import { doneByCluster } from "../client/guests/doneByCluster.ts";
import type { Run } from "../client/run.ts";
import { Cluster } from "../cluster/cluster.ts";
import type { RunRecord } from "../protocol/messages/runs.ts";
import { messageOf } from "../spec/errors.ts";
import { asked } from "./options.ts";
import { sanitize } from "./terminal.ts";

/** Says that what was printed on another cluster is not to be had. */
export function sayMissing(cluster: string, error: unknown): void {
  process.stderr.write(`without what was printed on ${sanitize(`${cluster}: ${messageOf(error)}`)}\n`);
}

/** What other clusters have of a map that they worked on, there or as it was kept on this machine. */
export class GuestParts implements AsyncDisposable {
  readonly #clusters: Cluster[] = [];
  /** Each with the name of its cluster. */
  readonly runs: [Run, string][] = [];

  /** One that cannot be had is named on standard error. */
  static async open({ id, guests = [] }: RunRecord): Promise<GuestParts> {
    const parts = new GuestParts();
    await Promise.all(
      [...doneByCluster(guests).keys()].map((name) =>
        parts.#open(name, id).catch((error: unknown) => sayMissing(name, error)),
      ),
    );
    return parts;
  }

  async #open(name: string, id: string): Promise<void> {
    const cluster = new Cluster(name, { logs: "ignore", ...asked() });
    this.#clusters.push(cluster);
    // Its name is the word of the map's home, for which nothing is started.
    this.runs.push([await cluster.runs.open(id, { start: false, kept: true }), name]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clusters.map((cluster) => cluster[Symbol.asyncDispose]()));
  }
}
