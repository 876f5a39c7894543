import { writeFile } from "node:fs/promises";
import { inspect } from "node:util";
import * as vscode from "vscode";
import { toJson } from "../../runtime/client/json.ts";

/** VS Code opens no larger text from an extension without stopping for a while. */
const maxEditorChars = 20 * 1024 * 1024;

/** A whole value in an editor, or in a file where it is too large for one. */
export async function openValue(value: unknown, name: string): Promise<void> {
  const { text, language } = textOf(value);
  if (text.length <= maxEditorChars) {
    await vscode.window.showTextDocument(await vscode.workspace.openTextDocument({ content: text, language }), {
      preview: true,
    });
    return;
  }
  const target = await vscode.window.showSaveDialog({
    defaultUri: vscode.Uri.file(`${name}.${language === "json" ? "json" : "txt"}`),
    title: vscode.l10n.t("The value is too large for an editor: save it to a file"),
  });
  if (target) await writeFile(target.fsPath, text);
}

function textOf(value: unknown): { text: string; language: string } {
  if (typeof value === "string") return { text: value, language: "plaintext" };
  if (value instanceof Error) return { text: value.stack ?? `${value.name}: ${value.message}`, language: "plaintext" };
  try {
    return { text: toJson(value, 2), language: "json" };
  } catch {
    // A value that contains itself is no JSON.
    return {
      text: inspect(value, { depth: null, maxArrayLength: null, maxStringLength: null, customInspect: false }),
      language: "javascript",
    };
  }
}
