import * as vscode from "vscode";

/** Numbers and times as a person reads them, in the editor's language. */

export function countText(value: number): string {
  return value.toLocaleString(vscode.env.language);
}

export function durationText(ms: number): string {
  if (ms < 999.5) return vscode.l10n.t("{0} ms", Math.round(ms));
  if (ms < 59_950) return vscode.l10n.t("{0} s", (ms / 1_000).toFixed(1));
  const minutes = Math.round(ms / 60_000);
  if (minutes < 60) return vscode.l10n.t("{0} min", minutes);
  return vscode.l10n.t("{0} h {1} min", Math.floor(minutes / 60), minutes % 60);
}

/** How long ago something was. */
export function agoText(atMs: number, nowMs: number = Date.now()): string {
  const seconds = Math.max(0, (nowMs - atMs) / 1_000);
  if (seconds < 60) return vscode.l10n.t("just now");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return vscode.l10n.t("{0} min ago", minutes);
  if (minutes < 24 * 60) return vscode.l10n.t("{0} h ago", Math.floor(minutes / 60));
  return new Date(atMs).toLocaleDateString(vscode.env.language);
}
