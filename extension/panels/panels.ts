import * as vscode from "vscode";
import type { Farcall } from "../farcall.ts";

/** Brings run panels back after the window was reloaded or VS Code restarted. */
export function registerRunPanels(farcall: Farcall): vscode.Disposable {
  return vscode.window.registerWebviewPanelSerializer("farcall.run", {
    deserializeWebviewPanel: async (panel, state) => {
      const { restoreRunPanel } = await import("./runPanel.ts");
      restoreRunPanel(farcall, panel, state);
    },
  });
}
