import * as vscode from "vscode";
import type { Farcall } from "../farcall.ts";
import { functionsOf, isCode } from "../lenses/functions.ts";
import type { ExportedFunction } from "../lenses/scanExports.ts";
import { launchCall } from "./launch.ts";

/** From "run this" to a form or, where nothing needs to be asked, to a run. */

export interface Target {
  document: vscode.TextDocument;
  fn: ExportedFunction;
}

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
    const file = target.document.fileName;
    const { env, cluster } = farcall.memory.of(formKey(file, target.fn.exportPath));
    await launchCall(farcall, {
      file,
      export: target.fn.exportPath,
      args: [],
      env: env ?? "default",
      cluster: cluster ?? "local",
    });
    return;
  }
  const { openLaunchPanel } = await import("../panels/launchPanel.ts");
  await openLaunchPanel(farcall, mode, target);
}

export function formKey(file: string, exportPath: string): string {
  return `${vscode.workspace.asRelativePath(file)}#${exportPath}`;
}

async function findTarget(
  mode: "call" | "map",
  uri: vscode.Uri | undefined,
  exportPath: string | undefined,
): Promise<Target | undefined> {
  const document = uri ? await vscode.workspace.openTextDocument(uri) : vscode.window.activeTextEditor?.document;
  if (!document || !isCode(document)) {
    void vscode.window.showInformationMessage(
      vscode.l10n.t("Open a TypeScript or JavaScript file that exports a function."),
    );
    return undefined;
  }
  const all = (await functionsOf(document)).filter(({ callable }) => callable === true);
  const functions = mode === "map" ? all.filter(({ params }) => params.length > 0) : all;
  // Commands from a menu bring the file alone; from a lens also what was clicked.
  if (typeof exportPath === "string") {
    const fn = functions.find((each) => each.exportPath === exportPath);
    if (fn) return { document, fn };
  }
  if (functions.length === 0) {
    void vscode.window.showInformationMessage(
      mode === "map" && all.length > 0
        ? vscode.l10n.t(
            "A map gives each input as the first argument, and no exported function of this file takes one.",
          )
        : vscode.l10n.t("This file exports no function. Put `export` before one to run it."),
    );
    return undefined;
  }
  const line =
    vscode.window.activeTextEditor?.document === document ? vscode.window.activeTextEditor.selection.active.line : -1;
  const items = functions.map((fn) => ({
    label: fn.exportPath,
    description: `(${fn.params.map(({ name, optional }) => (optional ? `${name}?` : name)).join(", ")})`,
    ...(fn.doc ? { detail: fn.doc.split("\n")[0]! } : {}),
    fn,
  }));
  // The function that the cursor is in comes first, ready to be taken with Enter.
  const at = functions.findLastIndex((fn) => fn.at.line <= line);
  if (at > 0) items.unshift(...items.splice(at, 1));
  const picked = await vscode.window.showQuickPick(items, {
    placeHolder: mode === "map" ? vscode.l10n.t("Map which function?") : vscode.l10n.t("Run which function?"),
    matchOnDescription: true,
    matchOnDetail: true,
  });
  return picked && { document, fn: picked.fn };
}
