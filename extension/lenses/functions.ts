import * as vscode from "vscode";
import { readBeside } from "./readBeside.ts";
import type { ExportedFunction } from "./scanExports.ts";

/** The exported functions of documents. The parser is loaded at the first question. */

const languages = ["typescript", "typescriptreact", "javascript", "javascriptreact"] as const;
type Language = (typeof languages)[number];

/** Virtual documents have no file to bundle. */
export const selector: vscode.DocumentSelector = languages.map((language) => ({ language, scheme: "file" }));

export function isCode(document: vscode.TextDocument): boolean {
  return vscode.languages.match(selector, document) > 0;
}

let cache: Promise<import("./scanCache.ts").ScanCache> | undefined;

/** In the order of the file. With errors in the text those of the last good text, moved along. */
export async function functionsOf(document: vscode.TextDocument): Promise<readonly ExportedFunction[]> {
  cache ??= import("./scanCache.ts").then(({ createScanCache }) => createScanCache());
  const scans = await cache;
  return scans.scan({
    uri: document.uri.toString(),
    version: document.version,
    text: () => document.getText(),
    language: document.languageId as Language,
    fileName: document.fileName,
    readModule: (specifier) => readBeside(document.fileName, specifier),
  });
}

export function forget(document: vscode.TextDocument): void {
  void cache?.then((scans) => scans.forget(document.uri.toString()));
}
