import * as vscode from "vscode";
import { envCommands } from "./envs/commands.ts";
import { guarded } from "./failure.ts";
import type { Farcall } from "./farcall.ts";
import { clusterCommands } from "./clusters/commands.ts";
import { runCommands } from "./runs/commands.ts";

/** All commands by name. Views, lenses, menus and the palette go through these and nothing else. */

export interface Command {
  /** What is said before the cause when it fails. */
  tried: string;
  act: (...args: never[]) => unknown;
}

export function registerCommands(farcall: Farcall): vscode.Disposable {
  const commands: Record<string, Command> = {
    runRemotely: {
      tried: vscode.l10n.t("Cannot run the function."),
      act: (uri?: vscode.Uri, exportPath?: string) => launch(farcall, "call", uri, exportPath),
    },
    mapInParallel: {
      tried: vscode.l10n.t("Cannot map the function."),
      act: (uri?: vscode.Uri, exportPath?: string) => launch(farcall, "map", uri, exportPath),
    },
    refresh: { tried: vscode.l10n.t("Cannot refresh."), act: () => farcall.live.refresh() },
    showLog: { tried: vscode.l10n.t("Cannot show the log."), act: () => farcall.log.show(true) },
    clearProblems: { tried: vscode.l10n.t("Cannot clear the problems."), act: () => farcall.problems.clear() },
    openWalkthrough: {
      tried: vscode.l10n.t("Cannot open the walkthrough."),
      act: () =>
        vscode.commands.executeCommand(
          "workbench.action.openWalkthrough",
          `${farcall.context.extension.id}#start`,
          false,
        ),
    },
    ...clusterCommands(farcall),
    ...envCommands(farcall),
    ...runCommands(farcall),
  };
  const registered = Object.entries(commands).map(([name, { tried, act }]) =>
    vscode.commands.registerCommand(`farcall.${name}`, guarded(farcall, tried, act as (...args: unknown[]) => unknown)),
  );
  return vscode.Disposable.from(...registered);
}

async function launch(farcall: Farcall, mode: "call" | "map", uri?: vscode.Uri, exportPath?: string): Promise<void> {
  const { begin } = await import("./launch/begin.ts");
  await begin(farcall, mode, uri, exportPath);
}
