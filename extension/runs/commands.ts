import * as vscode from "vscode";
import type { Command } from "../commands.ts";
import type { Farcall } from "../farcall.ts";
import { functionName, type RunItem } from "./tree.ts";
import { hasEnded } from "../../runtime/protocol/runState.ts";
import { stateText } from "./states.ts";

/** What can be done with a run. Without an item, from the palette, it is asked for. */
export function runCommands(farcall: Farcall): Record<string, Command> {
  const on = (
    tried: string,
    act: (item: RunItem) => unknown,
    isFitting: (item: RunItem) => boolean = () => true,
  ): Command => ({
    tried,
    act: async (given?: RunItem | string) => {
      const item = typeof given === "string" ? itemOf(farcall, given) : (given ?? (await pickRun(farcall, isFitting)));
      if (item) await act(item);
    },
  });
  const isLive = ({ cluster, run }: RunItem) =>
    farcall.live.state(cluster).runs.some(({ id, state }) => id === run && !hasEnded(state));
  return {
    "runs.open": on(vscode.l10n.t("Cannot open the run."), async ({ cluster, run }) => {
      const { openRunPanel } = await import("../panels/runPanel.ts");
      openRunPanel(farcall, cluster, run, vscode.ViewColumn.Active);
    }),
    "runs.cancel": on(
      vscode.l10n.t("Cannot cancel the run."),
      async ({ cluster, run }) => {
        const open = await (await farcall.reach(cluster)).runs.open(run);
        await open.cancel();
        await farcall.memory.unfinished.remove(run);
        farcall.live.refresh(cluster);
      },
      isLive,
    ),
    "runs.repeat": on(vscode.l10n.t("Cannot run again."), async ({ cluster, run }) => {
      const { repeat } = await import("../launch/repeat.ts");
      await repeat(farcall, cluster, run);
    }),
    "runs.save": on(vscode.l10n.t("Cannot save the results."), async ({ cluster, run }) => {
      const { saveResults } = await import("./save.ts");
      await saveResults(farcall, cluster, run);
    }),
    "runs.copyScript": on(vscode.l10n.t("Cannot copy the run as a script."), async ({ cluster, run }) => {
      const { copyAs } = await import("../launch/repeat.ts");
      await copyAs(farcall, cluster, run, "script");
    }),
    "runs.copyCommand": on(vscode.l10n.t("Cannot copy the run as a command."), async ({ cluster, run }) => {
      const { copyAs } = await import("../launch/repeat.ts");
      await copyAs(farcall, cluster, run, "command");
    }),
  };
}

/** A run that is known by its id alone is one of the cluster that lists it. */
function itemOf(farcall: Farcall, run: string): RunItem {
  const listing = farcall.live.withRuns.find(({ runs }) => runs.some(({ id }) => id === run));
  return { cluster: listing?.name ?? "local", run };
}

async function pickRun(farcall: Farcall, isFitting: (item: RunItem) => boolean): Promise<RunItem | undefined> {
  const items = farcall.live.withRuns.flatMap(({ name, runs }) =>
    runs
      .filter(({ id }) => isFitting({ cluster: name, run: id }))
      .map((run) => ({
        label: functionName(run.label),
        description: `${stateText(run.state)} · ${new Date(run.createdAtMs).toLocaleString(vscode.env.language)}`,
        item: { cluster: name, run: run.id },
      })),
  );
  if (items.length === 0) {
    void vscode.window.showInformationMessage(vscode.l10n.t("There is no such run."));
    return undefined;
  }
  return (await vscode.window.showQuickPick(items, { placeHolder: vscode.l10n.t("Which run?") }))?.item;
}
