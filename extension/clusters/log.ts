import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as vscode from "vscode";
import type { Farcall } from "../farcall.ts";
import { pruneFolder } from "../prune.ts";
import { inView } from "./lifecycle.ts";

/** The log of a cluster's agent, as a file in an editor. */

const keptDays = 7;

export async function showLocalLog(farcall: Farcall, cluster: string): Promise<void> {
  const file = vscode.Uri.file(join(farcall.home, cluster, "agent.log"));
  const exists = await vscode.workspace.fs.stat(file).then(
    () => true,
    () => false,
  );
  if (exists) await vscode.window.showTextDocument(file, { preview: true });
  else noLog(cluster);
}

/** Read over SSH: it is there whether or not the agent lives. */
export async function showNodeLog(
  farcall: Farcall,
  name: string,
  node: { number: number; host: string },
): Promise<void> {
  const title = vscode.l10n.t("Reading the log of {0}", node.host);
  const text = await inView(farcall, name, title, async (signal) => {
    const cluster = await farcall.cluster(name);
    return cluster.agentLog(node.number, signal);
  });
  if (text === "") return noLog(name);
  const folder = join(farcall.context.globalStorageUri.fsPath, "logs");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await pruneFolder(folder, keptDays);
  const file = join(folder, `${name}-node-${node.number}.log`);
  await writeFile(file, text, { mode: 0o600 });
  await vscode.window.showTextDocument(vscode.Uri.file(file), { preview: true });
}

function noLog(cluster: string): void {
  void vscode.window.showInformationMessage(vscode.l10n.t("The cluster {0} has written no log yet.", cluster));
}
