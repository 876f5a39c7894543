import * as vscode from "vscode";
import type { Cluster } from "../runtime/index.ts";
import { clusterNames } from "./clusters/places.ts";
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
  readonly #clusters = new Map<string, Promise<Cluster>>();
  readonly #stop = new AbortController();

  constructor(context: vscode.ExtensionContext) {
    this.context = context;
    this.log = vscode.window.createOutputChannel("Farcall", { log: true });
    this.memory = new Memory(context);
    this.live = new Live(this);
    this.problems = new Problems();
  }

  /** Aborted when the extension ends. */
  get stopped(): AbortSignal {
    return this.#stop.signal;
  }

  /** Names of the clusters there are. */
  get clusterNames(): string[] {
    return [...clusterNames];
  }

  cluster(name: string): Promise<Cluster> {
    let cluster = this.#clusters.get(name);
    if (!cluster) {
      cluster = this.#open(name);
      this.#clusters.set(name, cluster);
      cluster.catch(() => this.#clusters.delete(name));
    }
    return cluster;
  }

  async #open(name: string): Promise<Cluster> {
    const { Cluster } = await import("../runtime/index.ts");
    const home = homeSetting();
    return new Cluster(name, { logs: "ignore", ...(home === "" ? {} : { home }) });
  }

  /** `FARCALL_HOME` of this editor. */
  async home(): Promise<string> {
    const { farcallHome } = await import("../runtime/spec/home.ts");
    return homeSetting() || farcallHome();
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

function homeSetting(): string {
  const home = vscode.workspace.getConfiguration("farcall").get<string>("home", "").trim();
  return home.startsWith("~/") ? `${process.env["HOME"] ?? "~"}${home.slice(1)}` : home;
}
