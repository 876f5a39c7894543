import * as v from "valibot";
import * as vscode from "vscode";
import type { ToExtension } from "../../webview/messages/toExtension.ts";
import type { Farcall } from "../farcall.ts";
import { clusterView } from "./clusterView.ts";
import { MetricsFeed } from "./metricsFeed.ts";
import { Page } from "./page.ts";

/** The panel of a cluster: its nodes, how busy they are, and what works on them. One for each cluster. */

const panels = new Map<string, ClusterPanel>();
const postEveryMs = 500;

const commands = {
  start: "farcall.clusters.up",
  stop: "farcall.clusters.stop",
  shutDown: "farcall.clusters.down",
  terminal: "farcall.clusters.terminal",
  log: "farcall.clusters.log",
} as const;

export function openClusterPanel(farcall: Farcall, cluster: string): void {
  const existing = panels.get(cluster);
  if (existing) {
    existing.reveal();
    return;
  }
  const title = vscode.l10n.t("Cluster {0}", cluster);
  fill(farcall, vscode.window.createWebviewPanel("farcall.cluster", title, vscode.ViewColumn.Active, {}), cluster);
}

/** `state` is what the page kept; it is the page's word, so it is checked. */
export async function restoreClusterPanel(farcall: Farcall, panel: vscode.WebviewPanel, state: unknown): Promise<void> {
  await farcall.registered.look();
  const kept = v.safeParse(v.object({ cluster: v.string() }), state);
  const cluster = kept.success ? kept.output.cluster : "";
  if (!farcall.clusterNames.includes(cluster) || panels.has(cluster)) panel.dispose();
  else fill(farcall, panel, cluster);
}

function fill(farcall: Farcall, panel: vscode.WebviewPanel, cluster: string): void {
  panels.set(cluster, new ClusterPanel(farcall, panel, cluster));
  panel.onDidDispose(() => panels.delete(cluster));
}

class ClusterPanel {
  readonly #farcall: Farcall;
  readonly #panel: vscode.WebviewPanel;
  readonly #cluster: string;
  readonly #page: Page;
  readonly #metrics: MetricsFeed;
  readonly #stop = new AbortController();
  readonly #listening: vscode.Disposable;
  /** While the panel is in sight, what is known of clusters is kept fresh. */
  #hold: vscode.Disposable | undefined;
  #posting: NodeJS.Timeout | undefined;

  constructor(farcall: Farcall, panel: vscode.WebviewPanel, cluster: string) {
    this.#farcall = farcall;
    this.#panel = panel;
    this.#cluster = cluster;
    this.#page = new Page(farcall, panel, "cluster", {
      onReady: () => {
        this.#post();
        this.#metrics.restart();
      },
      onMessage: (message) => this.#handle(message),
    });
    this.#metrics = new MetricsFeed({
      farcall,
      cluster,
      isShown: () => this.#page.isShown,
      take: (metrics) => this.#page.post({ type: "metrics", metrics }),
      signal: this.#stop.signal,
    });
    this.#listening = vscode.Disposable.from(
      farcall.live.onDidChange(() => this.#changed()),
      panel.onDidChangeViewState(() => this.#look()),
    );
    panel.onDidDispose(() => this.#end());
    farcall.stopped.addEventListener("abort", () => this.#end(), { once: true, signal: this.#stop.signal });
    this.#look();
  }

  reveal(): void {
    this.#panel.reveal();
  }

  #end(): void {
    clearTimeout(this.#posting);
    this.#stop.abort();
    this.#hold?.dispose();
    this.#listening.dispose();
    this.#page.dispose();
  }

  #look(): void {
    if (this.#panel.visible) this.#hold ??= this.#farcall.live.hold();
    else {
      this.#hold?.dispose();
      this.#hold = undefined;
    }
  }

  #changed(): void {
    // A cluster that was shut down leaves nothing to look at.
    if (!this.#farcall.clusterNames.includes(this.#cluster)) {
      this.#panel.dispose();
      return;
    }
    // A page that comes is sent everything anew.
    if (!this.#page.isShown) return;
    this.#metrics.look();
    this.#posting ??= setTimeout(() => {
      this.#posting = undefined;
      this.#post();
    }, postEveryMs);
  }

  #post(): void {
    this.#page.post({ type: "cluster", cluster: clusterView(this.#farcall.live.state(this.#cluster)) });
  }

  #handle(message: ToExtension): void {
    if (message.type !== "clusterAct") return;
    const { act, node } = message;
    const { name: cluster } = this.#farcall.live.state(this.#cluster);
    const item = node === null ? { kind: "cluster", cluster } : { kind: "node", cluster, node };
    // Commands tell of what goes wrong themselves.
    void vscode.commands.executeCommand(commands[act], item);
  }
}
