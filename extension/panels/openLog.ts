import { createWriteStream } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import * as vscode from "vscode";
import type { Run } from "../../runtime/index.ts";
import { plainText } from "../../runtime/spec/text.ts";
import type { Farcall } from "../farcall.ts";
import { pruneFolder } from "../prune.ts";
import { signalOf } from "../cancellation.ts";

/** All that a run printed, as a file in an editor. */
const maxEditorBytes = 50 * 1024 * 1024;

const keptDays = 7;

export async function openFullLog(farcall: Farcall, run: Run): Promise<void> {
  const folder = join(farcall.context.globalStorageUri.fsPath, "logs");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await pruneFolder(folder, keptDays);
  const file = join(folder, `${run.id}.log`);
  await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: vscode.l10n.t("Reading the log"), cancellable: true },
    async (_progress, token) => {
      const signal = signalOf(token);
      await pipeline(text(run, signal), createWriteStream(file, { mode: 0o600 }), { signal });
    },
  );
  const { size } = await stat(file);
  if (size <= maxEditorBytes) await vscode.window.showTextDocument(vscode.Uri.file(file), { preview: true });
  else
    void vscode.window.showInformationMessage(vscode.l10n.t("The log is too large for an editor; it is in {0}.", file));
}

async function* text(run: Run, signal: AbortSignal): AsyncGenerator<string, void, undefined> {
  for await (const lines of run.logs({ follow: false, signal })) {
    yield lines
      .map(({ timeMs, replica, stream, index, text: line }) => {
        const where = index === undefined ? `${replica}` : `${replica} #${index}`;
        return `${new Date(timeMs).toISOString()} [${where}] ${stream === "stdout" ? "" : `${stream}: `}${plainText(line)}\n`;
      })
      .join("");
  }
}
