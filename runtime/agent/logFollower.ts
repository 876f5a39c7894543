import { advance, type LogPosition, onNode } from "../protocol/logPosition.ts";
import type { AgentMethods } from "../protocol/messages/agent.ts";
import type { Item } from "../protocol/messages/catalogue.ts";
import type { Incoming } from "../protocol/served.ts";
import type { RunId } from "../spec/names.ts";
import { waitWithin } from "../spec/waitWithin.ts";
import type { Fleet } from "./fleet/fleet.ts";
import { followNodeLog } from "./fleet/nodeLogs.ts";
import type { RunLogReader } from "./logReader.ts";
import type { RunLogs } from "./logs.ts";

export interface LogFollowerOptions {
  logs: RunLogs;
  incoming: Incoming<Item<AgentMethods["logs.follow"]>>;
  /** Number of this node. */
  node: number;
  /** On a node that is not alone. */
  fleet?: Fleet;
}

interface Followed {
  /** What was sent of other nodes, and of this one before. */
  position: LogPosition;
  /** Made when there is something to read: most calls print nothing. */
  reader: RunLogReader | undefined;
  /** Other nodes, by their numbers. */
  elsewhere: Map<number, Promise<void>>;
}

/** How long a result waits for what its run printed on other nodes. */
const flushElsewhereMs = 2_000;

/** Sends the output of the runs that a connection began, as it comes, and goes on with those of an earlier one. */
export class LogFollower {
  readonly #options: LogFollowerOptions;
  readonly #runs = new Map<RunId, Followed>();
  readonly #grown = new Set<RunId>();
  #wake: (() => void) | undefined;
  #reading: Promise<void> = Promise.resolve();

  constructor(options: LogFollowerOptions) {
    this.#options = options;
  }

  begin(run: RunId, position: LogPosition = []): void {
    if (!this.#runs.has(run)) this.#runs.set(run, { position, reader: undefined, elsewhere: new Map() });
  }

  /** The same for a run that may print on any node. */
  beginEverywhere(run: RunId, position?: LogPosition): void {
    this.begin(run, position);
    for (const { number } of this.#options.fleet?.elsewhere() ?? []) this.followNode(run, number);
  }

  /** Goes on with a run that another connection began, from where that one was. */
  resume(run: RunId, position: LogPosition): void {
    this.beginEverywhere(run, position);
    this.#grown.add(run);
  }

  async run(): Promise<void> {
    const { logs, incoming } = this.#options;
    const { signal } = incoming;
    const stop = logs.onGrowth((run) => {
      if (!this.#runs.has(run)) return;
      this.#grown.add(run);
      this.#wake?.();
    });
    signal.addEventListener("abort", () => this.#wake?.(), { once: true });
    try {
      while (!signal.aborted) {
        if (this.#grown.size === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
        await this.#read();
      }
    } finally {
      stop();
    }
  }

  /** Sends what a run prints on another node, too. */
  followNode(run: RunId, number: number): void {
    const { fleet, incoming } = this.#options;
    const followed = this.#runs.get(run);
    if (!fleet || !followed || followed.elsewhere.has(number)) return;
    const following = followNodeLog(fleet, number, run, {
      follow: true,
      after: followed.position,
      signal: incoming.signal,
      take: async ({ lines, place }) => {
        await incoming.send({ lines, ...(place ? { place } : {}) });
        followed.position = advance(followed.position, place);
      },
    });
    followed.elsewhere.set(number, following);
    // One that broke off may be followed again.
    void following.then(() => followed.elsewhere.delete(number));
  }

  /** Sends what a run that ends has printed, so that its output is there before its result. */
  flush(run: RunId): Promise<void> | undefined {
    const followed = this.#runs.get(run);
    if (!followed) return undefined;
    const forget = () => void this.#runs.delete(run);
    if (followed.elsewhere.size > 0) {
      return waitWithin(flushElsewhereMs, Promise.all(followed.elsewhere.values()))
        .then(() => this.#flushHere(run, followed))
        .then(forget);
    }
    const flushed = this.#flushHere(run, followed);
    if (flushed) return flushed.then(forget);
    forget();
    return undefined;
  }

  #flushHere(run: RunId, { reader }: Followed): Promise<void> | undefined {
    if (!this.#grown.has(run) && !reader) return undefined;
    this.#grown.add(run);
    return this.#read().catch(() => undefined);
  }

  #read(): Promise<void> {
    // A log that cannot be read or sent is a pity; the result that comes behind it must come all the same.
    this.#reading = this.#reading
      .catch(() => undefined)
      .then(async () => {
        const { logs, incoming, node } = this.#options;
        for (const run of this.#grown) {
          this.#grown.delete(run);
          const followed = this.#runs.get(run);
          if (!followed) continue;
          followed.reader ??= logs.reader(run, onNode(followed.position, node));
          for await (const { lines, files } of followed.reader.next()) {
            await incoming.send({ lines, place: { node, files } });
            if (incoming.signal.aborted) return;
          }
        }
      });
    return this.#reading;
  }
}
