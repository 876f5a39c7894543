import { dirname } from "node:path";
import * as vscode from "vscode";
import type { EnvSpec, MapOptions } from "../../runtime/index.ts";
import { newRunId } from "../../runtime/spec/names.ts";
import { envsFor } from "../envs/projectFiles.ts";
import { isCancellation, tell } from "../failure.ts";
import type { Farcall } from "../farcall.ts";
import type { Unfinished } from "../memory.ts";
import { besideColumn } from "../panels/placing.ts";
import { openRunPanel } from "../panels/runPanel.ts";
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
  /** As `openSource` takes it. */
  input: string;
  /** Folder that a relative input is meant from. */
  folder: string;
  options: MapOptions;
}

/** A call that is quick needs no notification. */
const quickMs = 700;

/** Resolves when the call has begun, with the id of its run; undefined when it could not begin, which was told. */
export async function launchCall(farcall: Farcall, call: CallLaunch): Promise<string | undefined> {
  const run = newRunId();
  const began = Promise.withResolvers<string | undefined>();
  void withCancellation(farcall, title(call), async (signal, report) => {
    const { module } = await open(farcall, call, signal, report);
    await module.find(call.export);
    const { timeoutMs } = call;
    const answer = module.call(call.export, call.args, {
      signal,
      run,
      detached: true,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    began.resolve(run);
    show(farcall, call, run);
    // What it threw is in its panel, and so is its result.
    await answer.catch((error: unknown) => farcall.log.debug(`${title(call)}: ${String(error)}`));
  })
    .catch((error: unknown) => void tell(farcall, vscode.l10n.t("Cannot run {0}.", call.export), error, aboutOf(call)))
    .finally(() => began.resolve(undefined));
  return began.promise;
}

/** As `launchCall`. The inputs are sent behind its back. */
export async function launchMap(farcall: Farcall, map: MapLaunch): Promise<string | undefined> {
  const run = newRunId();
  const began = Promise.withResolvers<string | undefined>();
  void withCancellation(farcall, title(map), (signal, report) =>
    feed(farcall, map, run, signal, report, () => began.resolve(run)),
  )
    .catch((error: unknown) => void tell(farcall, vscode.l10n.t("Cannot map {0}.", map.export), error, aboutOf(map)))
    .finally(() => began.resolve(undefined));
  return began.promise;
}

/** Maps whose inputs were not all sent when the last window was closed. */
export function resumeUnfinished(farcall: Farcall): void {
  for (const { run, ...map } of farcall.memory.unfinished()) {
    const launch: MapLaunch = { ...map, options: map.options };
    farcall.log.info(`Sending the rest of the inputs of ${run}`);
    void feed(
      farcall,
      launch,
      run,
      farcall.stopped,
      () => undefined,
      () => undefined,
    ).catch((error: unknown) => {
      if (farcall.stopped.aborted) return;
      void farcall.memory.removeUnfinished(run);
      void tell(farcall, vscode.l10n.t("Cannot send the rest of the inputs of {0}.", map.export), error, {
        ...aboutOf(map),
        run,
      });
    });
  }
}

async function feed(
  farcall: Farcall,
  map: MapLaunch,
  run: string,
  signal: AbortSignal,
  report: (line: string) => void,
  onBegun: () => void,
): Promise<void> {
  using source = await openSource(map.input, { cwd: map.folder, signal });
  const { module } = await open(farcall, map, signal, report);
  await module.find(map.export);
  const unfinished: Unfinished = {
    run,
    cluster: map.cluster,
    file: map.file,
    export: map.export,
    folder: map.folder,
    env: typeof map.env === "string" ? map.env : (map.env.name ?? "default"),
    input: map.input,
    options: { ...map.options },
  };
  if (typeof map.env === "string") await farcall.memory.addUnfinished(unfinished);
  const running = module.map(map.export, source.values, { ...map.options, run, input: map.input });
  const cancel = () => {
    // With the window goes the connection, but not the run.
    if (!farcall.stopped.aborted) running.cancel().catch(() => undefined);
  };
  signal.addEventListener("abort", cancel, { once: true });
  onBegun();
  show(farcall, map, run);
  try {
    await running.accepted;
    if (!farcall.stopped.aborted) await farcall.memory.removeUnfinished(run);
  } catch (error) {
    if (farcall.stopped.aborted) return;
    await farcall.memory.removeUnfinished(run);
    throw error;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

async function open(farcall: Farcall, what: What, signal: AbortSignal, report: (line: string) => void) {
  await saveOpenFiles(what.file);
  const cluster = await farcall.cluster(what.cluster);
  const env = typeof what.env === "string" ? await namedEnv(what.file, what.env) : what.env;
  const module = await cluster.openModule(what.file, { env, signal, onProgress: report });
  farcall.problems.clear(functionLabel(what));
  return { module };
}

/** For what is offered beside an error. */
function aboutOf({ cluster, file }: What): { cluster: string; file: string } {
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

/** The bundler reads files, so what was typed must be in them. */
async function saveOpenFiles(file: string): Promise<void> {
  const folder = vscode.workspace.getWorkspaceFolder(vscode.Uri.file(file))?.uri.fsPath ?? dirname(file);
  const dirty = vscode.workspace.textDocuments.filter(
    ({ isDirty, isUntitled, uri }) => isDirty && !isUntitled && uri.scheme === "file" && uri.fsPath.startsWith(folder),
  );
  await Promise.all(dirty.map((document) => document.save()));
}

function show(farcall: Farcall, what: What, run: string): void {
  const { cluster } = what;
  farcall.live.refresh();
  const where = vscode.workspace.getConfiguration("farcall").get<string>("afterLaunch", "panelBeside");
  if (where !== "notification") {
    openRunPanel(
      farcall,
      cluster,
      run,
      where === "panel" ? vscode.ViewColumn.Active : besideColumn(),
      functionLabel(what),
    );
    return;
  }
  const open = vscode.l10n.t("Open Run");
  void vscode.window.showInformationMessage(vscode.l10n.t("The run has begun."), open).then((picked) => {
    if (picked === open) openRunPanel(farcall, cluster, run, vscode.ViewColumn.Active);
  });
}

function title({ export: name }: What): string {
  return vscode.l10n.t("Running {0}", name);
}

/** A notification with Cancel, once it has taken longer than a moment. */
async function withCancellation(
  farcall: Farcall,
  titleText: string,
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
      { location: vscode.ProgressLocation.Notification, title: titleText, cancellable: true },
      async (given, token) => {
        progress = given;
        if (last !== "") given.report({ message: last });
        token.onCancellationRequested(() => stop.abort());
        await settled;
      },
    );
  }
  try {
    await work;
  } catch (error) {
    if (stop.signal.aborted && (isCancellation(error) || error === stop.signal.reason)) return;
    throw error;
  }
}
