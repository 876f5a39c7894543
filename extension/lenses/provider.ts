import * as vscode from "vscode";
import type { Farcall } from "../farcall.ts";
import { forget, functionsOf, selector } from "./functions.ts";

/** "Run remotely" and "Map in parallel" above exported functions. */
export function registerLenses(farcall: Farcall): vscode.Disposable {
  const changed = new vscode.EventEmitter<void>();
  let sawFunctions = false;
  const provider: vscode.CodeLensProvider = {
    onDidChangeCodeLenses: changed.event,
    provideCodeLenses: async (document, token) => {
      if (!vscode.workspace.isTrusted) return [];
      const settings = vscode.workspace.getConfiguration("farcall", document);
      if (!settings.get("codeLens.enabled", true)) return [];
      try {
        const functions = await functionsOf(document);
        if (token.isCancellationRequested) return [];
        if (functions.length > 0 && !sawFunctions) {
          sawFunctions = true;
          void vscode.commands.executeCommand("setContext", "farcall.sawFunctions", true);
        }
        return functions
          .filter(({ callable }) => callable === true)
          .flatMap(({ at, exportPath, params }) => lenses(document.uri, at, exportPath, params.length > 0));
      } catch (error) {
        // Lenses are no reason to disturb somebody who is typing.
        farcall.log.error(`Looking for functions in ${document.fileName}`, String(error));
        return [];
      }
    },
  };
  return vscode.Disposable.from(
    changed,
    vscode.languages.registerCodeLensProvider(selector, provider),
    vscode.workspace.onDidCloseTextDocument(forget),
    vscode.workspace.onDidGrantWorkspaceTrust(() => changed.fire()),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("farcall.codeLens")) changed.fire();
    }),
  );
}

function lenses(uri: vscode.Uri, at: { line: number }, exportPath: string, canMap: boolean): vscode.CodeLens[] {
  // At the start of the line, so that typing behind it does not make the lens jump.
  const range = new vscode.Range(at.line, 0, at.line, 0);
  const run = new vscode.CodeLens(range, {
    title: `$(play) ${vscode.l10n.t("Run remotely")}`,
    tooltip: vscode.l10n.t("Run {0} in a worker process of a cluster", exportPath),
    command: "farcall.runRemotely",
    arguments: [uri, exportPath],
  });
  if (!canMap) return [run];
  const map = new vscode.CodeLens(range, {
    title: `$(run-all) ${vscode.l10n.t("Map in parallel")}`,
    tooltip: vscode.l10n.t("Run {0} over many inputs in parallel", exportPath),
    command: "farcall.mapInParallel",
    arguments: [uri, exportPath],
  });
  return [run, map];
}
