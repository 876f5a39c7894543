import * as vscode from "vscode";

export interface FilePlace {
  /** Absolute path. */
  file: string;
  /** Both count from 1. */
  line: number;
  column: number;
}

/** Shows a file in an editor, with the cursor at the place. */
export async function showPlace({ file, line, column }: FilePlace, viewColumn?: vscode.ViewColumn): Promise<void> {
  const at = new vscode.Position(Math.max(0, line - 1), Math.max(0, column - 1));
  await vscode.window.showTextDocument(vscode.Uri.file(file), {
    selection: new vscode.Range(at, at),
    ...(viewColumn === undefined ? {} : { viewColumn }),
  });
}
