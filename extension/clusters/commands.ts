import * as vscode from "vscode";
import type { Command } from "../commands.ts";
import type { Farcall } from "../farcall.ts";
import { nodesOf } from "./nodes.ts";
import { openLocalTerminal } from "./localTerminal.ts";
import { openShell } from "./shellTerminal.ts";
import { shutDown, start, stop } from "./lifecycle.ts";
import type { ClusterItem, NodeItem } from "./tree.ts";

type Given = ClusterItem | NodeItem;

/** What can be done with a cluster. Without an item, from the palette, it is asked for. */
export function clusterCommands(farcall: Farcall): Record<string, Command> {
  const on = (
    tried: string,
    act: (cluster: string, item: Given | undefined) => unknown,
    isFitting: (cluster: string) => boolean = () => true,
  ): Command => ({
    tried,
    act: async (item?: Given) => {
      const cluster = item?.cluster ?? (await pickCluster(farcall, isFitting));
      if (cluster !== undefined) await act(cluster, item);
    },
  });
  return {
    "clusters.add": {
      tried: vscode.l10n.t("Cannot add the cluster."),
      act: async () => {
        const { addCluster } = await import("./add.ts");
        await addCluster(farcall);
      },
    },
    "clusters.open": on(vscode.l10n.t("Cannot open the cluster."), async (cluster) => {
      const { openClusterPanel } = await import("../panels/clusterPanel.ts");
      openClusterPanel(farcall, cluster);
    }),
    "clusters.up": on(vscode.l10n.t("Cannot start the cluster."), (cluster) => start(farcall, cluster)),
    "clusters.stop": on(
      vscode.l10n.t("Cannot stop the cluster."),
      (cluster) => stop(farcall, cluster),
      (cluster) => cluster !== "local",
    ),
    "clusters.down": on(vscode.l10n.t("Cannot shut down the cluster."), (cluster) => shutDown(farcall, cluster)),
    "clusters.terminal": on(vscode.l10n.t("Cannot open a terminal."), async (cluster, item) => {
      if (cluster === "local") return openLocalTerminal(farcall, cluster);
      const node = await nodeFor(farcall, cluster, item);
      if (node) openShell(farcall, cluster, node.number, node.host);
    }),
    "clusters.log": on(vscode.l10n.t("Cannot show the log of the cluster."), async (cluster, item) => {
      const { showLocalLog, showNodeLog } = await import("./log.ts");
      if (cluster === "local") return showLocalLog(farcall, cluster);
      const node = await nodeFor(farcall, cluster, item);
      if (node) await showNodeLog(farcall, cluster, node);
    }),
  };
}

async function pickCluster(farcall: Farcall, isFitting: (cluster: string) => boolean): Promise<string | undefined> {
  const names = farcall.clusterNames.filter(isFitting);
  if (names.length === 0) void vscode.window.showInformationMessage(vscode.l10n.t("There is no such cluster."));
  if (names.length <= 1) return names[0];
  return vscode.window.showQuickPick(names, { placeHolder: vscode.l10n.t("Which cluster?") });
}

/** The node that is meant: the one of the row, the only one, or one that is picked. */
async function nodeFor(
  farcall: Farcall,
  cluster: string,
  item: Given | undefined,
): Promise<{ number: number; host: string } | undefined> {
  await farcall.registered.look();
  const nodes = nodesOf({ record: farcall.registered.of(cluster).record, status: undefined });
  if (item?.kind === "node") return nodes.find(({ number }) => number === item.node);
  if (nodes.length <= 1) return nodes[0];
  const items = nodes.map(({ number, host }) => ({
    label: host,
    description: vscode.l10n.t("node {0}", number),
    number,
    host,
  }));
  return vscode.window.showQuickPick(items, { placeHolder: vscode.l10n.t("Which node of {0}?", cluster) });
}
