import type { ClusterRecord } from "../../runtime/cluster/registry.ts";
import type { Absence, AgentStatus, EnvStatus, RunRecord } from "../../runtime/index.ts";
import { hasEnded } from "../../runtime/protocol/runState.ts";
import { messageOf } from "../../runtime/spec/errors.ts";
import type { Farcall } from "../farcall.ts";
import { Absences } from "./absences.ts";
import { isWorthLooking, pauseAfter } from "./condition.ts";
import { placeOf } from "./places.ts";

/** What is known of a cluster, and how that is come by. */
export interface ClusterState {
  name: string;
  /** What the registry has of it; undefined for the local cluster. */
  record: ClusterRecord | undefined;
  /** Undefined when the cluster is not up. */
  status: AgentStatus | undefined;
  /** Why nodes are not heard of, as far as that is known, while the cluster is up. */
  absences: Absence[];
  /** Whether it was looked at, or need not be. */
  wasLooked: boolean;
  /** Newest first. */
  runs: RunRecord[];
  envs: EnvStatus[];
  /** What its machines cost while it is up. */
  usdPerHour: number;
  /** Why nothing is known. */
  error: string | undefined;
}

const listedRuns = 200;
const statusEveryMs = 1_000;
/** Nodes say how busy they are, which is no change that an agent would tell of. */
const nodesEveryMs = 5_000;
const keepEveryMs = 3_000;

interface FollowingOptions {
  onChange: () => void;
  /** Whether somebody looks at the clusters. */
  isWatched: () => boolean;
}

/** Follows one cluster. */
export class Following {
  readonly state: ClusterState;
  readonly #farcall: Farcall;
  readonly #onChange: () => void;
  readonly #isWatched: () => boolean;
  readonly #absences: Absences;
  #stop: AbortController | undefined;
  #wake: (() => void) | undefined;
  #expectUntilMs = 0;
  #keepTimer: NodeJS.Timeout | undefined;
  #looked: Promise<void> | undefined;
  #pauseMs: number;
  #recordProblem: string | undefined;
  #isKeptKnown = false;

  constructor(farcall: Farcall, name: string, { onChange, isWatched }: FollowingOptions) {
    this.#farcall = farcall;
    this.#onChange = onChange;
    this.#isWatched = isWatched;
    this.#absences = new Absences((found) => {
      this.state.absences = found;
      this.#announce();
    });
    this.#pauseMs = pauseAfter(name, undefined);
    this.state = {
      name,
      record: undefined,
      status: undefined,
      absences: [],
      wasLooked: name === "local",
      // Of a cluster that is no more there is what was kept.
      runs: farcall.registered.gone.includes(name) ? [] : farcall.memory.runs(name),
      envs: [],
      usdPerHour: placeOf(name).usdPerHour,
      error: undefined,
    };
  }

  /** What the registry says of it now. */
  register({ record, problem }: { record?: ClusterRecord; problem?: string }): void {
    const isOther = record?.state !== this.state.record?.state || record?.id !== this.state.record?.id;
    this.state.record = record;
    if (problem !== undefined || this.#recordProblem !== undefined) this.state.error = problem;
    this.#recordProblem = problem;
    if (isOther) this.#wake?.();
    if (record?.state !== "up") void this.#lookAtKept();
  }

  /** For some seconds after something was begun from here, when the agent has not told of it yet. */
  get expectsWork(): boolean {
    return Date.now() < this.#expectUntilMs;
  }

  start(): void {
    if (this.#stop) return;
    const stop = new AbortController();
    this.#stop = stop;
    void this.#follow(AbortSignal.any([stop.signal, this.#farcall.stopped]));
  }

  stop(): void {
    this.#stop?.abort();
    this.#stop = undefined;
    if (this.#keepTimer !== undefined) this.#keep();
  }

  /** The same look for all who want to know at first what there is. */
  lookOnce(): Promise<void> {
    this.#looked ??= this.#look(this.#farcall.stopped);
    return this.#looked;
  }

  refresh(): void {
    this.#expectUntilMs = Date.now() + 5_000;
    setTimeout(() => this.#onChange(), 5_100).unref();
    if (this.#stop) {
      this.stop();
      this.start();
    }
    this.#wake?.();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const looking = this.#look(signal);
        this.#looked ??= looking;
        await looking;
        if (this.state.status) {
          const cluster = await this.#farcall.cluster(this.state.name);
          using _nodes = this.#watchNodes(signal);
          let lookedAtMs = Date.now();
          let isFirst = true;
          for await (const { runs } of cluster.changes({ signal, start: false })) {
            if (signal.aborted) return;
            // A short run that began and ended since the look is told of by nobody.
            if (isFirst) await this.#lookAtRuns(signal);
            isFirst = false;
            this.#merge(runs);
            if (Date.now() - lookedAtMs >= statusEveryMs) {
              lookedAtMs = Date.now();
              await this.#lookAtCluster();
            }
            this.#announce();
          }
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#fail(error);
        this.#announce();
      }
      if (signal.aborted) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.#pauseMs);
        this.#wake = resolve;
        signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
      });
      this.#wake = undefined;
    }
  }

  #watchNodes(signal: AbortSignal): Disposable {
    const timer = setInterval(() => {
      if (!this.#isWatched()) return;
      this.#lookAtCluster().then(
        () => signal.aborted || this.#onChange(),
        // Who follows the changes finds out as well.
        () => undefined,
      );
    }, nodesEveryMs);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  async #look(signal: AbortSignal): Promise<void> {
    this.#pauseMs = pauseAfter(this.state.name, undefined);
    if (!isWorthLooking(this.state.name, this.state.record)) {
      const isNew = this.state.status !== undefined;
      this.state.status = undefined;
      this.state.error = this.#recordProblem;
      if (isNew) this.#announce();
      await this.#lookAtKept();
      return;
    }
    const before = this.#found();
    try {
      await this.#lookAtCluster();
      await this.#lookAtRuns(signal);
      if (signal.aborted) return;
      this.state.error = undefined;
    } catch (error) {
      if (signal.aborted) return;
      this.#fail(error);
    }
    this.state.wasLooked = true;
    if (!signal.aborted && before !== this.#found()) this.#announce();
    await this.#lookAtKept();
  }

  /** Of a cluster that is not up, there are the runs that are kept on this computer, whoever began them. */
  async #lookAtKept(): Promise<void> {
    const { name, status } = this.state;
    if (status || name === "local" || this.#isKeptKnown) return;
    this.#isKeptKnown = true;
    const { MirrorStore } = await import("../../runtime/client/mirror/store.ts");
    const kept = await new MirrorStore(this.#farcall.home, name).list();
    if (kept.length === 0 || this.#farcall.stopped.aborted) return;
    this.#merge(kept);
    this.#onChange();
  }

  async #lookAtRuns(signal: AbortSignal): Promise<void> {
    const cluster = await this.#farcall.cluster(this.state.name);
    const runs = await cluster.runs.list({ limit: listedRuns, start: false });
    if (signal.aborted || !runs) return;
    const isSame = JSON.stringify(runs) === JSON.stringify(this.state.runs);
    this.state.runs = runs;
    if (!isSame) this.#announce();
  }

  #found(): string {
    return JSON.stringify([this.state.status === undefined, this.state.error, this.state.wasLooked]);
  }

  #fail(error: unknown): void {
    this.state.status = undefined;
    this.#pauseMs = pauseAfter(this.state.name, (error as { code?: unknown }).code);
    // Whether it is up again or gone, the next look finds out.
    if ((error as { code?: unknown }).code === "connection.lost") return;
    const message = messageOf(error);
    // It fails the same way at every look: once in the log is enough.
    if (message !== this.state.error)
      this.#farcall.log.error(
        `The cluster ${this.state.name} cannot be looked at.`,
        error instanceof Error ? error : message,
      );
    this.state.error = message;
  }

  async #lookAtCluster(): Promise<void> {
    const cluster = await this.#farcall.cluster(this.state.name);
    this.state.status = await cluster.status();
    if (this.state.status) {
      const numbers = this.state.record?.nodes.map(({ number }) => number) ?? [];
      this.#absences.look(cluster, this.state.status, numbers);
      this.#isKeptKnown = false;
      this.state.envs = (await cluster.envs.list({ start: false })) ?? this.state.envs;
    } else for (const env of this.state.envs) env.liveReplicas = 0;
  }

  #merge(changed: readonly RunRecord[]): void {
    const byId = new Map(this.state.runs.map((run) => [run.id, run]));
    for (const run of changed) byId.set(run.id, run);
    this.state.runs = [...byId.values()].sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, listedRuns);
  }

  #announce(): void {
    this.#keepTimer ??= setTimeout(() => this.#keep(), keepEveryMs);
    this.#onChange();
  }

  /** For the next window, which may find the cluster away. */
  #keep(): void {
    clearTimeout(this.#keepTimer);
    this.#keepTimer = undefined;
    const { name, runs } = this.state;
    const kept = runs.filter((run) => hasEnded(run.state) || run.kind === "map");
    // A window that closes may be faster.
    this.#farcall.memory.keepRuns(name, kept).catch(() => undefined);
  }
}
