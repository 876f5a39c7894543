import * as vscode from "vscode";
import type { Farcall } from "./farcall.ts";
import { countText } from "./words.ts";

/** One item in the status bar while something runs: how many runs, and what they cost. */
export function registerStatus(farcall: Farcall): vscode.Disposable {
  const item = vscode.window.createStatusBarItem("farcall.running", vscode.StatusBarAlignment.Left, 20);
  item.name = "Farcall";
  item.command = "farcall.runs.focus";
  const update = () => {
    const running = farcall.live.runningRuns();
    if (running.length === 0) {
      item.hide();
      return;
    }
    const usdPerHour = farcall.live.states.reduce((sum, state) => sum + (state.status ? state.usdPerHour : 0), 0);
    const cost = usdPerHour > 0 ? vscode.l10n.t(" · ${0}/h", usdPerHour.toFixed(2)) : "";
    const text = running.length === 1 ? vscode.l10n.t("1 run") : vscode.l10n.t("{0} runs", running.length);
    item.text = `$(sync~spin) ${text}${cost}`;
    const tooltip = new vscode.MarkdownString(undefined, true);
    for (const { cluster, run } of running.slice(0, 10)) {
      const of = run.total === null ? "?" : countText(run.total);
      const progress = run.kind === "map" ? ` — ${countText(run.done)} / ${of}` : "";
      tooltip.appendText(`${run.label}${progress} (${cluster})\n`);
    }
    if (running.every(({ cluster }) => cluster === "local"))
      tooltip.appendText(vscode.l10n.t("The local cluster costs nothing."));
    item.tooltip = tooltip;
    item.accessibilityInformation = { label: vscode.l10n.t("Farcall: {0} running", text) };
    item.show();
  };
  const listening = farcall.live.onDidChange(update);
  return vscode.Disposable.from(item, listening);
}
