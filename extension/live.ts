import * as vscode from "vscode";
import type { RunRecord } from "../runtime/index.ts";
import { waitWithin } from "../runtime/spec/waitWithin.ts";
import { type ClusterState, Following } from "./clusters/following.ts";
import type { Farcall } from "./farcall.ts";

/** After the window has opened, when it has better things to do. */
const firstLookMs = 1_500;
const registryEveryMs = 1_000;
/** Views that wait for the first look do not wait for machines that may be away. */
const firstLookWithinMs = 2_000;

/**
 * What is known of the clusters: state, runs, envs. It is kept fresh only while somebody looks (a visible view)
 * or something that was begun is running; the agent tells of changes, and nothing is started by looking.
 */
export class Live implements vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.#changed.event;
  readonly #clusters = new Map<string, Following>();
  readonly #farcall: Farcall;
  #holders = 0;
  #firstLook: NodeJS.Timeout | undefined;
  #registryTimer: NodeJS.Timeout | undefined;

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

  /** Those of which there are runs to be shown: with the clusters that are no more, of which runs are kept. */
  get withRuns(): ClusterState[] {
    return [...this.states, ...this.#farcall.registered.gone.map((name) => this.state(name))];
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

  /** Something was begun or ended from here: looks again now, at one cluster or at all. */
  refresh(cluster?: string): void {
    void this.#lookAtRegistry();
    for (const name of this.#farcall.clusterNames)
      if (cluster === undefined || name === cluster) this.#following(name).refresh();
    this.#update();
  }

  /**
   * Looks once, so that what is running from before is shown though no view is open, and starts following it if there is
   * something.
   */
  lookSoon(): void {
    this.#firstLook ??= setTimeout(() => {
      void this.#lookAtRegistry().then(() => {
        for (const name of this.#farcall.clusterNames) {
          // Nobody's machines are logged in to only because a window was opened.
          const isExpected = this.state(name).runs.some(({ state }) => state === "running");
          if (name === "local" || isExpected) void this.#following(name).lookOnce();
        }
      });
    }, firstLookMs);
  }

  /** Resolves when something is known of every cluster, be it that it is not up. */
  async firstLook(): Promise<void> {
    await this.#lookAtRegistry();
    const looks = this.#farcall.clusterNames.map((name) => {
      const look = this.#following(name).lookOnce();
      return name === "local" ? look : waitWithin(firstLookWithinMs, look);
    });
    await Promise.all(looks);
  }

  dispose(): void {
    clearTimeout(this.#firstLook);
    clearInterval(this.#registryTimer);
    for (const following of this.#clusters.values()) following.stop();
    this.#changed.dispose();
  }

  #following(name: string): Following {
    let following = this.#clusters.get(name);
    if (!following) {
      following = new Following(this.#farcall, name, {
        onChange: () => {
          this.#changed.fire();
          this.#update();
        },
        isWatched: () => this.#holders > 0,
      });
      this.#clusters.set(name, following);
      following.register(this.#farcall.registered.of(name));
    }
    return following;
  }

  /** Takes up clusters that others made, changed or took down. */
  async #lookAtRegistry(): Promise<void> {
    const { registered, clusterNames: before } = this.#farcall;
    if (!(await registered.look()) || this.#farcall.stopped.aborted) return;
    const names = new Set(this.#farcall.clusterNames);
    for (const name of before) {
      if (names.has(name)) continue;
      this.#clusters.get(name)?.stop();
      this.#clusters.delete(name);
      this.#farcall.forget(name);
    }
    for (const name of names) this.#following(name).register(registered.of(name));
    this.#changed.fire();
    this.#update();
  }

  #update(): void {
    const wanted = !this.#farcall.stopped.aborted;
    if (wanted && this.#holders > 0) {
      if (!this.#registryTimer) void this.#lookAtRegistry();
      this.#registryTimer ??= setInterval(() => void this.#lookAtRegistry(), registryEveryMs);
    } else {
      clearInterval(this.#registryTimer);
      this.#registryTimer = undefined;
    }
    for (const name of this.#farcall.clusterNames) {
      const following = this.#following(name);
      const isRunning =
        following.state.status !== undefined && following.state.runs.some((run) => run.state === "running");
      if (wanted && (this.#holders > 0 || isRunning || following.expectsWork)) following.start();
      else following.stop();
    }
  }
}
