import * as vscode from "vscode";

/** Marks the lines that failed runs threw from, until the function runs again or the file changes. */
export class Problems implements vscode.Disposable {
  readonly #collection = vscode.languages.createDiagnosticCollection("farcall");
  /** File and run label of each problem. */
  readonly #byLabel = new Map<string, vscode.Uri>();
  readonly #editing: vscode.Disposable;

  constructor() {
    this.#editing = vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      if (contentChanges.length > 0 && this.#collection.has(document.uri)) this.#collection.delete(document.uri);
    });
  }

  /** `line` and `character` count from 0. */
  report(label: string, uri: vscode.Uri, line: number, character: number, message: string, run: string): void {
    if (!vscode.workspace.getConfiguration("farcall", uri).get("problems.enabled", true)) return;
    this.clear(label);
    const at = new vscode.Position(Math.max(0, line), Math.max(0, character));
    const document = vscode.workspace.textDocuments.find((each) => each.uri.toString() === uri.toString());
    const word = document?.getWordRangeAtPosition(at) ?? new vscode.Range(at, at.translate(0, 1));
    const problem = new vscode.Diagnostic(word, message, vscode.DiagnosticSeverity.Error);
    problem.source = "farcall";
    problem.code = {
      value: run,
      target: vscode.Uri.parse(`command:farcall.runs.open?${encodeURIComponent(JSON.stringify([run]))}`),
    };
    this.#collection.set(uri, [...(this.#collection.get(uri) ?? []), problem]);
    this.#byLabel.set(label, uri);
  }

  clear(label?: string): void {
    if (label === undefined) {
      this.#collection.clear();
      this.#byLabel.clear();
      return;
    }
    const uri = this.#byLabel.get(label);
    if (uri) this.#collection.delete(uri);
    this.#byLabel.delete(label);
  }

  dispose(): void {
    this.#editing.dispose();
    this.#collection.dispose();
  }
}
