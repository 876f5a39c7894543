import * as vscode from "vscode";
import { writeWhole } from "../runs/export.ts";
import { askForFile } from "../runs/saveDialog.ts";
import { documentOf } from "./valueDocument.ts";

/** VS Code opens no larger text from an extension without stopping for a while. */
const maxEditorChars = 20 * 1024 * 1024;

/** A whole value in an editor, or in a file where it is too large for one. */
export async function openValue(value: unknown, name: string): Promise<void> {
  const { text, language, isWhole } = documentOf(value);
  if (text.length <= maxEditorChars) {
    await vscode.window.showTextDocument(await vscode.workspace.openTextDocument({ content: text, language }), {
      preview: true,
    });
    if (!isWhole) {
      void vscode.window.showWarningMessage(
        vscode.l10n.t(
          "The value contains itself or repeats its parts too often to be written out; this is its beginning.",
        ),
      );
    }
    return;
  }
  const target = await askForFile(`${name}.${language === "json" ? "json" : "txt"}`, {
    title: vscode.l10n.t("The value is too large for an editor: save it to a file"),
  });
  if (target) await writeWhole(target.fsPath, [text], new AbortController().signal);
}
