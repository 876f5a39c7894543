import type { Cluster, MapOutcome } from "farcall";
import type { TestFleet } from "../support/fleet.ts";
import { until } from "../support/home.ts";

/** A map that goes on while machines fail, and everything that its reader was given, in the order in which it came. */
export interface Seen {
  index: number;
  value: unknown;
  atMs: number;
}

export interface FaultyMapOptions {
  inputs: number;
  /** Replicas of the whole cluster. */
  replicas: number;
  /** What is mapped: 5 ms or 200 ms for each input. Default `slow`. */
  work?: "slow" | "slower";
}

type Functions = Record<"slow" | "slower", (n: number) => Promise<[number, string]>>;
const perReplica = 4;

export class FaultyMap {
  readonly id: string;
  readonly inputs: number;
  readonly seen: Seen[] = [];
  readonly cluster: Cluster;
  /** Resolves when the reader was given the end of the map. */
  readonly read: Promise<void>;
  isRead = false;
  readonly accepted: Promise<void>;

  private constructor(
    cluster: Cluster,
    map: AsyncIterable<MapOutcome<[number, string]>> & { id: string; accepted: Promise<void> },
    inputs: number,
  ) {
    this.cluster = cluster;
    this.id = map.id;
    this.inputs = inputs;
    this.accepted = map.accepted;
    this.read = this.#read(map);
    const end = () => (this.isRead = true);
    this.read.then(end, end);
  }

  /** Begins one, and waits until every node works on it. */
  static async begin(fleet: TestFleet, { inputs, replicas, work = "slow" }: FaultyMapOptions): Promise<FaultyMap> {
    const cluster = fleet.open();
    const module = await cluster.import<Functions>(fleet.functionsFile, {
      env: { replicas, concurrency: perReplica },
    });
    const numbers = Array.from({ length: inputs }, (_, at) => at);
    const map = new FaultyMap(
      cluster,
      module[work].map(numbers, { onError: "collect", concurrency: perReplica }),
      inputs,
    );
    await until(
      async () => (await cluster.status())?.nodes.filter(({ maps }) => maps.length > 0).length,
      (working) => working === fleet.machines.length,
      30_000,
    );
    return map;
  }

  get progress(): number {
    return this.seen.length / this.inputs;
  }

  /** The longest that the reader was given nothing. */
  get longestGapMs(): number {
    return this.seen.reduce((gap, { atMs }, at) => Math.max(gap, atMs - (this.seen[at - 1]?.atMs ?? atMs)), 0);
  }

  /** Waits until the reader was given so much of the outcomes, from 0 to 1. */
  async reaches(share: number, withinMs: number): Promise<void> {
    await until(
      () => this.progress,
      (progress) => progress >= share,
      withinMs,
    );
  }

  async #read(map: AsyncIterable<MapOutcome<[number, string]>>): Promise<void> {
    for await (const outcome of map) {
      const value: unknown = "value" in outcome ? outcome.value : outcome.error;
      this.seen.push({ index: outcome.index, value, atMs: performance.now() });
    }
  }
}
