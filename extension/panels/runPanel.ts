import * as vscode from "vscode";
import { doneByCluster } from "../../runtime/client/guests/doneByCluster.ts";
import type { Run } from "../../runtime/index.ts";
import { childrenOf, rootOf } from "./valueTree.ts";
import type { ResultView, RunHeader } from "../../webview/messages/run.ts";
import type { ToExtension } from "../../webview/messages/toExtension.ts";
import { withoutReordering } from "../../webview/reordering.ts";
import { isCancellation, tell } from "../failure.ts";
import type { Farcall } from "../farcall.ts";
import { wholeOutcome } from "../runs/outcomes.ts";
import { hasEnded } from "../../runtime/protocol/runState.ts";
import { exportOf, runLabel, shownState } from "../runs/states.ts";
import { functionName } from "../runs/tree.ts";
import { LogFeed } from "./logFeed.ts";
import { Page } from "./page.ts";
import { codeColumn } from "./placing.ts";
import { Results } from "./results.ts";
import { RunFollower } from "./runFollower.ts";
import { messageOf } from "../../runtime/spec/errors.ts";
import { showPlace } from "../showPlace.ts";

/** The panel of a run: one for each run, found again when it is asked for twice. */

interface Restored {
  run: string;
  cluster: string;
}

const panels = new Map<string, RunPanel>();
/** Of values that a tree shows, kept while it is open. */
const keptValues = 4;
const postEveryMs = 200;

/** With `replaces`, a function as `file#export`, an ended run of it makes room: runs in a row need one panel. */
export function openRunPanel(
  farcall: Farcall,
  cluster: string,
  run: string,
  column: vscode.ViewColumn,
  replaces?: string,
): void {
  const existing = panels.get(`${cluster}/${run}`);
  if (existing) {
    existing.reveal();
    return;
  }
  const replaced =
    replaces === undefined ? undefined : [...panels.values()].find((panel) => panel.hasEndedRunOf(replaces));
  const title = functionName(
    farcall.live.state(cluster).runs.find(({ id }) => id === run)?.label ?? vscode.l10n.t("Run"),
  );
  const panel = vscode.window.createWebviewPanel(
    "farcall.run",
    title,
    { viewColumn: column, preserveFocus: column !== vscode.ViewColumn.Active },
    {},
  );
  panels.set(`${cluster}/${run}`, new RunPanel(farcall, panel, cluster, run));
  // After the new one is there: a group of editors that is left empty closes.
  replaced?.close();
}

/** `state` is what the page kept; it is the page's word, so it is checked. */
export function restoreRunPanel(farcall: Farcall, panel: vscode.WebviewPanel, state: unknown): void {
  const { run, cluster } = (state ?? {}) as Partial<Restored>;
  if (
    typeof run !== "string" ||
    !/^[a-z0-9-]{1,40}$/.test(run) ||
    !farcall.knows(cluster ?? "") ||
    panels.has(`${cluster}/${run}`)
  ) {
    panel.dispose();
    return;
  }
  panels.set(`${cluster}/${run}`, new RunPanel(farcall, panel, cluster!, run));
}

class RunPanel {
  readonly #farcall: Farcall;
  readonly #panel: vscode.WebviewPanel;
  readonly #cluster: string;
  readonly #id: string;
  readonly #page: Page;
  readonly #follower: RunFollower;
  readonly #logFeed: LogFeed;
  readonly #results: Results;
  readonly #stop = new AbortController();
  readonly #values = new Map<string, unknown>();
  #posting: NodeJS.Timeout | undefined;

  constructor(farcall: Farcall, panel: vscode.WebviewPanel, cluster: string, run: string) {
    this.#farcall = farcall;
    this.#panel = panel;
    this.#cluster = cluster;
    this.#id = run;
    this.#page = new Page(farcall, panel, "run", {
      onReady: () => this.#sendAll(),
      onMessage: (message) => this.#handle(message),
    });
    this.#follower = new RunFollower(farcall, cluster, run, {
      onRecord: () => this.#postSoon(),
      onProblem: () => this.#postConnection(),
      onTimeline: (timeline) => this.#page.post({ type: "timeline", timeline }),
      onLogs: (reset) => (reset ? this.#logFeed.restart() : this.#logFeed.changed()),
      onFailures: () => this.#postFailures(),
      onResult: () => this.#postResult(),
    });
    this.#logFeed = new LogFeed(this.#follower.logs, this.#page);
    this.#results = new Results(
      () => this.#run(),
      (fraction) => {
        if (!this.#stop.signal.aborted) this.#page.post({ type: "scan", fraction });
      },
    );
    panel.onDidDispose(() => this.#dispose());
    farcall.stopped.addEventListener("abort", () => this.#end(), { once: true, signal: this.#stop.signal });
    this.#follower.start();
  }

  reveal(): void {
    this.#panel.reveal(undefined, true);
  }

  hasEndedRunOf(label: string): boolean {
    const { record } = this.#follower;
    return record !== undefined && hasEnded(record.state) && runLabel(record) === label;
  }

  close(): void {
    this.#panel.dispose();
  }

  #dispose(): void {
    panels.delete(`${this.#cluster}/${this.#id}`);
    this.#end();
  }

  #end(): void {
    clearTimeout(this.#posting);
    this.#stop.abort();
    this.#follower.dispose();
    this.#logFeed.dispose();
    this.#results.dispose();
    this.#page.dispose();
  }

  async #run(): Promise<Run> {
    return this.#follower.run ?? (await this.#farcall.openRun(this.#cluster, this.#id));
  }

  #sendAll(): void {
    this.#postConnection();
    this.#postRun();
    this.#postFailures();
    this.#postResult();
    const { timeline } = this.#follower;
    if (timeline) this.#page.post({ type: "timeline", timeline });
    this.#logFeed.restart();
  }

  /** Not for every change: nobody reads faster. */
  #postSoon(): void {
    this.#posting ??= setTimeout(() => {
      this.#posting = undefined;
      this.#postRun();
    }, postEveryMs);
  }

  #postConnection(): void {
    const problem = this.#follower.problem ?? null;
    this.#page.post({ type: "connection", run: this.#id, cluster: this.#cluster, problem });
  }

  #postRun(): void {
    const { record, problem, ratePerSecond } = this.#follower;
    if (!record) return;
    this.#panel.title = withoutReordering(functionName(record.label));
    const {
      id,
      kind,
      label,
      env,
      createdAtMs,
      endedAtMs,
      total,
      accepted,
      done,
      failed,
      active,
      replicas,
      costUsd,
      error,
      home = null,
      guests = [],
    } = record;
    const run: RunHeader = {
      id,
      kind,
      label,
      cluster: this.#cluster,
      home,
      guests: [...doneByCluster(guests)].map(([name, part]) => ({ cluster: name, done: part })),
      env,
      state: shownState(record, problem?.action !== "start"),
      createdAtMs,
      endedAtMs,
      total,
      accepted,
      done,
      failed,
      active,
      replicas,
      costUsd,
      ratePerSecond,
      error: error && { message: error.message, hint: error.hint ?? null },
    };
    this.#page.post({
      type: "run",
      run,
      canRepeat: vscode.workspace.isTrusted && this.#farcall.clusterNames.includes(this.#cluster),
    });
  }

  #postFailures(): void {
    const { failures, moreFailures } = this.#follower;
    this.#page.post({ type: "failures", groups: failures.groups, more: moreFailures, others: failures.others });
  }

  #postResult(): void {
    const { result } = this.#follower;
    this.#page.post({ type: "result", root: result ? rootOf(result.value) : null });
  }

  #handle(message: ToExtension): void {
    const act = async (): Promise<unknown> => {
      switch (message.type) {
        case "getRows":
          return this.#sendRows(message.request, message.view, message.first, message.count);
        case "getTree":
          return this.#sendTree(message);
        case "openValue":
          return (await import("./openValue.ts")).openValue(
            await this.#value(message.of),
            `${this.#id}-${message.of ?? "result"}`,
          );
        case "openFrame":
          return this.#openFrame(message.failure, message.frame);
        case "export":
          return (await import("../runs/save.ts")).exportResults(
            await this.#run(),
            message.format,
            this.#results,
            message.view,
          );
        case "openFullLog":
          return (await import("./openLog.ts")).openFullLog(this.#farcall, await this.#run());
        case "connect":
          return this.#follower.connect(message.start);
        case "control":
          return this.#control(message.to);
        case "repeat":
          return vscode.commands.executeCommand("farcall.runs.repeat", { cluster: this.#cluster, run: this.#id });
        case "copyAs":
          return vscode.commands.executeCommand(
            message.what === "script" ? "farcall.runs.copyScript" : "farcall.runs.copyCommand",
            { cluster: this.#cluster, run: this.#id },
          );
        case "openSource":
          return this.#openSource();
        default:
          return undefined;
      }
    };
    act().catch((error: unknown) => {
      if (!this.#stop.signal.aborted) {
        const about = { cluster: this.#cluster, run: this.#id, retry: () => this.#handle(message) };
        void tell(this.#farcall, vscode.l10n.t("That did not work."), error, about);
      }
    });
  }

  async #sendRows(request: number, view: ResultView, first: number, count: number): Promise<void> {
    try {
      const page = await this.#results.page(view, first, count, this.#stop.signal);
      this.#page.post({ type: "rows", request, first, ...page });
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      // The page has not asked for what was given up for another view any more, and takes no notice.
      if (!isCancellation(error)) this.#farcall.log.warn(`Rows of ${this.#id}: ${String(error)}`);
      this.#page.post({ type: "rowsFailed", request, problem: messageOf(error) });
      // The page asks again when the run is heard of again.
      this.#follower.failed(error);
    }
  }

  async #sendTree({ request, of, path, first, count }: Extract<ToExtension, { type: "getTree" }>): Promise<void> {
    try {
      const value = await this.#value(of);
      const nodes =
        path.length === 0 && first === 0 && count === 0 ? [rootOf(value)] : childrenOf(value, path, first, count);
      this.#page.post({ type: "tree", request, nodes, problem: null });
    } catch (error) {
      this.#follower.failed(error);
      const problem = messageOf(error);
      this.#page.post({ type: "tree", request, nodes: [], problem });
    }
  }

  /** A whole value: what a call returned, or the outcome of an input. */
  async #value(of: number | null): Promise<unknown> {
    if (of === null) return this.#follower.result?.value;
    const key = String(of);
    if (this.#values.has(key)) return this.#values.get(key);
    const outcome = await wholeOutcome(await this.#run(), of, this.#stop.signal);
    if (!outcome) throw new Error(vscode.l10n.t("This input has no outcome yet."));
    const value = "error" in outcome ? outcome.error : outcome.value;
    this.#values.set(key, value);
    for (const oldest of this.#values.keys()) {
      if (this.#values.size <= keptValues) break;
      this.#values.delete(oldest);
    }
    return value;
  }

  async #openFrame(failure: string, frame: number): Promise<void> {
    const place = this.#follower.failures.placeOf(failure, frame);
    if (place) await showPlace(place, codeColumn(this.#panel.viewColumn));
  }

  async #openSource(): Promise<void> {
    const { record } = this.#follower;
    if (!record) return;
    const { functionsOf } = await import("../lenses/functions.ts");
    const document = await vscode.workspace.openTextDocument(vscode.Uri.file(record.source.file));
    const name = exportOf(record.label);
    const fn = (await functionsOf(document)).find(({ exportPath }) => exportPath === name);
    const at = new vscode.Position(fn?.at.line ?? 0, 0);
    await vscode.window.showTextDocument(document, {
      selection: new vscode.Range(at, at),
      viewColumn: codeColumn(this.#panel.viewColumn),
    });
  }

  async #control(to: "cancel" | "pause" | "resume"): Promise<void> {
    // Whoever asks for this wants the cluster to be there.
    const run = await (await this.#farcall.reach(this.#cluster)).runs.open(this.#id);
    if (to === "cancel") {
      await run.cancel();
      await this.#farcall.memory.unfinished.remove(this.#id);
    } else if (to === "pause") await run.pause();
    else {
      const { resumeRun } = await import("../launch/feed.ts");
      await resumeRun(this.#farcall, { run: this.#id, cluster: this.#cluster });
    }
    this.#farcall.live.refresh(this.#cluster);
    this.#follower.restart();
  }
}
