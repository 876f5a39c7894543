import * as vscode from "vscode";
import type { EnvSpec, MapOptions } from "../../runtime/index.ts";
import { newRunId } from "../../runtime/spec/names.ts";
import { envsFor } from "../envs/projectFiles.ts";
import { tell } from "../failure.ts";
import type { Farcall } from "../farcall.ts";
import { besideColumn } from "../panels/placing.ts";
import { openRunPanel } from "../panels/runPanel.ts";
import { giveUp, holdFeed } from "./feed.ts";
import { withCancellation } from "./notify.ts";
import { saveFiles } from "./saveFiles.ts";
import { openSource } from "./sources.ts";

/** Begins calls and maps, and shows them. */

interface What {
  cluster: string;
  /** Absolute path of the source file. */
  file: string;
  export: string;
  /** Name of an env of the nearest farcall.json, `default`, or an env itself. */
  env: string | EnvSpec;
}
export interface CallLaunch extends What {
  args: readonly unknown[];
  timeoutMs?: number | undefined;
}
export interface MapLaunch extends What {
  /** As `openSource` takes it. It stands in the record of the run, so paths in it are absolute. */
  input: string;
  /** Folder that a relative input of an old record is meant from. */
  folder: string;
  options: MapOptions;
  /** Names of other clusters that work on it as well. */
  guests?: readonly string[];
}

/** Resolves when the call has begun, with the id of its run. Rejects when it could not begin. */
export function launchCall(farcall: Farcall, call: CallLaunch): Promise<string> {
  const run = newRunId();
  const failed = vscode.l10n.t("Cannot run {0}.", call.export);
  return begun(farcall, call, { run, failed }, async (signal, report, onBegun) => {
    const module = await openModule(farcall, call, signal, report);
    await module.find(call.export);
    signal.throwIfAborted();
    const { timeoutMs } = call;
    const answer = module.call(call.export, call.args, {
      signal,
      run,
      detached: true,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    onBegun();
    const isInPanel = show(farcall, call, run);
    await answer.catch((error: unknown) => {
      farcall.log.debug(`${title(call)}: ${String(error)}`);
      // What it threw is in its panel, if it has one.
      if (isInPanel || farcall.stopped.aborted) return;
      const open = { title: vscode.l10n.t("Open Run"), run: () => openActive(farcall, call, run) };
      void tell(farcall, vscode.l10n.t("{0} failed.", call.export), error, { ...aboutOf(call), action: open });
    });
  });
}

/** As `launchCall`. The inputs are sent behind its back. */
export function launchMap(farcall: Farcall, map: MapLaunch): Promise<string> {
  const run = newRunId();
  const unfinished = { run, cluster: map.cluster, ...(map.guests?.length ? { guests: map.guests } : {}) };
  const failed = vscode.l10n.t("Cannot map {0}.", map.export);
  const { guests = [] } = map;
  return begun(farcall, map, { run, failed }, async (signal, report, onBegun) => {
    using source = await openSource(map.input, { cwd: map.folder, home: farcall.home, signal });
    const module = await openModule(farcall, map, signal, report);
    await module.find(map.export);
    const on = await Promise.all(guests.map((name) => farcall.reach(name, signal)));
    await farcall.memory.unfinished.add(unfinished);
    using _held = holdFeed(run);
    if (signal.aborted) await farcall.memory.unfinished.remove(run);
    signal.throwIfAborted();
    const onWarning = (line: string) => {
      farcall.log.warn(`${title(map)}: ${line}`);
      if (!farcall.stopped.aborted) void vscode.window.showWarningMessage(`${map.export}: ${line}`);
    };
    const running = module.map(map.export, source.values, { ...map.options, run, input: map.input, on, onWarning });
    const forget = async () => {
      if (!farcall.stopped.aborted) await farcall.memory.unfinished.remove(run);
    };
    const forgetIfEnded = async () => {
      if (await isKnownToHaveEnded(farcall, map.cluster, run)) await forget();
    };
    const cancel = () => {
      // With the window goes the connection, but not the run.
      if (!farcall.stopped.aborted) running.cancel().catch(() => undefined);
    };
    signal.addEventListener("abort", cancel, { once: true });
    onBegun();
    show(farcall, map, run);
    try {
      await running.accepted;
      // Other clusters work while a window brings it to them: the next one goes on with that.
      if (guests.length > 0) void running.finished().then(forget, forgetIfEnded);
      else await forget();
    } catch (error) {
      if (farcall.stopped.aborted) return;
      if (!(await isKnownToHaveEnded(farcall, map.cluster, run))) return void giveUp(farcall, unfinished, error);
      await farcall.memory.unfinished.remove(run);
      throw error;
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  });
}

/** With the run's id once `act` says that it has begun. What goes wrong afterwards is told. */
function begun(
  farcall: Farcall,
  what: What,
  { run, failed }: { run: string; failed: string },
  act: (signal: AbortSignal, report: (line: string) => void, onBegun: () => void) => Promise<void>,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let hasBegun = false;
    const onBegun = () => {
      hasBegun = true;
      resolve(run);
    };
    withCancellation(farcall, title(what), (signal, report) => act(signal, report, onBegun)).catch((error: unknown) => {
      if (hasBegun) void tell(farcall, failed, error, aboutOf(what));
      else reject(error);
    });
  });
}

/** False also when nobody can be asked. */
async function isKnownToHaveEnded(farcall: Farcall, cluster: string, run: string): Promise<boolean> {
  try {
    const { record } = await (await farcall.cluster(cluster)).runs.open(run);
    return record.endedAtMs !== null;
  } catch {
    return false;
  }
}

async function openModule(farcall: Farcall, what: What, signal: AbortSignal, report: (line: string) => void) {
  await saveFiles();
  const cluster = await farcall.reach(what.cluster, signal);
  const env = typeof what.env === "string" ? await namedEnv(what.file, what.env) : what.env;
  const module = await cluster.openModule(what.file, { env, signal, onProgress: report });
  farcall.problems.clear(functionLabel(what));
  return module;
}

/** For what is offered beside an error. */
export function aboutOf({ cluster, file }: { cluster: string; file: string }): { cluster: string; file: string } {
  return { cluster, file };
}

function functionLabel({ file, export: name }: { file: string; export: string }): string {
  return `${file}#${name}`;
}

async function namedEnv(file: string, name: string): Promise<EnvSpec> {
  const envs = await envsFor(file);
  const env = Object.hasOwn(envs, name) ? envs[name] : undefined;
  if (env) return { ...env, name };
  throw new Error(vscode.l10n.t("There is no env {0} in farcall.json any more.", name));
}

/** Whether it is in a panel now; otherwise it was told of, with a way to its panel. */
function show(farcall: Farcall, what: What, run: string): boolean {
  farcall.live.refresh(what.cluster);
  const where = vscode.workspace.getConfiguration("farcall").get<string>("afterLaunch", "panelBeside");
  if (where !== "notification") {
    const column = where === "panel" ? vscode.ViewColumn.Active : besideColumn();
    openRunPanel(farcall, what.cluster, run, column, functionLabel(what));
    return true;
  }
  const open = vscode.l10n.t("Open Run");
  void vscode.window.showInformationMessage(vscode.l10n.t("The run has begun."), open).then((picked) => {
    if (picked === open) openActive(farcall, what, run);
  });
  return false;
}

function openActive(farcall: Farcall, { cluster }: What, run: string): void {
  openRunPanel(farcall, cluster, run, vscode.ViewColumn.Active);
}

function title({ export: name }: What): string {
  return vscode.l10n.t("Running {0}", name);
}
