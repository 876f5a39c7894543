import * as vscode from "vscode";
import { isConnectionLoss } from "../../runtime/client/loss.ts";
import { hasEnded } from "../../runtime/protocol/runState.ts";
import type { Fed, FarcallError, Run, RunRecord } from "../../runtime/index.ts";
import { tell } from "../failure.ts";
import type { Farcall } from "../farcall.ts";
import { folderOf } from "./places.ts";
import { openSource } from "./sources.ts";
import type { UnfinishedRun } from "./unfinished.ts";

/** Sends the inputs of maps that were begun before, by another window or by this one before it gave up. */

/** Runs that this window sends the inputs of. Between windows the agent sees to it that only one does. */
const sending = new Set<string>();
const lookAgainMs = 1_500;

/** Marks a run as being sent from here until the result is disposed; undefined when it is already. */
export function holdFeed(run: string): Disposable | undefined {
  if (sending.has(run)) return undefined;
  sending.add(run);
  return { [Symbol.dispose]: () => void sending.delete(run) };
}

/** In the background: what a window begins anew needs no panel. */
export function resumeUnfinished(farcall: Farcall, runs: readonly UnfinishedRun[]): void {
  for (const each of runs) void resumeOne(farcall, each);
}

/** Resumes a run that was paused or interrupted; of one whose inputs were not all sent, sends the rest. */
export async function resumeRun(farcall: Farcall, what: UnfinishedRun): Promise<void> {
  const run = await openRun(farcall, what);
  await run.resume();
  const guests = what.guests ?? (await farcall.memory.unfinished.list()).find((each) => each.run === what.run)?.guests;
  if (!isUnsent(run.record) && !guests) return;
  if (!vscode.workspace.isTrusted) throw new Error(vscode.l10n.t("Nothing of this folder runs before you trust it."));
  const whole = { ...what, ...(guests ? { guests } : {}) };
  await farcall.memory.unfinished.add(whole);
  void resumeOne(farcall, whole);
}

async function resumeOne(farcall: Farcall, what: UnfinishedRun): Promise<void> {
  using held = holdFeed(what.run);
  if (!held) return;
  farcall.log.info(`Sending the rest of the inputs of ${what.run}`);
  try {
    // The window that sends them now may be closed before it has come to the end.
    while ((await sendRest(farcall, what)) === "busy") await untilInterrupted(farcall, what);
    await carryWork(farcall, what);
    await farcall.memory.unfinished.remove(what.run);
  } catch (error) {
    // Not awaited: a notification may stand for hours, and resuming from it takes hold of the run again.
    if (!farcall.stopped.aborted) void giveUp(farcall, what, error);
  }
}

async function sendRest(farcall: Farcall, what: UnfinishedRun): Promise<Fed> {
  const run = await openRun(farcall, what);
  const { input, file, export: name } = await run.request();
  if (input === undefined || input === "-") {
    throw new Error(
      vscode.l10n.t("The inputs of {0} came from a program or a terminal, and only that can send them.", name),
    );
  }
  const { stopped: signal } = farcall;
  using opened = new DisposableStack();
  return await run.feed(
    async () => {
      const options = { cwd: folderOf(file), home: farcall.home, signal };
      return opened.use(await openSource(input, options)).values;
    },
    { signal },
  );
}

/** Until a map has ended that other clusters work on as well: they do while this window is there. */
async function carryWork(farcall: Farcall, what: UnfinishedRun): Promise<void> {
  if (!what.guests) return;
  const run = await openRun(farcall, what);
  if (hasEnded(run.record.state)) return;
  await using _guests = await run.withGuests(what.guests, (line) => farcall.log.warn(`${what.run}: ${line}`));
  for await (const { state } of run.watch({ signal: farcall.stopped })) if (hasEnded(state)) return;
}

/** Tells why inputs are no longer sent. The run stays as it is: what the cluster has is worked on. */
export async function giveUp(farcall: Farcall, what: UnfinishedRun, error: unknown): Promise<void> {
  // With the cluster away, the next window tries again; with anything else it would fail the same way.
  if (!isPassing(error)) await farcall.memory.unfinished.remove(what.run);
  farcall.live.refresh(what.cluster);
  const action = {
    title: vscode.l10n.t("Resume"),
    run: () =>
      resumeRun(farcall, what).catch((again: unknown) => tell(farcall, vscode.l10n.t("Cannot resume the run."), again)),
  };
  await tell(farcall, vscode.l10n.t("Not all inputs of a map were sent, and it is interrupted."), error, {
    ...what,
    action,
  });
}

async function openRun(farcall: Farcall, { cluster, run }: UnfinishedRun): Promise<Run> {
  return (await farcall.cluster(cluster)).runs.open(run);
}

async function untilInterrupted(farcall: Farcall, what: UnfinishedRun): Promise<void> {
  try {
    for await (const record of (await openRun(farcall, what)).watch({ signal: farcall.stopped })) {
      if (record.state === "interrupted" || !isUnsent(record)) return;
    }
  } catch (error) {
    if (farcall.stopped.aborted || !isPassing(error)) throw error;
    await new Promise((resolve) => setTimeout(resolve, lookAgainMs));
  }
}

function isUnsent({ kind, total, endedAtMs }: RunRecord): boolean {
  return kind === "map" && total === null && endedAtMs === null;
}

/** Beside a connection that is lost. */
const passing = new Set<FarcallError["code"]>([
  "agent.start-failed",
  "agent.stopping",
  "agent.version",
  "disk.full",
  "timeout",
]);

function isPassing(error: unknown): boolean {
  return isConnectionLoss(error) || (error instanceof Error && passing.has((error as FarcallError).code));
}
