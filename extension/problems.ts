import * as vscode from "vscode";

/** Marks the lines that failed runs threw from, until the function runs again or the file changes. */
interface Problem {
  uri: vscode.Uri;
  diagnostic: vscode.Diagnostic;
}

export class Problems implements vscode.Disposable {
  readonly #collection = vscode.languages.createDiagnosticCollection("farcall");
  /** One for each function, by the label of its runs; a file shows those of all its functions. */
  readonly #byLabel = new Map<string, Problem>();
  readonly #editing: vscode.Disposable;

  constructor() {
    this.#editing = vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      if (contentChanges.length > 0) this.#remove(({ uri }) => uri.toString() === document.uri.toString());
    });
  }

  isWanted(uri: vscode.Uri): boolean {
    return vscode.workspace.getConfiguration("farcall", uri).get("problems.enabled", true);
  }

  /** `line` and `character` count from 0. */
  report(label: string, uri: vscode.Uri, line: number, character: number, message: string, run: string): void {
    if (!this.isWanted(uri)) return;
    this.clear(label);
    const at = new vscode.Position(Math.max(0, line), Math.max(0, character));
    const document = vscode.workspace.textDocuments.find((each) => each.uri.toString() === uri.toString());
    const word = document?.getWordRangeAtPosition(at) ?? new vscode.Range(at, at.translate(0, 1));
    const diagnostic = new vscode.Diagnostic(word, message, vscode.DiagnosticSeverity.Error);
    diagnostic.source = "farcall";
    diagnostic.code = {
      value: run,
      target: vscode.Uri.parse(`command:farcall.runs.open?${encodeURIComponent(JSON.stringify([run]))}`),
    };
    this.#byLabel.set(label, { uri, diagnostic });
    this.#show(uri);
  }

  clear(label?: string): void {
    if (label === undefined) this.#remove(() => true);
    else {
      const problem = this.#byLabel.get(label);
      if (problem) this.#remove((each) => each === problem);
    }
  }

  dispose(): void {
    this.#editing.dispose();
    this.#collection.dispose();
  }

  #remove(isGone: (problem: Problem) => boolean): void {
    for (const [label, problem] of this.#byLabel) {
      if (!isGone(problem)) continue;
      this.#byLabel.delete(label);
      this.#show(problem.uri);
    }
  }

  #show(uri: vscode.Uri): void {
    const here = [...this.#byLabel.values()].filter((problem) => problem.uri.toString() === uri.toString());
    this.#collection.set(
      uri,
      here.map(({ diagnostic }) => diagnostic),
    );
  }
}
