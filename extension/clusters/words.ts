import * as vscode from "vscode";
import type { Condition } from "./condition.ts";
import type { ShownNode } from "./nodes.ts";

/** Clusters and nodes in words and pictures. */

export function conditionText(name: string, condition: Condition): string {
  switch (condition) {
    case "up":
      return vscode.l10n.t("up");
    case "idle":
      return name === "local"
        ? vscode.l10n.t("not running, starts when needed")
        : vscode.l10n.t("idle, starts when needed");
    case "stopped":
      return vscode.l10n.t("stopped");
    case "launching":
      return vscode.l10n.t("launching");
    case "ending":
      return vscode.l10n.t("shutting down");
    case "unreachable":
      return vscode.l10n.t("unreachable");
    case "broken":
      return vscode.l10n.t("broken");
    case "unknown":
      return vscode.l10n.t("looking…");
  }
}

export function conditionIcon(condition: Condition): vscode.ThemeIcon {
  switch (condition) {
    case "up":
      return new vscode.ThemeIcon("vm-active", new vscode.ThemeColor("testing.iconPassed"));
    case "launching":
    case "ending":
      return new vscode.ThemeIcon("vm-pending");
    case "unreachable":
      return new vscode.ThemeIcon("warning", new vscode.ThemeColor("list.warningForeground"));
    case "broken":
      return new vscode.ThemeIcon("error", new vscode.ThemeColor("list.errorForeground"));
    case "idle":
    case "stopped":
    case "unknown":
      return new vscode.ThemeIcon("vm-outline");
  }
}

/** Why a node is not heard of; undefined where nobody knows yet. */
export function awayText(why: ShownNode["away"]): string {
  switch (why) {
    case "unreachable":
      return vscode.l10n.t("unreachable");
    case "silent":
      return vscode.l10n.t("its agent does not run");
    case "uncarried":
      return vscode.l10n.t("relayed, and no client carries its traffic");
    case "cut-off":
      return vscode.l10n.t("does not get through to the queue");
    case undefined:
      return vscode.l10n.t("not heard of");
  }
}

/** What a node is, and how busy it is. */
export function loadText({ platform, cpus, memoryMiB, status }: ShownNode): string {
  const parts = [
    ...(platform === undefined ? [] : [platform]),
    ...(cpus === undefined ? [] : [cpus === 1 ? vscode.l10n.t("1 core") : vscode.l10n.t("{0} cores", cpus)]),
    ...(status ? [vscode.l10n.t("CPU {0}%", Math.round(status.cpuShare * 100))] : []),
  ];
  if (memoryMiB !== undefined) {
    parts.push(
      status
        ? vscode.l10n.t("{0} of {1} GiB", inGiB(status.usedMiB), inGiB(memoryMiB))
        : vscode.l10n.t("{0} GiB", inGiB(memoryMiB)),
    );
  }
  return parts.join(" · ");
}

function inGiB(MiB: number): string {
  return (MiB / 1_024).toLocaleString(vscode.env.language, { maximumFractionDigits: 1 });
}

export function nodesText(count: number): string {
  return count === 1 ? vscode.l10n.t("1 node") : vscode.l10n.t("{0} nodes", count);
}

export function replicasText(count: number): string {
  return count === 1 ? vscode.l10n.t("1 replica") : vscode.l10n.t("{0} replicas", count);
}
