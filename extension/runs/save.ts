import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import * as vscode from "vscode";
import type { MapOutcome, Run } from "../../runtime/index.ts";
import { errorJson, outcomeLine, toJson } from "../../runtime/client/json.ts";
import type { ResultView } from "../../webview/messages.ts";
import { defaultView } from "../../webview/messages.ts";
import type { Farcall } from "../farcall.ts";
import { columnsOf } from "../panels/columns.ts";
import { Results } from "../panels/results.ts";
import { functionName } from "./tree.ts";

/** Results of a run as a file or an editor. */

type Format = "jsonl" | "csv" | "editor";

const maxEditorChars = 20 * 1024 * 1024;
const pickAtATime = 200;

export async function saveResults(farcall: Farcall, cluster: string, id: string): Promise<void> {
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
    await progress(async (signal) => {
      let text = "";
      for await (const outcome of outcomes(run, results, view, signal)) {
        text += `${text === "" ? "[\n  " : ",\n  "}${outcomeLine(outcome).text}`;
        if (text.length > maxEditorChars)
          throw new Error(vscode.l10n.t("The results are too large for an editor; export them to a file."));
      }
      const content = text === "" ? "[]\n" : `${text}\n]\n`;
      await vscode.window.showTextDocument(await vscode.workspace.openTextDocument({ content, language: "json" }));
    });
    return;
  }
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri ?? vscode.Uri.file(process.cwd());
  const name = `${functionName(run.record.label).replace(/[^\w.-]+/g, "-")}-${run.id}.${format}`;
  const target = await vscode.window.showSaveDialog({
    defaultUri: vscode.Uri.joinPath(folder, name),
    saveLabel: vscode.l10n.t("Export"),
  });
  if (!target) return;
  await progress(async (signal) => {
    const lines = format === "jsonl" ? jsonLines : csvLines;
    await pipeline(lines(outcomes(run, results, view, signal)), createWriteStream(target.fsPath), { signal });
  });
  const open = vscode.l10n.t("Open");
  void vscode.window
    .showInformationMessage(vscode.l10n.t("The results are in {0}.", target.fsPath), open)
    .then((picked) => {
      if (picked === open) void vscode.commands.executeCommand("vscode.open", target);
    });
}

async function progress(act: (signal: AbortSignal) => Promise<void>): Promise<void> {
  await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: vscode.l10n.t("Exporting results"), cancellable: true },
    async (_progress, token) => {
      const stop = new AbortController();
      token.onCancellationRequested(() => stop.abort());
      try {
        await act(stop.signal);
      } catch (error) {
        if (!stop.signal.aborted) throw error;
      }
    },
  );
}

async function* outcomes(
  run: Run,
  results: Results,
  view: ResultView,
  signal: AbortSignal,
): AsyncGenerator<MapOutcome<unknown>, void, undefined> {
  const order = await results.order(view, signal);
  if (!order) {
    yield* run.outcomes({ order: "index", follow: false, signal });
    return;
  }
  for (let at = 0; at < order.length; at += pickAtATime) {
    const indices = [...order.subarray(at, at + pickAtATime)];
    const picked = new Map(
      (await run.pick(indices, { maxBytes: Number.MAX_SAFE_INTEGER, signal })).map((each) => [each.index, each]),
    );
    for (const index of indices) {
      const found = picked.get(index);
      // What no longer fitted into one answer is asked for alone.
      const whole =
        found && "withheld" in found
          ? (await run.pick([index], { maxBytes: Number.MAX_SAFE_INTEGER, signal }))[0]
          : found;
      if (whole && !("withheld" in whole)) yield whole;
    }
  }
}

async function* jsonLines(given: AsyncIterable<MapOutcome<unknown>>): AsyncGenerator<string, void, undefined> {
  for await (const outcome of given) yield `${outcomeLine(outcome).text}\n`;
}

/** RFC 4180. Columns come from the first results, as in the table. */
async function* csvLines(given: AsyncIterable<MapOutcome<unknown>>): AsyncGenerator<string, void, undefined> {
  const sample: MapOutcome<unknown>[] = [];
  let columns: string[] | undefined;
  const line = (outcome: MapOutcome<unknown>): string => {
    const cells = columns!.length === 0 ? ["value"] : columns!;
    const values: string[] = cells.map((key) => {
      if ("error" in outcome) return "";
      if (columns!.length === 0) return cell(outcome.value);
      return cell((outcome.value as Record<string, unknown> | null)?.[key]);
    });
    const error = "error" in outcome ? errorText(outcome.error) : "";
    return [String(outcome.index), ...values, error].map(quoted).join(",") + "\r\n";
  };
  const head = (): string => {
    columns = columnsOf(sample.flatMap((outcome) => ("error" in outcome ? [] : [outcome.value])));
    return ["index", ...(columns.length === 0 ? ["value"] : columns), "error"].map(quoted).join(",") + "\r\n";
  };
  for await (const outcome of given) {
    if (columns) yield line(outcome);
    else if (sample.push(outcome) >= 50) {
      yield head() + sample.map(line).join("");
    }
  }
  if (!columns) yield head() + sample.map(line).join("");
}

function errorText(error: Error): string {
  const { name, message } = errorJson(error);
  return `${String(name)}: ${String(message)}`;
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  try {
    return toJson(value);
  } catch {
    return "";
  }
}

function quoted(text: string): string {
  // A spreadsheet takes these at the start for a formula, and what it says came from afar.
  const safe = /^[=+\-@\t\r]/.test(text) && !/^-?\d/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
