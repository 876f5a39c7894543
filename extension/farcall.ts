import * as vscode from "vscode";
import type { Cluster, ClusterSpec, Run } from "../runtime/index.ts";
import { farcallHome } from "../runtime/spec/home.ts";
import { editorPrompter } from "./clusters/prompter.ts";
import { Registered } from "./clusters/registered.ts";
import { Live } from "./live.ts";
import { Memory } from "./memory.ts";
import { Problems } from "./problems.ts";

/**
 * The one place that holds runtime objects for the editor: clusters by name, what is known of them, what was
 * launched from here. The runtime is imported when a cluster is first asked for.
 */
export class Farcall implements vscode.Disposable {
  readonly context: vscode.ExtensionContext;
  readonly log: vscode.LogOutputChannel;
  readonly memory: Memory;
  readonly live: Live;
  readonly problems: Problems;
  readonly registered: Registered;
  /** How many of what people do now may ask them something, by cluster. */
  readonly #asking = new Map<string, number>();
  readonly #clusters = new Map<string, Promise<Cluster>>();
  readonly #stop = new AbortController();

  constructor(context: vscode.ExtensionContext) {
    this.context = context;
    this.log = vscode.window.createOutputChannel("Farcall", { log: true });
    this.memory = new Memory(context);
    this.registered = new Registered(homeFolder());
    this.live = new Live(this);
    this.problems = new Problems();
  }

  /** Aborted when the extension ends. */
  get stopped(): AbortSignal {
    return this.#stop.signal;
  }

  /** Names of the clusters there are. */
  get clusterNames(): string[] {
    return ["local", ...this.registered.names];
  }

  /** Whether there is anything to be shown of it: it is there, or it was and runs of it are kept. */
  knows(name: string): boolean {
    return this.clusterNames.includes(name) || this.registered.gone.includes(name);
  }

  /** Whoever uses it without `reach` only looks: nobody is asked for a passphrase because of that. */
  cluster(name: string): Promise<Cluster> {
    let cluster = this.#clusters.get(name);
    if (!cluster) {
      cluster = this.#open(name);
      this.#clusters.set(name, cluster);
      cluster.catch(() => this.#clusters.delete(name));
    }
    return cluster;
  }

  /** The cluster for somebody who acts: connected, started if need be, after asking what has to be asked. */
  async reach(name: string, signal?: AbortSignal): Promise<Cluster> {
    const cluster = await this.cluster(name);
    if (name === "local") return cluster;
    using _asking = this.ask(name);
    return await cluster.upIfNot(signal ? { signal } : {});
  }

  /** Until the result is disposed of, what is done with the cluster may ask the person for passphrases and the like. */
  ask(name: string): Disposable {
    const add = (more: number) => void this.#asking.set(name, (this.#asking.get(name) ?? 0) + more);
    add(1);
    return { [Symbol.dispose]: () => add(-1) };
  }

  /** The cluster that is to be as the spec says, in place of what there was of that name. */
  async define(spec: ClusterSpec): Promise<Cluster> {
    this.forget(spec.name);
    const defined = this.#open(spec);
    this.#clusters.set(spec.name, defined);
    return defined;
  }

  /** A run to be looked at, which starts nothing: as its cluster has it, or else as it is kept on this computer. */
  async openRun(cluster: string, run: string): Promise<Run> {
    return (await this.cluster(cluster)).runs.open(run, { start: false, kept: true });
  }

  /** Closes a cluster that is no more. */
  forget(name: string): void {
    const cluster = this.#clusters.get(name);
    this.#clusters.delete(name);
    cluster?.then(
      (open) => open.close(),
      () => undefined,
    );
  }

  async #open(spec: string | ClusterSpec): Promise<Cluster> {
    const { Cluster } = await import("../runtime/index.ts");
    const name = typeof spec === "string" ? spec : spec.name;
    const prompter = editorPrompter(() => (this.#asking.get(name) ?? 0) > 0);
    return new Cluster(spec, { logs: "ignore", home: homeFolder(), prompter });
  }

  /** `FARCALL_HOME` of this editor. */
  get home(): string {
    return homeFolder();
  }

  /** Goes on sending the inputs of maps that the last window left unfinished. */
  async resumeUnfinished(): Promise<void> {
    if (!vscode.workspace.isTrusted) return;
    const runs = await this.memory.unfinished.list();
    if (runs.length === 0 || this.#stop.signal.aborted) return;
    const { resumeUnfinished } = await import("./launch/feed.ts");
    resumeUnfinished(this, runs);
  }

  dispose(): void {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    this.live.dispose();
    this.problems.dispose();
    for (const cluster of this.#clusters.values()) {
      cluster.then(
        (open) => open.close(),
        () => undefined,
      );
    }
    this.log.dispose();
  }
}

function homeFolder(): string {
  return homeSetting() || farcallHome();
}

function homeSetting(): string {
  const home = vscode.workspace.getConfiguration("farcall").get<string>("home", "").trim();
  return home.startsWith("~/") ? `${process.env["HOME"] ?? "~"}${home.slice(1)}` : home;
}
