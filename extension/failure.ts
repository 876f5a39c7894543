import * as vscode from "vscode";
import type { ErrorCode } from "../runtime/index.ts";
import type { Farcall } from "./farcall.ts";
import { type About, isForEditors, type Remedy, remedyOf } from "./remedy.ts";
import { messageOf } from "../runtime/spec/errors.ts";
import { showPlace } from "./showPlace.ts";

/** Tells of an error: its cause, what to do, one action at most and a way to the log. */

interface Action {
  title: string;
  run: () => unknown;
}

/** `action` is offered in place of what generally helps against such an error. */
export async function tell(
  farcall: Farcall,
  tried: string,
  error: unknown,
  about: About & { action?: Action } = {},
): Promise<void> {
  if (isCancellation(error)) {
    farcall.log.info(`${tried} — cancelled`);
    return;
  }
  const message = messageOf(error);
  farcall.log.error(tried, error instanceof Error ? (error.stack ?? message) : message);
  const causes = causesOf(error);
  for (const cause of causes) farcall.log.error(`caused by ${cause.stack ?? cause.message}`);
  const remedy = remedyOf(error, about);
  const action = about.action ?? (remedy && actionOf(remedy));
  // What went wrong at first is often what helps, unless the error says it already.
  const root = causes.at(-1)?.message;
  const why = root === undefined || message.includes(root) ? "" : vscode.l10n.t(" Cause: {0}", firstLines(root));
  const text = [tried, `${firstLines(message)}${why}`, hintOf(error, about)].filter(Boolean).join(" ");
  const showLog = vscode.l10n.t("Show Log");
  const picked = await vscode.window.showErrorMessage(text, ...(action ? [action.title] : []), showLog);
  if (picked === showLog) farcall.log.show(true);
  else if (picked !== undefined && action) await action.run();
}

export function isCancellation(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === "AbortError" || (error as { code?: unknown }).code === "run.cancelled";
}

/** Wraps a command so that whatever it throws is told. */
export function guarded<A extends unknown[]>(
  farcall: Farcall,
  tried: string,
  act: (...args: A) => unknown,
): (...args: A) => Promise<void> {
  const attempt = async (...args: A): Promise<void> => {
    try {
      await act(...args);
    } catch (error) {
      void tell(farcall, tried, error, { retry: () => attempt(...args) });
    }
  };
  return attempt;
}

function actionOf(remedy: Remedy): Action {
  const command = (title: string, name: string, ...args: unknown[]) => ({
    title,
    run: () => vscode.commands.executeCommand(name, ...args),
  });
  switch (remedy.kind) {
    case "openFile":
      return { title: vscode.l10n.t("Open File"), run: () => showPlace(remedy) };
    case "runAgain":
      return command(vscode.l10n.t("Run Again"), "farcall.runs.repeat", { cluster: remedy.cluster, run: remedy.run });
    case "start":
      return command(vscode.l10n.t("Start Cluster"), "farcall.clusters.up", clusterItem(remedy.cluster));
    case "shutDown":
      return command(vscode.l10n.t("Shut Down Cluster"), "farcall.clusters.down", clusterItem(remedy.cluster));
    case "clusterLog":
      return command(vscode.l10n.t("Show Cluster Log"), "farcall.clusters.log", clusterItem(remedy.cluster));
    case "editEnvs":
      return command(vscode.l10n.t("Edit Envs"), "farcall.envs.edit");
    case "chooseHome":
      return command(vscode.l10n.t("Open Settings"), "workbench.action.openSettings", "farcall.home");
    case "retry":
      return { title: vscode.l10n.t("Try Again"), run: remedy.act };
  }
}

function clusterItem(cluster: string): { kind: "cluster"; cluster: string } {
  return { kind: "cluster", cluster };
}

/** What to do about it, in terms of the editor. */
function hintOf(error: unknown, { cluster = "local" }: About): string | undefined {
  const { code, hint } = error as { code?: ErrorCode; hint?: unknown };
  switch (code) {
    case "agent.version":
      return cluster === "local"
        ? vscode.l10n.t("Wait until its runs are over, or shut the cluster down.")
        : vscode.l10n.t("Wait until its runs are over, then start the cluster.");
    case "home.unusable":
      return vscode.l10n.t("Set farcall.home to a folder that you own and can write to.");
    case "disk.full":
      return vscode.l10n.t("Free some space, or set farcall.home to a folder that has some.");
    default:
      return typeof hint === "string" && isForEditors(hint) ? hint : undefined;
  }
}

function causesOf(error: unknown): Error[] {
  const causes: Error[] = [];
  for (let { cause } = error as { cause?: unknown }; cause instanceof Error && causes.length < 8; { cause } = cause)
    causes.push(cause);
  return causes;
}

/** A notification is no place for a page of a compiler's output. */
function firstLines(message: string): string {
  const lines = message.split("\n").slice(0, 4).join("\n");
  return lines.length > 500 ? `${lines.slice(0, 500)}…` : lines;
}
