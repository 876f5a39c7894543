import * as vscode from "vscode";
import { isAway } from "../../runtime/client/loss.ts";
import { withSignal } from "../../runtime/spec/withSignal.ts";
import type { AgentStatus } from "../../runtime/index.ts";
import type { Farcall } from "../farcall.ts";
import { messageOf } from "../../runtime/spec/errors.ts";
import { signalOf } from "../cancellation.ts";

/** Starting, stopping and shutting down clusters. */

/** Does something with a cluster for a person who may be asked, with a notification that can cancel it. */
export async function inView<T>(
  farcall: Farcall,
  name: string,
  title: string,
  act: (signal: AbortSignal, report: (line: string) => void) => Promise<T>,
): Promise<T> {
  using _asking = farcall.ask(name);
  return await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title, cancellable: true },
    async (progress, token) => {
      const signal = signalOf(token);
      const report = (line: string) => {
        farcall.log.info(`${name}: ${line}`);
        progress.report({ message: line.slice(0, 100) });
      };
      // What was begun on machines may take a moment to hear of it; the person need not wait for that.
      return withSignal(act(signal, report), signal);
    },
  );
}

export async function start(farcall: Farcall, name: string): Promise<void> {
  const cluster = await farcall.cluster(name);
  try {
    if (name === "local") {
      await vscode.window.withProgress({ location: { viewId: "farcall.clusters" } }, () => cluster.upIfNot());
    } else {
      const title = vscode.l10n.t("Starting the cluster {0}", name);
      await inView(farcall, name, title, (signal, onProgress) => cluster.up({ signal, onProgress }));
    }
  } finally {
    farcall.live.refresh(name);
  }
}

/** Ends the agents and keeps what is on the machines. */
export async function stop(farcall: Farcall, name: string): Promise<void> {
  const force = await mayEndRuns(farcall, name, vscode.l10n.t("Cancel Runs and Stop"));
  if (force === undefined) return;
  const cluster = await farcall.cluster(name);
  await inView(farcall, name, vscode.l10n.t("Stopping the cluster {0}", name), () => cluster.stop({ force }));
  farcall.live.refresh(name);
}

export async function shutDown(farcall: Farcall, name: string): Promise<void> {
  if (name === "local") return shutDownLocal(farcall);
  const shutDownIt = vscode.l10n.t("Shut Down");
  const hosts = farcall.registered.of(name).record?.spec.hosts ?? [];
  const detail = vscode.l10n.t(
    "This removes Farcall and everything that it keeps from the machines: runs and their results, installed packages, logs. The machines themselves stay as they are: {0}",
    hosts.slice(0, 10).join(", "),
  );
  const question = vscode.l10n.t("Shut down the cluster {0}?", name);
  if ((await vscode.window.showWarningMessage(question, { modal: true, detail }, shutDownIt)) !== shutDownIt) return;
  let force = await mayEndRuns(farcall, name, vscode.l10n.t("Cancel Runs and Shut Down"));
  if (force === undefined) return;
  const cluster = await farcall.cluster(name);
  const title = vscode.l10n.t("Shutting down the cluster {0}", name);
  try {
    const down = () => inView(farcall, name, title, (signal) => cluster.down({ force: force!, signal }));
    const { left } = await down().catch(async (error: unknown) => {
      // Machines that are away would hold their cluster for ever.
      if (force || !(await wantsToForget(name, error))) throw error;
      force = true;
      return down();
    });
    if (left.length > 0) {
      const text = vscode.l10n.t(
        "Farcall could not be removed from {0}: the folder ~/.farcall-node may still be there.",
        left.join(", "),
      );
      void vscode.window.showWarningMessage(text);
    }
  } finally {
    farcall.live.refresh(name);
  }
}

async function wantsToForget(name: string, error: unknown): Promise<boolean> {
  if (!isAway(error)) return false;
  const forget = vscode.l10n.t("Forget It Anyway");
  const question = vscode.l10n.t("Not all machines of the cluster {0} can be reached.", name);
  const detail = vscode.l10n.t("{0} What Farcall has there would stay there.", messageOf(error));
  return (await vscode.window.showWarningMessage(question, { modal: true, detail }, forget)) === forget;
}

/** Whether active runs are to be cancelled; undefined when the person would rather not. */
async function mayEndRuns(farcall: Farcall, name: string, cancelThem: string): Promise<boolean | undefined> {
  // What was last heard will do: whoever ends the runs refuses where there are some that nobody was asked about.
  const { status } = farcall.live.state(name);
  if (!status || status.activeRuns === 0) return false;
  const answer = await vscode.window.showWarningMessage(
    activeText(name, status.activeRuns),
    { modal: true },
    cancelThem,
  );
  return answer === cancelThem ? true : undefined;
}

function activeText(name: string, count: number): string {
  return count === 1
    ? vscode.l10n.t("A run is active on the cluster {0}.", name)
    : vscode.l10n.t("{0} runs are active on the cluster {1}.", count, name);
}

async function shutDownLocal(farcall: Farcall): Promise<void> {
  const name = "local";
  const cluster = await farcall.cluster(name);
  let status: AgentStatus | undefined;
  let force = false;
  try {
    status = await cluster.status();
  } catch (error) {
    if ((error as { code?: unknown }).code !== "agent.version") throw error;
    const shutDownAnyway = vscode.l10n.t("Shut Down");
    const question = vscode.l10n.t("Shut down the cluster {0} of another version of Farcall?", name);
    const detail = vscode.l10n.t("Its calls end. Its maps go on when that version is started again.");
    if ((await vscode.window.showWarningMessage(question, { modal: true, detail }, shutDownAnyway)) !== shutDownAnyway)
      return;
    force = true;
  }
  if (status && status.activeRuns > 0) {
    const cancelThem = vscode.l10n.t("Cancel Runs and Shut Down");
    const question = activeText(name, status.activeRuns);
    if ((await vscode.window.showWarningMessage(question, { modal: true }, cancelThem)) !== cancelThem) return;
    force = true;
  }
  await vscode.window.withProgress({ location: { viewId: "farcall.clusters" } }, async () => {
    const { wasUp } = await cluster.down({ force });
    if (!wasUp) void vscode.window.showInformationMessage(vscode.l10n.t("The cluster {0} is not running.", name));
  });
  farcall.live.refresh(name);
}
