import * as vscode from "vscode";
import type { RunRecord } from "../../runtime/index.ts";
import type { Farcall } from "../farcall.ts";
import { LiveTree } from "../liveTree.ts";
import { agoText, countText, durationText } from "../words.ts";
import { doneByCluster } from "../../runtime/client/guests/doneByCluster.ts";
import { hasEnded } from "../../runtime/protocol/runState.ts";
import { exportOf, shownState, stateIcon, stateText } from "./states.ts";

/** Runs, live and past, newest first. */
export interface RunItem {
  cluster: string;
  run: string;
}

const shownRuns = 200;

export function registerRuns(farcall: Farcall): vscode.Disposable {
  const find = ({ cluster, run }: RunItem) => farcall.live.state(cluster).runs.find(({ id }) => id === run);
  return new LiveTree<RunItem>(farcall, "farcall.runs", {
    children: (item) => {
      if (item) return [];
      const all = farcall.live.withRuns.flatMap(({ name, runs }) => runs.map(({ id }) => ({ cluster: name, run: id })));
      return all.sort((a, b) => (a.run < b.run ? 1 : -1)).slice(0, shownRuns);
    },
    show: (item) => {
      const run = find(item);
      return run ? runItem(item, run, farcall.live.state(item.cluster).status !== undefined) : new vscode.TreeItem("");
    },
    parent: () => undefined,
    badge: () => {
      const maps = farcall.live.runningRuns().filter(({ run }) => run.kind === "map").length;
      if (maps === 0) return undefined;
      return {
        value: maps,
        tooltip: maps === 1 ? vscode.l10n.t("1 map is running") : vscode.l10n.t("{0} maps are running", maps),
      };
    },
  });
}

function runItem(item: RunItem, run: RunRecord, isUp: boolean): vscode.TreeItem {
  const state = shownState(run, isUp);
  const shown = new vscode.TreeItem(functionName(run.label));
  shown.id = `run:${item.cluster}:${run.id}`;
  shown.contextValue = `run ${run.kind} ${hasEnded(state) ? "ended" : "live"}`;
  shown.iconPath = stateIcon(run, state);
  const where = [item.cluster, ...doneByCluster(run.guests ?? []).keys()].join(" + ");
  shown.description = [
    progressText(run, state),
    ...(where === "local" ? [] : [where]),
    ...(run.home === undefined ? [] : [vscode.l10n.t("helps {0}", run.home)]),
    agoText(run.createdAtMs),
  ].join(" · ");
  const tooltip = new vscode.MarkdownString();
  tooltip.appendText(run.label);
  tooltip.appendMarkdown(
    `\n\n${[
      `${run.kind === "map" ? vscode.l10n.t("Map") : vscode.l10n.t("Call")} \`${run.id}\``,
      vscode.l10n.t("{0} on {1}, env {2}", stateText(state), item.cluster, run.env),
      new Date(run.createdAtMs).toLocaleString(vscode.env.language),
    ]
      .map((line) => `- ${line}`)
      .join("\n")}`,
  );
  if (run.error) tooltip.appendText(`\n${run.error.message}`);
  shown.tooltip = tooltip;
  shown.command = { command: "farcall.runs.open", title: vscode.l10n.t("Open Run"), arguments: [item] };
  shown.accessibilityInformation = { label: `${functionName(run.label)}, ${stateText(state)}, ${shown.description}` };
  return shown;
}

/** The part behind the file, with the file where it tells runs apart. */
export function functionName(label: string): string {
  const name = exportOf(label);
  return name === "default" ? label.slice(0, -"#default".length).replace(/^.*[\\/]/, "") : name;
}

function progressText(run: RunRecord, state: RunRecord["state"]): string {
  const tookMs = (run.endedAtMs ?? Date.now()) - run.createdAtMs;
  if (run.kind === "call") return hasEnded(state) ? `${stateText(state)} · ${durationText(tookMs)}` : stateText(state);
  const of = run.total === null ? `${countText(run.accepted)}+` : countText(run.total);
  const parts = hasEnded(state)
    ? [
        stateText(state),
        state === "done" ? countText(run.done) : `${countText(run.done)} / ${of}`,
        durationText(tookMs),
      ]
    : [`${countText(run.done)} / ${of}`, ...(state === "running" ? [] : [stateText(state)])];
  if (run.failed > 0) parts.push(vscode.l10n.t("{0} failed", countText(run.failed)));
  return parts.join(" · ");
}
