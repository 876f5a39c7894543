import * as vscode from "vscode";
import type { AgentStatus, EnvStatus, RunRecord } from "../runtime/index.ts";
import { placeOf } from "./clusters/places.ts";
import type { Farcall } from "./farcall.ts";
import { hasEnded } from "./runs/states.ts";

/**
 * What is known of the clusters: state, runs, envs. It is kept fresh only while somebody looks (a visible view)
 * or something that was begun is running; the agent tells of changes, and nothing is started by looking.
 */
export interface ClusterState {
  name: string;
  /** Undefined when the cluster is not up. */
  status: AgentStatus | undefined;
  /** Newest first. */
  runs: RunRecord[];
  envs: EnvStatus[];
  /** What its machines cost while it is up. */
  usdPerHour: number;
  /** Why nothing is known. */
  error: string | undefined;
}

const listedRuns = 200;
const betweenTriesMs = 1_500;
/** After the window has opened, when it has better things to do. */
const firstLookMs = 1_500;
const statusEveryMs = 1_000;
const keepEveryMs = 3_000;

export class Live implements vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.#changed.event;
  readonly #clusters = new Map<string, Following>();
  readonly #farcall: Farcall;
  #holders = 0;
  #firstLook: NodeJS.Timeout | undefined;

  constructor(farcall: Farcall) {
    this.#farcall = farcall;
  }

  /** Nothing is asked of the cluster by this. */
  state(name: string): ClusterState {
    return this.#following(name).state;
  }

  get states(): ClusterState[] {
    return this.#farcall.clusterNames.map((name) => this.state(name));
  }

  runningRuns(): { cluster: string; run: RunRecord }[] {
    return this.states.flatMap(({ name, runs, status }) =>
      runs.filter((run) => status && run.state === "running").map((run) => ({ cluster: name, run })),
    );
  }

  /** Keeps what is known fresh until the result is disposed. */
  hold(): vscode.Disposable {
    this.#holders++;
    this.#update();
    let held = true;
    return new vscode.Disposable(() => {
      if (!held) return;
      held = false;
      this.#holders--;
      this.#update();
    });
  }

  /** Something was begun or ended from here: looks again now. */
  refresh(): void {
    for (const name of this.#farcall.clusterNames) this.#following(name).refresh();
    this.#update();
  }

  /**
   * Looks once, so that what is running from before is shown though no view is open, and starts following it if there is
   * something.
   */
  lookSoon(): void {
    this.#firstLook ??= setTimeout(() => {
      for (const name of this.#farcall.clusterNames) void this.#following(name).lookOnce();
    }, firstLookMs);
  }

  /** Resolves when something is known of every cluster, be it that it is not up. */
  async firstLook(): Promise<void> {
    await Promise.all(this.#farcall.clusterNames.map((name) => this.#following(name).lookOnce()));
  }

  dispose(): void {
    clearTimeout(this.#firstLook);
    for (const following of this.#clusters.values()) following.stop();
    this.#changed.dispose();
  }

  #following(name: string): Following {
    let following = this.#clusters.get(name);
    if (!following) {
      following = new Following(this.#farcall, name, () => {
        this.#changed.fire();
        this.#update();
      });
      this.#clusters.set(name, following);
    }
    return following;
  }

  #update(): void {
    const wanted = !this.#farcall.stopped.aborted;
    for (const name of this.#farcall.clusterNames) {
      const following = this.#following(name);
      const isRunning =
        following.state.status !== undefined && following.state.runs.some((run) => run.state === "running");
      if (wanted && (this.#holders > 0 || isRunning || following.expectsWork)) following.start();
      else following.stop();
    }
  }
}

/** Follows one cluster. */
class Following {
  readonly state: ClusterState;
  readonly #farcall: Farcall;
  readonly #onChange: () => void;
  #stop: AbortController | undefined;
  #wake: (() => void) | undefined;
  #expectUntilMs = 0;
  #keepTimer: NodeJS.Timeout | undefined;
  #looked: Promise<void> | undefined;

  constructor(farcall: Farcall, name: string, onChange: () => void) {
    this.#farcall = farcall;
    this.#onChange = onChange;
    this.state = {
      name,
      status: undefined,
      runs: farcall.memory.runs(name),
      envs: [],
      usdPerHour: placeOf(name).usdPerHour,
      error: undefined,
    };
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
    clearTimeout(this.#keepTimer);
    this.#keepTimer = undefined;
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
        const cluster = await this.#farcall.cluster(this.state.name);
        const looking = this.#look(signal);
        this.#looked ??= looking;
        await looking;
        if (this.state.status) {
          let lookedAtMs = Date.now();
          for await (const { runs } of cluster.changes({ signal, start: false })) {
            if (signal.aborted) return;
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
        const timer = setTimeout(resolve, betweenTriesMs);
        this.#wake = resolve;
        signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
      });
      this.#wake = undefined;
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const before = JSON.stringify([this.state.status === undefined, this.state.error]);
    try {
      await this.#lookAtCluster();
      const cluster = await this.#farcall.cluster(this.state.name);
      const runs = await cluster.runs.list({ limit: listedRuns, start: false });
      if (signal.aborted) return;
      if (runs) {
        const isSame = JSON.stringify(runs) === JSON.stringify(this.state.runs);
        this.state.runs = runs;
        if (!isSame) this.#announce();
      }
      this.state.error = undefined;
    } catch (error) {
      if (signal.aborted) return;
      this.#fail(error);
    }
    if (!signal.aborted && before !== JSON.stringify([this.state.status === undefined, this.state.error]))
      this.#announce();
  }

  #fail(error: unknown): void {
    this.state.status = undefined;
    // Whether it is up again or gone, the next look finds out.
    if ((error as { code?: unknown }).code === "connection.lost") return;
    const message = error instanceof Error ? error.message : String(error);
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
    if (this.state.status) this.state.envs = (await cluster.envs.list({ start: false })) ?? this.state.envs;
    else for (const env of this.state.envs) env.liveReplicas = 0;
  }

  #merge(changed: readonly RunRecord[]): void {
    const byId = new Map(this.state.runs.map((run) => [run.id, run]));
    for (const run of changed) byId.set(run.id, run);
    this.state.runs = [...byId.values()].sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, listedRuns);
  }

  #announce(): void {
    this.#keepTimer ??= setTimeout(() => {
      this.#keepTimer = undefined;
      void this.#farcall.memory.keepRuns(
        this.state.name,
        this.state.runs.filter((run) => hasEnded(run.state) || run.kind === "map"),
      );
    }, keepEveryMs);
    this.#onChange();
  }
}
