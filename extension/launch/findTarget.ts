import * as vscode from "vscode";
import { functionsOf, isCode } from "../lenses/functions.ts";
import type { ExportedFunction } from "../lenses/scanExports.ts";

/** Which function of which file is to be run. */

export interface Target {
  document: vscode.TextDocument;
  fn: ExportedFunction;
}

type Mode = "call" | "map";
interface Item extends vscode.QuickPickItem {
  fn?: ExportedFunction;
  /** Why it cannot be picked. */
  reason?: string;
}

export async function findTarget(
  mode: Mode,
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
  const all = await functionsOf(document);
  if (all.length === 0) {
    void vscode.window.showInformationMessage(
      vscode.l10n.t("This file exports no function. Put `export` before one to run it."),
    );
    return undefined;
  }
  // Commands from a menu bring the file alone; from a lens also what was clicked.
  if (typeof exportPath === "string") {
    const fn = all.find((each) => each.exportPath === exportPath);
    if (fn && reasonAgainst(fn, mode) === undefined) return { document, fn };
  }
  const fn = await pick(itemsOf(all, mode, document), mode);
  return fn && { document, fn };
}

/** Those that cannot be run stand at the end, each with the reason: one that is left out would be looked for. */
function itemsOf(all: readonly ExportedFunction[], mode: Mode, document: vscode.TextDocument): Item[] {
  const fitting = all.filter((fn) => reasonAgainst(fn, mode) === undefined);
  const line =
    vscode.window.activeTextEditor?.document === document ? vscode.window.activeTextEditor.selection.active.line : -1;
  // The function that the cursor is in comes first, ready to be taken with Enter.
  const at = fitting.findLastIndex((fn) => fn.at.line <= line);
  if (at > 0) fitting.unshift(...fitting.splice(at, 1));
  const items: Item[] = fitting.map((fn) => ({
    ...itemOf(fn),
    ...(fn.doc ? { detail: fn.doc.split("\n")[0]! } : {}),
    fn,
  }));
  const others = all.flatMap((fn): Item[] => {
    const reason = reasonAgainst(fn, mode);
    return reason === undefined
      ? []
      : [{ ...itemOf(fn), iconPath: new vscode.ThemeIcon("circle-slash"), detail: reason, reason }];
  });
  if (others.length === 0) return items;
  const title = mode === "map" ? vscode.l10n.t("Cannot be mapped") : vscode.l10n.t("Cannot be run");
  return [...items, { label: title, kind: vscode.QuickPickItemKind.Separator }, ...others];
}

function itemOf({ exportPath, params }: ExportedFunction): Item {
  const names = params.map(({ name, optional }) => (optional ? `${name}?` : name));
  return { label: exportPath, description: `(${names.join(", ")})` };
}

async function pick(items: Item[], mode: Mode): Promise<ExportedFunction | undefined> {
  const picked = await vscode.window.showQuickPick(items, {
    placeHolder: mode === "map" ? vscode.l10n.t("Map which function?") : vscode.l10n.t("Run which function?"),
    matchOnDescription: true,
    matchOnDetail: true,
  });
  if (picked?.reason !== undefined) {
    void vscode.window.showInformationMessage(`${picked.label}: ${picked.reason}`);
  }
  return picked?.fn;
}

function reasonAgainst({ callable, params }: ExportedFunction, mode: Mode): string | undefined {
  switch (callable) {
    case "takes-function":
      return vscode.l10n.t("It takes a function, and functions cannot be sent to another process.");
    case "dotted-name":
      return vscode.l10n.t("A dot in its name would be taken for that between a class and its method.");
    case "reserved-name":
      return vscode.l10n.t("Every class has a property of that name.");
    case true:
      if (mode === "call" || params.length > 0) return undefined;
      return vscode.l10n.t("A map gives each input as the first argument, and it takes none.");
  }
}
