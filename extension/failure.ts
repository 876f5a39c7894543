import * as vscode from "vscode";
import type { Farcall } from "./farcall.ts";

/** Tells of an error: its cause, what to do, one action at most and a way to the log. */

interface Told {
  message: string;
  code?: unknown;
  hint?: unknown;
}

export async function tell(
  farcall: Farcall,
  tried: string,
  error: unknown,
  action?: { title: string; run: () => unknown },
): Promise<void> {
  if (isCancellation(error)) {
    farcall.log.info(`${tried} — cancelled`);
    return;
  }
  const told: Told = error instanceof Error ? error : { message: String(error) };
  const { message } = told;
  farcall.log.error(tried, error instanceof Error ? (error.stack ?? message) : message);
  for (let cause = (error as { cause?: unknown }).cause; cause instanceof Error; cause = cause.cause)
    farcall.log.error(`caused by ${cause.stack ?? cause.message}`);
  const hint = typeof told.hint === "string" ? ` ${told.hint}` : "";
  const showLog = vscode.l10n.t("Show Log");
  const text = `${tried} ${firstLines(message)}${hint}`;
  const picked = await vscode.window.showErrorMessage(text, ...(action ? [action.title] : []), showLog);
  if (picked === showLog) farcall.log.show(true);
  else if (picked !== undefined && action) await action.run();
}

export function isCancellation(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === "AbortError" || (error as { code?: unknown }).code === "run.cancelled";
}

/** A notification is no place for a page of a compiler's output. */
function firstLines(message: string): string {
  const lines = message.split("\n").slice(0, 4).join("\n");
  return lines.length > 500 ? `${lines.slice(0, 500)}…` : lines;
}

/** Wraps a command so that whatever it throws is told. */
export function guarded<A extends unknown[]>(
  farcall: Farcall,
  tried: string,
  act: (...args: A) => unknown,
): (...args: A) => Promise<void> {
  return async (...args) => {
    try {
      await act(...args);
    } catch (error) {
      void tell(farcall, tried, error);
    }
  };
}
