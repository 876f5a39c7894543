import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import * as vscode from "vscode";
import { inputName } from "../../runtime/inputs/inputName.ts";
import { globPrefix, splitExport } from "../../runtime/inputs/kinds.ts";
import type { InputPreview } from "../../runtime/inputs/preview.ts";
import type { SourceKind } from "../../webview/messages/launch.ts";
import type { Farcall } from "../farcall.ts";
import { type Pasted, readPasted, storePasted } from "./pasted.ts";
import { previewSource } from "./sources.ts";

/** The inputs that a form names: a look at the first of them, and their name for the run. */

export interface SourceChoice {
  kind: SourceKind;
  text: string;
}

const shownInputs = 3;

export class SourceChoices {
  readonly #farcall: Farcall;
  readonly #folder: string;
  readonly #signal: AbortSignal;
  /** The last look at an export, which is code of the workspace: it is not run once more to be told the same. */
  #last: { key: string; preview: Promise<InputPreview>; stop: AbortController } | undefined;

  constructor(farcall: Farcall, folder: string, signal: AbortSignal) {
    this.#farcall = farcall;
    this.#folder = folder;
    this.#signal = signal;
  }

  /** Looking at another source ends the look at the one before, which rejects. */
  async preview(choice: SourceChoice): Promise<InputPreview> {
    if (choice.kind === "paste") {
      this.#last?.stop.abort();
      const { values } = checked(readPasted(choice.text));
      return { count: values.length, countIsExact: true, first: values.slice(0, shownInputs) };
    }
    const key = await this.#keyOf(choice);
    if (this.#last?.key === key && !this.#last.stop.signal.aborted) return this.#last.preview;
    this.#last?.stop.abort();
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#signal]);
    const { home } = this.#farcall;
    const preview = previewSource(this.#named(choice), { cwd: this.#folder, home, signal });
    this.#last = { key, preview, stop };
    preview.catch(() => {
      if (this.#last?.preview === preview) this.#last = undefined;
    });
    return preview;
  }

  /** The name that stands in the record of the run, which is read in other folders. Pasted text becomes a file. */
  async input(choice: SourceChoice): Promise<string> {
    if (choice.kind === "paste") {
      const folder = join(this.#farcall.context.globalStorageUri.fsPath, "inputs");
      return storePasted(checked(readPasted(choice.text)), folder);
    }
    const name = inputName(this.#named(choice), this.#folder);
    if (name === undefined) throw new Error(vscode.l10n.t("The name of the inputs is too long."));
    return name;
  }

  #named({ kind, text }: SourceChoice): string {
    return kind === "glob" ? globPrefix + text.trim() : text.trim();
  }

  /** What a look is good for: an export until its file changes, anything else for one look. */
  async #keyOf(choice: SourceChoice): Promise<string> {
    const named = choice.kind === "export" ? splitExport(choice.text.trim()) : undefined;
    const found = named && (await stat(resolve(this.#folder, named.file)).catch(() => undefined));
    return found ? `${choice.text.trim()} ${found.mtimeMs}` : String(Math.random());
  }
}

function checked(read: Pasted): Pasted & { ok: true } {
  if (read.ok) return read;
  const { sort, line, reason } = read;
  throw new Error(
    sort === "value"
      ? vscode.l10n.t("Line {0} is not JSON: {1}", line, reason)
      : vscode.l10n.t("Line {0} is not JSON, although others are: {1}", line, reason),
  );
}
