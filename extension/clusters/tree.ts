import { release } from "node:os";
import * as vscode from "vscode";
import type { AgentStatus } from "../../runtime/index.ts";
import type { Farcall } from "../farcall.ts";
import type { ClusterState } from "../live.ts";
import { LiveTree } from "../liveTree.ts";
import { placeOf } from "./places.ts";
import { agoText } from "../words.ts";

/** Clusters, their nodes, and the replicas on these. */
export interface ClusterItem {
  kind: "cluster";
  cluster: string;
}
interface NodeItem {
  kind: "node";
  cluster: string;
}
interface ReplicaItem {
  kind: "replica";
  cluster: string;
  id: number;
}
type Item = ClusterItem | NodeItem | ReplicaItem;

export function registerClusters(farcall: Farcall): vscode.Disposable {
  return new LiveTree<Item>(farcall, "farcall.clusters", {
    hasChildren: true,
    children: (item) => {
      if (!item) {
        return farcall.live.states.map(({ name }) => ({ kind: "cluster", cluster: name }));
      }
      const { status } = farcall.live.state(item.cluster);
      if (item.kind === "cluster") return status ? [{ kind: "node", cluster: item.cluster }] : [];
      if (item.kind === "node")
        return (status?.replicas ?? []).map(({ id }) => ({ kind: "replica", cluster: item.cluster, id }));
      return [];
    },
    show: (item) => {
      const state = farcall.live.state(item.cluster);
      if (item.kind === "cluster") return clusterItem(state);
      if (item.kind === "node") return nodeItem(state);
      return replicaItem(state, item.id);
    },
    parent: (item) => {
      if (item.kind === "replica") return { kind: "node", cluster: item.cluster };
      return item.kind === "node" ? { kind: "cluster", cluster: item.cluster } : undefined;
    },
  });
}

function clusterItem({ name, status, usdPerHour, error }: ClusterState): vscode.TreeItem {
  const item = new vscode.TreeItem(
    name,
    status ? vscode.TreeItemCollapsibleState.Collapsed : vscode.TreeItemCollapsibleState.None,
  );
  item.id = `cluster:${name}`;
  if (error !== undefined) return brokenItem(item, name, error);
  item.contextValue = status ? "cluster up" : "cluster down";
  item.iconPath = new vscode.ThemeIcon(
    status ? "vm-active" : "vm-outline",
    status ? new vscode.ThemeColor("testing.iconPassed") : undefined,
  );
  const parts = status
    ? [
        vscode.l10n.t("up"),
        replicasText(status.replicas.length),
        vscode.l10n.t("${0}/h", usdPerHour.toFixed(2)),
        agoText(status.startedAtMs),
      ]
    : [vscode.l10n.t("not running, starts when needed")];
  item.description = parts.join(" · ");
  const tooltip = new vscode.MarkdownString();
  tooltip.appendMarkdown(`**${name}** — ${placeOf(name).node}\n\n`);
  if (status) tooltip.appendMarkdown(details(status));
  item.tooltip = tooltip;
  item.accessibilityInformation = { label: `${vscode.l10n.t("Cluster {0}", name)}, ${item.description}` };
  return item;
}

/** It can be tried to start it, and to shut down whatever agent is in the way. */
function brokenItem(item: vscode.TreeItem, name: string, error: string): vscode.TreeItem {
  item.contextValue = "cluster broken down up";
  item.iconPath = new vscode.ThemeIcon("error", new vscode.ThemeColor("list.errorForeground"));
  item.description = error;
  item.tooltip = error;
  item.command = { command: "farcall.showLog", title: vscode.l10n.t("Show Log") };
  item.accessibilityInformation = { label: `${vscode.l10n.t("Cluster {0}", name)}, ${error}` };
  return item;
}

function details(status: AgentStatus): string {
  const lines = [
    vscode.l10n.t("Since {0}", new Date(status.startedAtMs).toLocaleString(vscode.env.language)),
    vscode.l10n.t("Farcall {0}, Node {1}, process {2}", status.version, status.nodeVersion, status.pid),
    vscode.l10n.t("Ends by itself after {0} min without work", Math.round(status.idleTimeoutMs / 60_000)),
    ...status.warnings,
  ];
  return lines.map((line) => `- ${line}`).join("\n");
}

function nodeItem({ name, status }: ClusterState): vscode.TreeItem {
  const item = new vscode.TreeItem(placeOf(name).node, vscode.TreeItemCollapsibleState.Collapsed);
  item.id = `node:${name}:0`;
  item.contextValue = "node";
  item.iconPath = new vscode.ThemeIcon("vm");
  if (status)
    item.description = vscode.l10n.t("{0} · agent {1} MiB", `${process.platform} ${process.arch}`, status.residentMiB);
  item.tooltip = `${process.platform} ${release()} ${process.arch}`;
  item.accessibilityInformation = { label: vscode.l10n.t("Node {0}, {1}", placeOf(name).node, item.description || "") };
  return item;
}

function replicaItem({ name, status }: ClusterState, id: number): vscode.TreeItem {
  const replica = status?.replicas.find((each) => each.id === id);
  const item = new vscode.TreeItem(vscode.l10n.t("replica {0}", id));
  item.id = `replica:${name}:${status?.pid ?? 0}:${id}`;
  item.contextValue = "replica";
  if (!replica) return item;
  const isBusy = replica.active > 0;
  item.iconPath = new vscode.ThemeIcon(isBusy ? "gear" : "circle-outline");
  item.description = [
    replica.env,
    isBusy ? vscode.l10n.t("busy") : vscode.l10n.t("idle"),
    vscode.l10n.t("{0} MiB", replica.residentMiB),
  ].join(" · ");
  item.accessibilityInformation = { label: `${vscode.l10n.t("replica {0}", id)}, ${item.description}` };
  item.tooltip = vscode.l10n.t("Process {0}, code {1}", replica.pid, replica.bundle.slice(0, 12));
  return item;
}

export function replicasText(count: number): string {
  return count === 1 ? vscode.l10n.t("1 replica") : vscode.l10n.t("{0} replicas", count);
}
