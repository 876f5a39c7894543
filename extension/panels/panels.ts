import * as vscode from "vscode";
import type { Farcall } from "../farcall.ts";

/** Brings panels back after the window was reloaded or VS Code restarted. */
export function registerPanels(farcall: Farcall): vscode.Disposable {
  return vscode.Disposable.from(
    vscode.window.registerWebviewPanelSerializer("farcall.run", {
      deserializeWebviewPanel: async (panel, state) => {
        const { restoreRunPanel } = await import("./runPanel.ts");
        restoreRunPanel(farcall, panel, state);
      },
    }),
    vscode.window.registerWebviewPanelSerializer("farcall.cluster", {
      deserializeWebviewPanel: async (panel, state) => {
        const { restoreClusterPanel } = await import("./clusterPanel.ts");
        await restoreClusterPanel(farcall, panel, state);
      },
    }),
    vscode.window.registerWebviewPanelSerializer("farcall.launch", {
      deserializeWebviewPanel: async (panel, state) => {
        const { restoreLaunchPanel } = await import("./launchPanel.ts");
        await restoreLaunchPanel(farcall, panel, state);
      },
    }),
  );
}
