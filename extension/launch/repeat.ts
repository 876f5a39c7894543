import * as vscode from "vscode";
import type { Farcall } from "../farcall.ts";
import { asCommand, asScript, type RunRequest } from "../runs/repeat.ts";
import { launchCall, launchMap } from "./launch.ts";
import { folderOf } from "./places.ts";

/** A run once more: here, as a program, or as a line of a terminal. */

export async function repeat(farcall: Farcall, cluster: string, run: string): Promise<string> {
  if (!vscode.workspace.isTrusted) throw new Error(vscode.l10n.t("Nothing of this folder runs before you trust it."));
  const request = await (await (await farcall.reach(cluster)).runs.open(run)).request();
  const what = { cluster, file: request.file, export: request.export, env: request.env };
  if (request.kind === "call") {
    if (!request.args) throw new Error(vscode.l10n.t("The arguments of this run were too large to be kept."));
    return launchCall(farcall, { ...what, args: request.args, timeoutMs: request.timeoutMs });
  }
  if (request.input === undefined) {
    throw new Error(vscode.l10n.t("The inputs of this run came from a program, which has to map them again."));
  }
  if (request.input === "-") {
    throw new Error(vscode.l10n.t("The inputs of this run came through a pipe and were not kept."));
  }
  return launchMap(farcall, {
    ...what,
    input: request.input,
    folder: folderOf(request.file),
    options: request.options ?? {},
    guests: request.guests ?? [],
  });
}

export async function copyAs(farcall: Farcall, cluster: string, run: string, how: "script" | "command"): Promise<void> {
  const request: RunRequest = { ...(await (await farcall.openRun(cluster, run)).request()), cluster };
  const folder = folderOf(request.file);
  const text =
    how === "script"
      ? asScript(request, { folder })
      : asCommand(request, { folder, windows: process.platform === "win32" });
  await vscode.env.clipboard.writeText(text);
  const said =
    how === "script"
      ? vscode.l10n.t("Copied a program that repeats the run.")
      : vscode.l10n.t("Copied a command that repeats the run.");
  const open = vscode.l10n.t("Open in Editor");
  void vscode.window.showInformationMessage(said, open).then(async (picked) => {
    if (picked !== open) return;
    const language = how === "script" ? "typescript" : "shellscript";
    await vscode.window.showTextDocument(await vscode.workspace.openTextDocument({ content: text, language }));
  });
}
