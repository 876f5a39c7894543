import { sep } from "node:path";
import * as vscode from "vscode";
import type { SourceKind } from "../../webview/messages/launch.ts";
import { readBeside } from "../lenses/readBeside.ts";
import type { ScanLanguage } from "../lenses/scanExports.ts";

/** Asks for inputs with the editor's own dialogs. */

const codeEndings = ["ts", "tsx", "mts", "cts", "js", "jsx", "mjs", "cjs"];

/** As a person would type it into the form; undefined when nothing was picked. */
export async function pickSource(kind: SourceKind, folder: string): Promise<string | undefined> {
  const defaultUri = vscode.Uri.file(folder);
  switch (kind) {
    case "paste":
      return undefined;
    case "glob": {
      const options = { canSelectFolders: true, canSelectFiles: false, defaultUri };
      const [picked] = (await vscode.window.showOpenDialog(options)) ?? [];
      return picked && `${relative(picked.fsPath, folder)}/**/*`;
    }
    case "file": {
      const filters = { [vscode.l10n.t("Inputs")]: ["jsonl", "ndjson", "json", "csv", "tsv"] };
      const [picked] = (await vscode.window.showOpenDialog({ defaultUri, filters })) ?? [];
      return picked && relative(picked.fsPath, folder);
    }
    case "export": {
      const filters = { [vscode.l10n.t("Code")]: codeEndings };
      const [picked] = (await vscode.window.showOpenDialog({ defaultUri, filters })) ?? [];
      const name = picked && (await pickExport(picked));
      return name === undefined ? undefined : `${relative(picked!.fsPath, folder)}#${name}`;
    }
  }
}

function relative(file: string, folder: string): string {
  return file.startsWith(folder + sep) ? file.slice(folder.length + 1) : file;
}

async function pickExport(file: vscode.Uri): Promise<string | undefined> {
  const { scanInputs } = await import("../lenses/scanInputs.ts");
  const document = await vscode.workspace.openTextDocument(file);
  const { languageId, fileName } = document;
  const readModule = (specifier: string) => readBeside(fileName, specifier);
  const found = scanInputs(document.getText(), languageId as ScanLanguage, { fileName, readModule });
  if (found.length === 0) {
    throw new Error(
      vscode.l10n.t(
        "{0} exports no array, and no function that can be called without arguments.",
        vscode.workspace.asRelativePath(file),
      ),
    );
  }
  const items = found.map(({ name, kind }) => ({ label: name, description: kindText(kind) }));
  const placeHolder = vscode.l10n.t(
    "Which export gives the inputs? An array, or a function or generator without parameters",
  );
  return (await vscode.window.showQuickPick(items, { placeHolder }))?.label;
}

function kindText(kind: "function" | "array" | "unknown"): string {
  switch (kind) {
    case "function":
      return vscode.l10n.t("function");
    case "array":
      return vscode.l10n.t("array");
    case "unknown":
      return "";
  }
}
