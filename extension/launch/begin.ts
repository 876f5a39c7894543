import * as vscode from "vscode";
import { envsFor } from "../envs/projectFiles.ts";
import { tell } from "../failure.ts";
import type { Farcall } from "../farcall.ts";
import { findTarget } from "./findTarget.ts";
import { aboutOf, launchCall } from "./launch.ts";
import { formKey } from "./places.ts";

/** From "run this" to a form or, where nothing needs to be asked, to a run. */

/** Without a function, the one at the cursor or one that is picked from the file. */
export async function begin(
  farcall: Farcall,
  mode: "call" | "map",
  uri: vscode.Uri | undefined,
  exportPath: string | undefined,
): Promise<void> {
  if (!vscode.workspace.isTrusted) {
    void vscode.window.showWarningMessage(vscode.l10n.t("Nothing of this folder runs before you trust it."));
    return;
  }
  const target = await findTarget(mode, uri, exportPath);
  if (!target) return;
  if (mode === "call" && target.fn.params.length === 0) {
    await callWithoutArguments(farcall, target.document.fileName, target.fn.exportPath);
    return;
  }
  const { openLaunchPanel } = await import("../panels/launchPanel.ts");
  openLaunchPanel(farcall, mode, target);
}

async function callWithoutArguments(farcall: Farcall, file: string, exportPath: string): Promise<void> {
  const key = formKey(file, exportPath);
  const { env: before = "default", cluster: clusterBefore = "local" } = farcall.memory.of(key);
  await farcall.registered.look();
  const cluster = await pickCluster(farcall.clusterNames, clusterBefore, exportPath);
  if (cluster === undefined) return;
  const call = { file, export: exportPath, args: [], cluster };
  try {
    const env = await pickEnv(Object.keys(await envsFor(file)), before, exportPath);
    if (env === undefined) return;
    await farcall.memory.remember(key, { env, cluster });
    await launchCall(farcall, { ...call, env });
  } catch (error) {
    void tell(farcall, vscode.l10n.t("Cannot run {0}.", exportPath), error, aboutOf(call));
  }
}

function pickCluster(names: string[], before: string, exportPath: string): Promise<string | undefined> {
  return pickOne(names, before, vscode.l10n.t("Run {0} on which cluster?", exportPath));
}

function pickEnv(names: string[], before: string, exportPath: string): Promise<string | undefined> {
  return pickOne(names.length === 0 ? ["default"] : names, before, vscode.l10n.t("Run {0} in which env?", exportPath));
}

/** Asked for where there is a choice, with the one of the last run ready to be taken with Enter. */
async function pickOne(names: string[], before: string, placeHolder: string): Promise<string | undefined> {
  if (names.length <= 1) return names[0];
  const ordered = names.includes(before) ? [before, ...names.filter((name) => name !== before)] : names;
  return vscode.window.showQuickPick(ordered, { placeHolder });
}
