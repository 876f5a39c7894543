import { dirname } from "node:path";
import * as vscode from "vscode";

/** Where functions are, for what belongs to them. */

/** Under which what was entered for a function is remembered. */
export function formKey(file: string, exportPath: string): string {
  return `${vscode.workspace.asRelativePath(file)}#${exportPath}`;
}

/** The folder that relative paths are meant from. */
export function folderOf(file: string): string {
  return vscode.workspace.getWorkspaceFolder(vscode.Uri.file(file))?.uri.fsPath ?? dirname(file);
}
