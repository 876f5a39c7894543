/**
 * The extension: wires lenses, views, panels and commands to one `Farcall`. Everything heavy, the runtime
 * above all, is imported when it is first used, so that starting the editor costs next to nothing.
 */
import type { ExtensionContext } from "vscode";
import { registerClusters } from "./clusters/tree.ts";
import { registerCommands } from "./commands.ts";
import { registerEnvs } from "./envs/tree.ts";
import { Farcall } from "./farcall.ts";
import { registerLenses } from "./lenses/provider.ts";
import { registerMarks } from "./marks.ts";
import { registerPanels } from "./panels/panels.ts";
import { registerRuns } from "./runs/tree.ts";
import { registerStatus } from "./status.ts";

let farcall: Farcall | undefined;

export function activate(context: ExtensionContext): void {
  farcall = new Farcall(context);
  context.subscriptions.push(
    farcall,
    registerLenses(farcall),
    registerClusters(farcall),
    registerEnvs(farcall),
    registerRuns(farcall),
    registerPanels(farcall),
    registerCommands(farcall),
    registerStatus(farcall),
    registerMarks(farcall),
  );
  void farcall.resumeUnfinished();
  farcall.live.lookSoon();
}

/** Runs go on: only the connection ends. */
export function deactivate(): void {
  farcall?.dispose();
  farcall = undefined;
}
