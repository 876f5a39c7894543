import * as vscode from "vscode";
import type { Farcall } from "../farcall.ts";

/** What is quick needs no notification. */
const quickMs = 700;

/** A notification with Cancel, once it has taken longer than a moment. */
export async function withCancellation(
  farcall: Farcall,
  title: string,
  act: (signal: AbortSignal, report: (line: string) => void) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  let progress: vscode.Progress<{ message?: string }> | undefined;
  let last = "";
  const report = (line: string) => {
    farcall.log.info(line);
    last = line.slice(0, 100);
    progress?.report({ message: last });
  };
  // Closing the window must not cancel what was begun: only the person does.
  const work = act(stop.signal, report);
  const settled = work.then(
    () => undefined,
    () => undefined,
  );
  const isQuick = await Promise.race([
    settled.then(() => true),
    new Promise<boolean>((resolve) => setTimeout(() => resolve(false), quickMs)),
  ]);
  if (!isQuick) {
    void vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, title, cancellable: true },
      async (given, token) => {
        progress = given;
        if (last !== "") given.report({ message: last });
        token.onCancellationRequested(() => stop.abort());
        await settled;
      },
    );
  }
  await work;
}
