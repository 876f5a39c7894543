import { statSync } from "node:fs";
import * as vscode from "vscode";
import type { RunRecord } from "../../runtime/index.ts";
import type { FailureFiles } from "./failures.ts";
import { isBelow } from "./frames.ts";

const maxSourceBytes = 4 * 1024 * 1024;

/** Those of the workspace, and those beside the source of the run: plain ones of a sensible size, none on the network. */
export class RunFiles implements FailureFiles {
  readonly #record: () => RunRecord | undefined;

  constructor(record: () => RunRecord | undefined) {
    this.#record = record;
  }

  isOwn(file: string): boolean {
    if (/^[\\/]{2}/.test(file) || !this.#isKnown(file)) return false;
    try {
      const found = statSync(file);
      return found.isFile() && found.size <= maxSourceBytes;
    } catch {
      return false;
    }
  }

  shorten(file: string): string {
    return vscode.workspace.asRelativePath(file);
  }

  #isKnown(file: string): boolean {
    if (vscode.workspace.getWorkspaceFolder(vscode.Uri.file(file))) return true;
    const source = this.#record()?.source;
    return source !== undefined && (file === source.file || isBelow(source.root, file));
  }
}
