import { join } from "node:path";
import * as vscode from "vscode";
import type { AgentStatus } from "../../runtime/index.ts";
import type { Command } from "../commands.ts";
import type { Farcall } from "../farcall.ts";
import type { ClusterItem } from "./tree.ts";

/** What can be done with a cluster. Without an item, from the palette, it is asked for. */
export function clusterCommands(farcall: Farcall): Record<string, Command> {
  const name = async (item?: ClusterItem) => item?.cluster ?? (await pickCluster(farcall));
  return {
    "clusters.up": {
      tried: vscode.l10n.t("Cannot start the cluster."),
      act: async (item?: ClusterItem) => {
        const cluster = await name(item);
        if (cluster === undefined) return;
        await vscode.window.withProgress({ location: { viewId: "farcall.clusters" } }, async () => {
          await (await farcall.cluster(cluster)).upIfNot();
        });
        farcall.live.refresh();
      },
    },
    "clusters.down": {
      tried: vscode.l10n.t("Cannot shut down the cluster."),
      act: async (item?: ClusterItem) => {
        const cluster = await name(item);
        if (cluster !== undefined) await shutDown(farcall, cluster);
      },
    },
    "clusters.terminal": {
      tried: vscode.l10n.t("Cannot open a terminal."),
      act: async (item?: ClusterItem) => {
        const cluster = await name(item);
        if (cluster !== undefined) await openTerminal(farcall, cluster);
      },
    },
    "clusters.log": {
      tried: vscode.l10n.t("Cannot show the log of the cluster."),
      act: async (item?: ClusterItem) => {
        const cluster = await name(item);
        if (cluster === undefined) return;
        const file = vscode.Uri.file(join(await farcall.home(), cluster, "agent.log"));
        const exists = await vscode.workspace.fs.stat(file).then(
          () => true,
          () => false,
        );
        if (exists) await vscode.window.showTextDocument(file, { preview: true });
        else
          void vscode.window.showInformationMessage(vscode.l10n.t("The cluster {0} has written no log yet.", cluster));
      },
    },
  };
}

async function pickCluster(farcall: Farcall): Promise<string | undefined> {
  const { clusterNames } = farcall;
  if (clusterNames.length === 1) return clusterNames[0];
  return vscode.window.showQuickPick(clusterNames, { placeHolder: vscode.l10n.t("Which cluster?") });
}

async function shutDown(farcall: Farcall, name: string): Promise<void> {
  const cluster = await farcall.cluster(name);
  let status: AgentStatus | undefined;
  let force = false;
  try {
    status = await cluster.status();
  } catch (error) {
    if ((error as { code?: unknown }).code !== "agent.version") throw error;
    const shutDownAnyway = vscode.l10n.t("Shut Down");
    const question = vscode.l10n.t("Shut down the cluster {0} of another version of Farcall?", name);
    const detail = vscode.l10n.t("Its calls end. Its maps go on when that version is started again.");
    if ((await vscode.window.showWarningMessage(question, { modal: true, detail }, shutDownAnyway)) !== shutDownAnyway)
      return;
    force = true;
  }
  if (status && status.activeRuns > 0) {
    const cancelThem = vscode.l10n.t("Cancel Runs and Shut Down");
    const question =
      status.activeRuns === 1
        ? vscode.l10n.t("A run is active on the cluster {0}.", name)
        : vscode.l10n.t("{0} runs are active on the cluster {1}.", status.activeRuns, name);
    if ((await vscode.window.showWarningMessage(question, { modal: true }, cancelThem)) !== cancelThem) return;
    force = true;
  }
  await vscode.window.withProgress({ location: { viewId: "farcall.clusters" } }, async () => {
    if (!(await cluster.down({ force })).wasUp)
      void vscode.window.showInformationMessage(vscode.l10n.t("The cluster {0} is not running.", name));
  });
  farcall.live.refresh();
}

/** A terminal in which `farcall` is there, whether or not a Node is installed. */
async function openTerminal(farcall: Farcall, cluster: string): Promise<void> {
  const cli = vscode.Uri.joinPath(farcall.context.extensionUri, "dist", "cli.js").fsPath;
  const bin = vscode.Uri.joinPath(farcall.context.globalStorageUri, "bin");
  await vscode.workspace.fs.createDirectory(bin);
  const windows = process.platform === "win32";
  const script = windows
    ? `@set ELECTRON_RUN_AS_NODE=1\r\n@"${process.execPath}" "${cli}" %*\r\n`
    : `#!/bin/sh\nELECTRON_RUN_AS_NODE=1 exec ${quoted(process.execPath)} ${quoted(cli)} "$@"\n`;
  const { chmod, writeFile } = await import("node:fs/promises");
  const file = join(bin.fsPath, windows ? "farcall.cmd" : "farcall");
  await writeFile(file, script);
  if (!windows) await chmod(file, 0o755);
  const terminal = vscode.window.createTerminal({
    name: `farcall: ${cluster}`,
    iconPath: new vscode.ThemeIcon("server-process"),
    env: {
      PATH: `${bin.fsPath}${windows ? ";" : ":"}${process.env["PATH"] ?? ""}`,
      FARCALL_HOME: await farcall.home(),
    },
    message: vscode.l10n.t("`farcall --help` lists what can be done here."),
  });
  terminal.show();
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
