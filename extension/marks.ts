import { existsSync, statSync } from "node:fs";
import * as vscode from "vscode";
import type { Run, RunRecord } from "../runtime/index.ts";
import type { Farcall } from "./farcall.ts";
import { hasEnded } from "../runtime/protocol/runState.ts";
import { runLabel } from "./runs/states.ts";

/**
 * Marks the line that a run failed at when it ends while this window is open, whether or not its panel is. Older runs
 * are not marked: their lines may long have moved.
 */
const maxRemembered = 1_000;
/** Failures that are read to find the commonest. */
const maxFailures = 1_000;

export function registerMarks(farcall: Farcall): vscode.Disposable {
  const openedAtMs = Date.now();
  const seen = new Set<string>();
  return farcall.live.onDidChange(() => {
    for (const { name, status, runs } of farcall.live.states) {
      if (!status) continue;
      for (const run of runs) {
        if (run.endedAtMs === null || run.endedAtMs < openedAtMs || !hasEnded(run.state) || seen.has(run.id)) continue;
        seen.add(run.id);
        if (seen.size > maxRemembered) seen.delete(seen.values().next().value!);
        if (run.failed > 0 || run.state === "failed") mark(farcall, name, run);
      }
    }
  });
}

function mark(farcall: Farcall, cluster: string, record: RunRecord): void {
  // Of code that is not here, and where nobody wants marks, no failure need be read.
  const { file: source } = record.source;
  if (!existsSync(source) || !farcall.problems.isWanted(vscode.Uri.file(source))) return;
  const act = async () => {
    const [{ Failures }, { RunFiles }] = await Promise.all([
      import("./panels/failures.ts"),
      import("./panels/failureFiles.ts"),
    ]);
    const failures = new Failures(new RunFiles(() => record));
    const run = await (await farcall.cluster(cluster)).runs.open(record.id, { start: false });
    for await (const [error, index] of errorsOf(run)) failures.add(error, index);
    const { firstPlace } = failures;
    if (!firstPlace || isChanged(firstPlace.at.file, record.createdAtMs)) return;
    const { file, line, column } = firstPlace.at;
    const uri = vscode.Uri.file(file);
    farcall.problems.report(runLabel(record), uri, line - 1, column - 1, firstPlace.message, record.id);
  };
  act().catch((error: unknown) => farcall.log.debug(`Marking ${record.id}: ${String(error)}`));
}

async function* errorsOf(run: Run): AsyncGenerator<[error: Error, index: number | undefined], void, undefined> {
  if (run.record.kind === "call") {
    const error = await run.result().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (error instanceof Error) yield [error, undefined];
    return;
  }
  let read = 0;
  for await (const batch of run.batches({ order: "settled", errorsOnly: true, follow: false })) {
    for (const outcome of batch) if ("error" in outcome) yield [outcome.error, outcome.index];
    if ((read += batch.length) >= maxFailures) return;
  }
}

/** Whether a line of the file may be another one than what ran. */
function isChanged(file: string, sinceMs: number): boolean {
  if (vscode.workspace.textDocuments.some(({ uri, isDirty }) => isDirty && uri.fsPath === file)) return true;
  const changedAtMs = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  return changedAtMs === undefined || changedAtMs > sinceMs;
}
