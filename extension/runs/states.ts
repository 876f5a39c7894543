import * as vscode from "vscode";
import type { RunRecord, RunState } from "../../runtime/index.ts";

/** States of runs in words and icons. */

/** Of a label, `file#export`, the name of the export. */
export function exportOf(label: string): string {
  return label.slice(label.lastIndexOf("#") + 1);
}

/** The function that ran, by the whole path of its file. */
export function runLabel({ source, label }: Pick<RunRecord, "source" | "label">): string {
  return `${source.file}#${exportOf(label)}`;
}

/** A run of a cluster that is not up does not go on, whatever its record says. */
export function shownState(run: RunRecord, isUp: boolean): RunState {
  return !isUp && run.state === "running" ? "interrupted" : run.state;
}

export function stateText(state: RunState): string {
  switch (state) {
    case "running":
      return vscode.l10n.t("running");
    case "paused":
      return vscode.l10n.t("paused");
    case "done":
      return vscode.l10n.t("done");
    case "failed":
      return vscode.l10n.t("failed");
    case "cancelled":
      return vscode.l10n.t("cancelled");
    case "interrupted":
      return vscode.l10n.t("interrupted");
  }
}

export function stateIcon(run: RunRecord, state: RunState): vscode.ThemeIcon {
  switch (state) {
    case "running":
      return new vscode.ThemeIcon("loading~spin");
    case "paused":
      return new vscode.ThemeIcon("debug-pause");
    case "done":
      return run.failed > 0
        ? new vscode.ThemeIcon("warning", new vscode.ThemeColor("list.warningForeground"))
        : new vscode.ThemeIcon("pass", new vscode.ThemeColor("testing.iconPassed"));
    case "failed":
      return new vscode.ThemeIcon("error", new vscode.ThemeColor("list.errorForeground"));
    case "cancelled":
      return new vscode.ThemeIcon("circle-slash");
    case "interrupted":
      return new vscode.ThemeIcon("debug-disconnect", new vscode.ThemeColor("list.warningForeground"));
  }
}
