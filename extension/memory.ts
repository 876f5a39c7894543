import { join } from "node:path";
import type { ExtensionContext } from "vscode";
import type { RunRecord } from "../runtime/index.ts";
import type { MapForm, SourceKind } from "../webview/messages/launch.ts";
import { UnfinishedRuns } from "./launch/unfinished.ts";

/** What the extension keeps between windows, in the storage that VS Code gives it. */

export interface Remembered {
  /** Texts of the form's fields, newest first. */
  history: string[][];
  map?: MapForm;
  source?: { kind: SourceKind; text: string };
  env?: string;
  cluster?: string;
  guests?: readonly string[];
}

const keptArguments = 10;
const keptRuns = 100;
/** Longer texts of a form are not kept. */
export const keptTextChars = 20_000;

export class Memory {
  readonly #context: ExtensionContext;
  readonly unfinished: UnfinishedRuns;

  constructor(context: ExtensionContext) {
    this.#context = context;
    // A window without a folder has no storage of its own.
    const { fsPath } = context.storageUri ?? context.globalStorageUri;
    this.unfinished = new UnfinishedRuns(join(fsPath, "unfinished"));
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

  /** The runs of a cluster as last seen, for when it is not up. */
  runs(cluster: string): RunRecord[] {
    return this.#context.globalState.get<RunRecord[]>(`runs:${cluster}`) ?? [];
  }

  async keepRuns(cluster: string, runs: readonly RunRecord[]): Promise<void> {
    await this.#context.globalState.update(`runs:${cluster}`, runs.slice(0, keptRuns));
  }
}
