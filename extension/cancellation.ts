import type { CancellationToken } from "vscode";

/** A signal that aborts when the person cancels. */
export function signalOf(token: CancellationToken): AbortSignal {
  const stop = new AbortController();
  token.onCancellationRequested(() => stop.abort());
  return stop.signal;
}
