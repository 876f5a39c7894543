import type { AskWork } from "../../protocol/passOn.ts";
import { leaseMs } from "../../queue/leaseMs.ts";
import type { ClaimOptions, Lease, ResultRange, Settlement, WorkSource } from "../../queue/mapQueue.ts";
import type { RunId } from "../../spec/names.ts";
import { joinRanges } from "./ranges.ts";

/** The work of a map whose queue is on another cluster, for a feed here. */
export interface BorrowedWorkOptions {
  ask: AskWork;
  run: RunId;
  /** By which the map's home knows this one. */
  cluster: string;
  node: number;
  /** The map has no more work and never will. */
  onEnded(): void;
  /** Outcomes from here have become those of the map. */
  onStored(results: readonly ResultRange[]): void;
}

/** Most outcomes that one message carries, unless a single range is larger. */
const messageBytes = 16 * 1024 * 1024;

type Claimed = Pick<Lease, "attempt" | "token"> & Pick<Lease["chunk"], "lo" | "count" | "deaths">;

export class BorrowedWork implements WorkSource {
  readonly #options: BorrowedWorkOptions;

  constructor(options: BorrowedWorkOptions) {
    this.#options = options;
  }

  get #borrower() {
    const { run, cluster, node } = this.#options;
    return { run, cluster, node };
  }

  async claim(job: RunId, { max, waitMs, signal }: ClaimOptions): Promise<Lease[]> {
    const leases: Lease[] = [];
    const params = { ...this.#borrower, max, waitMs };
    const { value } = await this.#options.ask("work.claim", params, { signal }, (item, body) => {
      const { attempt, token, ...chunk } = item as Claimed;
      leases.push({ job, attempt, token, chunk: { ...chunk, body }, deadlineMs: Date.now() + leaseMs });
    });
    if (value.ended) this.#options.onEnded();
    return leases;
  }

  async extend({ token }: Lease): Promise<boolean> {
    const { value } = await this.#options.ask("work.extend", { ...this.#borrower, token }, {});
    return value.held;
  }

  async release({ token }: Lease, delayMs: number): Promise<void> {
    await this.#options.ask("work.release", { ...this.#borrower, token, delayMs }, {});
  }

  async say(now: { replicas: number; active: number }): Promise<void> {
    await this.#options.ask("work.say", { ...this.#borrower, ...now }, {});
  }

  async settle({ token }: Lease, { results, children }: Settlement): Promise<"stored" | "already"> {
    const { ask } = this.#options;
    const messages = inMessages(results);
    const last = messages.pop() ?? [];
    for (const message of messages) {
      const { ranges, body } = joinRanges(message);
      await ask("work.put", { ...this.#borrower, token, ranges }, { body });
    }
    const { ranges, body } = joinRanges(last);
    const cuts = children.map(({ lo, count, deaths = 0 }) => ({ lo, count, deaths }));
    const { value } = await ask("work.settle", { ...this.#borrower, token, ranges, children: cuts }, { body });
    if (value.became === "stored") this.#options.onStored(results);
    return value.became;
  }
}

function inMessages(results: readonly ResultRange[]): ResultRange[][] {
  const messages: ResultRange[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const range of results) {
    bytes += range.body.byteLength;
    if (bytes > messageBytes) {
      messages.push([]);
      bytes = range.body.byteLength;
    }
    messages.at(-1)!.push(range);
  }
  return messages;
}
