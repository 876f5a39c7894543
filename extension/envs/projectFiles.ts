import { dirname } from "node:path";
import * as vscode from "vscode";
import type { EnvSpec } from "../../runtime/index.ts";
import { messageOf } from "../../runtime/spec/errors.ts";

/** The farcall.json files of the workspace, read anew when they change, and not at all before it is trusted. */
export interface ProjectFile {
  file: string;
  envs: Record<string, EnvSpec>;
  /** Why it cannot be read. */
  problem: string | undefined;
}

const pattern = "**/farcall.json";
const maxFiles = 20;

export class ProjectFiles implements vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.#changed.event;
  readonly #files = new Map<string, ProjectFile>();
  readonly #disposables: vscode.Disposable[];
  #found: Promise<void> | undefined;

  constructor() {
    const watcher = vscode.workspace.createFileSystemWatcher(pattern);
    const read = (uri: vscode.Uri) => void this.#read(uri);
    this.#disposables = [
      watcher,
      this.#changed,
      watcher.onDidChange(read),
      watcher.onDidCreate(read),
      watcher.onDidDelete((uri) => {
        this.#files.delete(uri.fsPath);
        this.#changed.fire();
      }),
      vscode.workspace.onDidGrantWorkspaceTrust(() => this.#findAgain()),
      vscode.workspace.onDidChangeWorkspaceFolders(() => this.#findAgain()),
    ];
  }

  /**
   * Resolves when the files that were there at first have been read. The first question has them looked for: a
   * workspace is not searched for a view that nobody opens.
   */
  get found(): Promise<void> {
    return (this.#found ??= this.#find());
  }

  get all(): ProjectFile[] {
    void this.found;
    return [...this.#files.values()].sort((a, b) => a.file.localeCompare(b.file));
  }

  of(file: string): ProjectFile | undefined {
    return this.#files.get(file);
  }

  dispose(): void {
    for (const each of this.#disposables) each.dispose();
  }

  #findAgain(): void {
    if (this.#found) void this.#find();
  }

  async #find(): Promise<void> {
    if (!vscode.workspace.isTrusted) return;
    const found = await vscode.workspace.findFiles(pattern, "**/node_modules/**", maxFiles);
    this.#files.clear();
    await Promise.all(found.map((uri) => this.#read(uri)));
    this.#changed.fire();
  }

  async #read(uri: vscode.Uri): Promise<void> {
    if (!vscode.workspace.isTrusted || uri.fsPath.includes("node_modules")) return;
    const { readProject } = await import("../../runtime/client/project.ts");
    const file = uri.fsPath;
    try {
      this.#files.set(file, { file, envs: (await readProject(file)).envs ?? {}, problem: undefined });
    } catch (error) {
      this.#files.set(file, { file, envs: {}, problem: messageOf(error) });
    }
    this.#changed.fire();
  }
}

/** Envs that functions of a file may run with: those of the nearest farcall.json, and the default. */
export async function envsFor(file: string): Promise<Record<string, EnvSpec>> {
  if (!vscode.workspace.isTrusted) return { default: {} };
  const { findProject } = await import("../../runtime/client/project.ts");
  const found = await findProject(dirname(file));
  return { default: {}, ...found?.project.envs };
}
