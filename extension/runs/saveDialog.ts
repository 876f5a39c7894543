import { homedir } from "node:os";
import * as vscode from "vscode";

/** Asks where to write a file, at first in the workspace; undefined when nowhere. */
export async function askForFile(
  name: string,
  words: { title?: string; saveLabel?: string },
): Promise<vscode.Uri | undefined> {
  const folder = vscode.workspace.workspaceFolders?.find(({ uri }) => uri.scheme === "file")?.uri;
  return vscode.window.showSaveDialog({
    defaultUri: vscode.Uri.joinPath(folder ?? vscode.Uri.file(homedir()), name.replace(/[^\w.-]+/g, "-")),
    ...words,
  });
}
