import * as vscode from "vscode";
import type { MapOutcome, Run } from "../../runtime/index.ts";
import { FarcallError } from "../../runtime/spec/errors.ts";
import { defaultView, type ResultView } from "../../webview/messages/run.ts";
import type { Farcall } from "../farcall.ts";
import { Results } from "../panels/results.ts";
import { csvLines } from "./csv.ts";
import { jsonArray, jsonLines, writeWhole } from "./export.ts";
import { outcomesOf } from "./outcomes.ts";
import { askForFile } from "./saveDialog.ts";
import { functionName } from "./tree.ts";
import { signalOf } from "../cancellation.ts";

/** Results of a run as a file or an editor. */

type Format = "jsonl" | "csv" | "editor";

const maxEditorChars = 20 * 1024 * 1024;
const toldEveryMs = 250;

export async function saveResults(farcall: Farcall, cluster: string, id: string): Promise<void> {
  using _asking = farcall.ask(cluster);
  const run = await (await farcall.cluster(cluster)).runs.open(id);
  if (run.record.kind === "call") {
    const { openValue } = await import("../panels/openValue.ts");
    await openValue(await run.result(), id);
    return;
  }
  const items = [
    {
      label: "JSON Lines",
      description: vscode.l10n.t("one outcome a line, failures included"),
      format: "jsonl" as const,
    },
    { label: "CSV", description: vscode.l10n.t("one row an input, for a spreadsheet"), format: "csv" as const },
    {
      label: vscode.l10n.t("New Editor"),
      description: vscode.l10n.t("as an array of JSON"),
      format: "editor" as const,
    },
  ];
  const picked = await vscode.window.showQuickPick(items, { placeHolder: vscode.l10n.t("Save the results as") });
  if (!picked) return;
  const results = new Results(
    () => Promise.resolve(run),
    () => undefined,
  );
  await exportResults(run, picked.format, results, defaultView);
}

/** What the view shows, in its order. */
export async function exportResults(run: Run, format: Format, results: Results, view: ResultView): Promise<void> {
  if (format === "editor") {
    const content = await progress(run, results, view, (read) => jsonArray(read(), maxEditorChars));
    if (content === cancelled) return;
    if (content === undefined) {
      throw new FarcallError("value.too-large", vscode.l10n.t("The results are too large for an editor."), {
        hint: vscode.l10n.t("Export them to a file."),
      });
    }
    await vscode.window.showTextDocument(await vscode.workspace.openTextDocument({ content, language: "json" }));
    return;
  }
  const target = await askForFile(`${functionName(run.record.label)}-${run.id}.${format}`, {
    saveLabel: vscode.l10n.t("Export"),
  });
  if (!target) return;
  const ended = await progress(run, results, view, (read, signal) =>
    writeWhole(target.fsPath, format === "jsonl" ? jsonLines(read()) : csvLines(read), signal),
  );
  if (ended === cancelled) {
    void vscode.window.showInformationMessage(vscode.l10n.t("The export was cancelled; nothing was written."));
    return;
  }
  const open = vscode.l10n.t("Open");
  void vscode.window
    .showInformationMessage(vscode.l10n.t("The results are in {0}.", target.fsPath), open)
    .then((picked) => {
      if (picked === open) void vscode.commands.executeCommand("vscode.open", target);
    });
}

const cancelled = Symbol("cancelled");

/** Gives `act` what reads the outcomes of the view, as often as it is called, until the person has enough. */
async function progress<T>(
  run: Run,
  results: Results,
  view: ResultView,
  act: (read: () => AsyncIterable<MapOutcome<unknown>>, signal: AbortSignal) => Promise<T>,
): Promise<T | typeof cancelled> {
  return vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: vscode.l10n.t("Exporting results"), cancellable: true },
    async (bar, token) => {
      const signal = signalOf(token);
      try {
        const order = await results.order(view, signal);
        return await act(() => told(outcomesOf(run, order, signal), bar), signal);
      } catch (error) {
        if (signal.aborted) return cancelled;
        throw error;
      }
    },
  );
}

/** Says now and then how many there were. */
async function* told<T>(
  given: AsyncIterable<T>,
  bar: vscode.Progress<{ message?: string }>,
): AsyncGenerator<T, void, undefined> {
  let count = 0;
  let toldAtMs = Date.now();
  for await (const each of given) {
    count++;
    if (Date.now() - toldAtMs > toldEveryMs) {
      toldAtMs = Date.now();
      bar.report({ message: count.toLocaleString(vscode.env.language) });
    }
    yield each;
  }
}
