import type { ExtensionContext } from "vscode";
import type { RunRecord } from "../runtime/index.ts";
import type { MapForm, SourceKind } from "../webview/messages.ts";

/** What the extension keeps between windows, in VS Code's own storage. */

export interface Remembered {
  /** Texts of the form's fields, newest first. */
  history: string[][];
  map?: MapForm;
  source?: { kind: SourceKind; text: string };
  env?: string;
  cluster?: string;
}

/** A map whose inputs are still being sent. */
export interface Unfinished {
  run: string;
  cluster: string;
  file: string;
  export: string;
  /** Folder that the input and the env are relative to. */
  folder: string;
  env: string;
  input: string;
  options: Record<string, unknown>;
}

const keptArguments = 10;
const keptRuns = 100;
const keptTextChars = 20_000;

export class Memory {
  readonly #context: ExtensionContext;

  constructor(context: ExtensionContext) {
    this.#context = context;
  }

  /** What was last entered for a function; `key` is its file and export. */
  of(key: string): Remembered {
    return this.#context.workspaceState.get<Remembered>(`form:${key}`) ?? { history: [] };
  }

  async remember(key: string, entered: Omit<Remembered, "history"> & { texts?: string[] }): Promise<void> {
    const { texts, ...rest } = entered;
    const before = this.of(key);
    let { history } = before;
    if (texts && texts.join("").length <= keptTextChars) {
      const same = JSON.stringify(texts);
      history = [texts, ...history.filter((each) => JSON.stringify(each) !== same)].slice(0, keptArguments);
    }
    await this.#context.workspaceState.update(`form:${key}`, { ...before, ...rest, history });
  }

  unfinished(): Unfinished[] {
    return this.#context.workspaceState.get<Unfinished[]>("unfinished") ?? [];
  }

  async addUnfinished(map: Unfinished): Promise<void> {
    await this.#context.workspaceState.update("unfinished", [
      ...this.unfinished().filter(({ run }) => run !== map.run),
      map,
    ]);
  }

  async removeUnfinished(run: string): Promise<void> {
    const before = this.unfinished();
    const after = before.filter((each) => each.run !== run);
    if (after.length < before.length) await this.#context.workspaceState.update("unfinished", after);
  }

  /** The runs of a cluster as last seen, for when it is not up. */
  runs(cluster: string): RunRecord[] {
    return this.#context.globalState.get<RunRecord[]>(`runs:${cluster}`) ?? [];
  }

  async keepRuns(cluster: string, runs: readonly RunRecord[]): Promise<void> {
    await this.#context.globalState.update(`runs:${cluster}`, runs.slice(0, keptRuns));
  }
}
