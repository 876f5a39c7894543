import { release } from "node:os";
import * as vscode from "vscode";
import type { AgentStatus } from "../../runtime/index.ts";
import type { Farcall } from "../farcall.ts";
import type { ClusterState } from "./following.ts";
import { LiveTree } from "../liveTree.ts";
import { agoText } from "../words.ts";
import { conditionOf, offersOf } from "./condition.ts";
import { nodesOf, type ShownNode } from "./nodes.ts";
import { placeOf } from "./places.ts";
import { awayText, conditionIcon, conditionText, loadText, nodesText, replicasText } from "./words.ts";

/** Clusters, their nodes, and the replicas on these. */
export interface ClusterItem {
  kind: "cluster";
  cluster: string;
}
export interface NodeItem {
  kind: "node";
  cluster: string;
  node: number;
}
interface ReplicaItem {
  kind: "replica";
  cluster: string;
  node: number;
  id: number;
}
type Item = ClusterItem | NodeItem | ReplicaItem;

export function registerClusters(farcall: Farcall): vscode.Disposable {
  const nodeOf = ({ cluster, node }: NodeItem | ReplicaItem) =>
    nodesOf(farcall.live.state(cluster)).find(({ number }) => number === node);
  return new LiveTree<Item>(farcall, "farcall.clusters", {
    hasChildren: true,
    children: (item) => {
      if (!item) return farcall.live.states.map(({ name }) => ({ kind: "cluster", cluster: name }));
      const { cluster } = item;
      if (item.kind === "cluster")
        return nodesOf(farcall.live.state(cluster)).map(({ number }) => ({ kind: "node", cluster, node: number }));
      if (item.kind === "node")
        return (nodeOf(item)?.status?.replicas ?? []).map(({ id }) => ({
          kind: "replica",
          cluster,
          node: item.node,
          id,
        }));
      return [];
    },
    show: (item) => {
      if (item.kind === "cluster") return clusterItem(item, farcall.live.state(item.cluster));
      const node = nodeOf(item);
      if (item.kind === "node") return nodeItem(item, node, farcall.live.state(item.cluster));
      return replicaItem(item, node);
    },
    parent: (item) => {
      if (item.kind === "replica") return { kind: "node", cluster: item.cluster, node: item.node };
      return item.kind === "node" ? { kind: "cluster", cluster: item.cluster } : undefined;
    },
  });
}

function clusterItem(of: ClusterItem, state: ClusterState): vscode.TreeItem {
  const { name, status, usdPerHour, error } = state;
  const condition = conditionOf(state);
  const nodes = nodesOf(state);
  const item = new vscode.TreeItem(
    name,
    nodes.length > 0 ? vscode.TreeItemCollapsibleState.Collapsed : vscode.TreeItemCollapsibleState.None,
  );
  item.id = `cluster:${name}`;
  item.contextValue = ["cluster", ...offersOf(name, condition)].join(" ");
  item.iconPath = conditionIcon(condition);
  item.command = { command: "farcall.clusters.open", title: vscode.l10n.t("Open Cluster"), arguments: [of] };
  const parts =
    condition === "up" && status
      ? [
          conditionText(name, condition),
          ...(name === "local" ? [] : [nodesText(nodes.length)]),
          replicasText(nodes.reduce((sum, node) => sum + (node.status?.replicas.length ?? 0), 0)),
          vscode.l10n.t("${0}/h", usdPerHour.toFixed(2)),
          agoText(status.startedAtMs),
        ]
      : condition === "broken" && error !== undefined
        ? [error]
        : condition === "unreachable" && error !== undefined
          ? [conditionText(name, condition), error]
          : [conditionText(name, condition)];
  item.description = parts.join(" · ");
  item.tooltip = tooltipOf(state, parts);
  item.accessibilityInformation = { label: `${vscode.l10n.t("Cluster {0}", name)}, ${item.description}` };
  return item;
}

/** Names of hosts and errors come from elsewhere: they are text, not Markdown. */
function tooltipOf({ name, status, record }: ClusterState, parts: readonly string[]): vscode.MarkdownString {
  const tooltip = new vscode.MarkdownString();
  tooltip.appendText(`${name} — ${record ? record.spec.hosts.slice(0, 5).join(", ") : placeOf(name).node}`);
  for (const line of status ? details(status) : parts) {
    tooltip.appendMarkdown("\n\n- ");
    tooltip.appendText(line);
  }
  return tooltip;
}

function details(status: AgentStatus): string[] {
  return [
    vscode.l10n.t("Since {0}", new Date(status.startedAtMs).toLocaleString(vscode.env.language)),
    vscode.l10n.t("Farcall {0}, Node {1}, process {2}", status.version, status.nodeVersion, status.pid),
    ...(status.idleTimeoutMs > 0
      ? [vscode.l10n.t("Ends by itself after {0} min without work", Math.round(status.idleTimeoutMs / 60_000))]
      : []),
    ...status.warnings,
  ];
}

function nodeItem(of: NodeItem, node: ShownNode | undefined, state: ClusterState): vscode.TreeItem {
  const isLocal = of.cluster === "local";
  const label = isLocal ? placeOf(of.cluster).node : (node?.host ?? "");
  const item = new vscode.TreeItem(
    label,
    node?.status ? vscode.TreeItemCollapsibleState.Collapsed : vscode.TreeItemCollapsibleState.None,
  );
  item.id = `node:${of.cluster}:${of.node}`;
  item.contextValue = isLocal ? "node local" : "node ssh";
  if (!node) return item;
  const isAway = !node.status && state.status !== undefined;
  item.iconPath = isAway
    ? new vscode.ThemeIcon("warning", new vscode.ThemeColor("list.warningForeground"))
    : new vscode.ThemeIcon("vm");
  item.description = isAway ? awayText(node.away) : loadText(node);
  item.tooltip = isLocal
    ? `${process.platform} ${release()} ${process.arch}`
    : [vscode.l10n.t("Node {0}: {1}", of.node, node.host), node.address ?? "", item.description].join("\n").trim();
  item.accessibilityInformation = { label: vscode.l10n.t("Node {0}, {1}", label, item.description) };
  return item;
}

function replicaItem(of: ReplicaItem, node: ShownNode | undefined): vscode.TreeItem {
  const { id } = of;
  const replica = node?.status?.replicas.find((each) => each.id === id);
  const item = new vscode.TreeItem(vscode.l10n.t("replica {0}", id));
  item.id = `replica:${of.cluster}:${of.node}:${node?.status?.startedAtMs ?? 0}:${id}`;
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
