import * as vscode from "vscode";
import type { Run, RunKept, RunRecord, Timeline } from "../../runtime/index.ts";
import { originOf } from "../../runtime/client/remoteErrors.ts";
import { brokeOff } from "../../runtime/client/session.ts";
import type { ConnectionProblem } from "../../webview/messages/run.ts";
import type { Farcall } from "../farcall.ts";
import { isConnectionLoss } from "../../runtime/client/loss.ts";
import { hasEnded } from "../../runtime/protocol/runState.ts";
import { RunFiles } from "./failureFiles.ts";
import { Failures } from "./failures.ts";
import { LogStore } from "./logStore.ts";
import { Rate } from "./rate.ts";

/**
 * Follows a run for its panel: record, logs, failures, timeline, result. That starts no cluster, with one exception:
 * the agent of a map that was seen running and broke off, since such a map is to go on. A connection that breaks is
 * made again; the run's record says where it stands then.
 */
export interface RunListener {
  onRecord: () => void;
  onProblem: () => void;
  onTimeline: (timeline: Timeline) => void;
  /** There are more lines; with `reset` they begin anew. */
  onLogs: (reset: boolean) => void;
  onFailures: () => void;
  onResult: () => void;
}

const retryDelaysMs = [300, 700, 1_500, 3_000, 5_000];
/** A run that was begun just now is not known yet. */
const unknownForMs = 10_000;
/** A cluster that is not up costs next to nothing to look for. */
const lookEveryMs = 1_500;
const timelineEveryMs = 1_000;
const maxFailures = 10_000;
const failuresEveryMs = 250;

export class RunFollower {
  record: RunRecord | undefined;
  timeline: Timeline | undefined;
  readonly logs: LogStore;
  readonly failures = new Failures(new RunFiles(() => this.record));
  moreFailures = false;
  /** What a call returned. */
  result: { value: unknown } | undefined;
  /** Why the run cannot be heard of at the moment. */
  problem: ConnectionProblem | undefined;
  run: Run | undefined;
  readonly #farcall: Farcall;
  readonly #cluster: string;
  readonly #id: string;
  readonly #listener: RunListener;
  readonly #beganAtMs = Date.now();
  #stop = new AbortController();
  #disposed = false;
  #isFollowing = false;
  readonly #rate = new Rate();
  #failuresTimer: NodeJS.Timeout | undefined;

  constructor(farcall: Farcall, cluster: string, id: string, listener: RunListener) {
    this.#farcall = farcall;
    this.#cluster = cluster;
    this.#id = id;
    this.#listener = listener;
    this.logs = new LogStore(vscode.workspace.getConfiguration("farcall").get("logs.keptLines", 50_000));
  }

  start(): void {
    this.#begin(false);
  }

  /** Looks again at a run that ended or was changed from here. */
  restart(): void {
    if (!this.#isFollowing) this.#begin(false);
  }

  /** Tries at once, for somebody who does not want to wait. With `start` the cluster is started. */
  connect(start: boolean): void {
    this.#begin(start, true);
  }

  /** Something that was asked of the run failed; if that was for want of a connection, looks for one. */
  failed(error: unknown): void {
    if (isPassing(error)) this.restart();
  }

  /** `isAsked`: by a person, who can be asked in turn for passphrases and the like. */
  #begin(start: boolean, isAsked = false): void {
    if (this.#disposed) return;
    this.#stop.abort();
    const stop = new AbortController();
    this.#stop = stop;
    this.#isFollowing = true;
    void this.#follow(stop.signal, start, isAsked).finally(() => {
      if (this.#stop === stop) this.#isFollowing = false;
    });
  }

  dispose(): void {
    this.#disposed = true;
    clearTimeout(this.#failuresTimer);
    this.#stop.abort();
  }

  /** Inputs per second over the last seconds, or of a run that has ended on average. */
  get ratePerSecond(): number | null {
    const { record } = this;
    if (!record || record.kind !== "map") return null;
    if (record.endedAtMs !== null) {
      const tookMs = record.endedAtMs - record.createdAtMs;
      return tookMs > 0 ? (record.done / tookMs) * 1_000 : null;
    }
    return this.#rate.at(Date.now());
  }

  async #follow(signal: AbortSignal, start: boolean, isAsked: boolean): Promise<void> {
    for (let tries = 0; !signal.aborted; isAsked = false) {
      try {
        const cluster = await this.#farcall.cluster(this.#cluster);
        if (start || isAsked) {
          using _asking = isAsked ? this.#farcall.ask(this.#cluster) : undefined;
          await (start ? cluster.upIfNot({ signal }) : cluster.status());
        }
        start = false;
        this.run = await this.#farcall.openRun(this.#cluster, this.#id);
        const { kept } = this.run;
        this.#setProblem(kept && keptProblem(kept, this.#farcall.clusterNames.includes(this.#cluster)));
        this.#take(this.run.record);
        tries = 0;
        await this.#followOpen(this.run, signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        start = brokeOff(error) && this.record?.kind === "map" && this.record.state === "running";
        const { code, message } = error as { code?: unknown; message: string };
        const isNew = code === "run.unknown" && Date.now() - this.#beganAtMs < unknownForMs && !this.record;
        if (!isNew) {
          const problem = problemOf(code, message, vscode.l10n.t("Trying again."));
          if (problem.text !== this.problem?.text) this.#farcall.log.warn(`Following ${this.#id}: ${message}`);
          this.#setProblem(problem);
          if (code === "run.unknown") return;
        }
        const retryMs = retryDelaysMs[Math.min(tries++, retryDelaysMs.length - 1)]!;
        await sleep(isNew ? 100 : code === "agent.unreachable" ? lookEveryMs : retryMs, signal);
      }
    }
  }

  #setProblem(problem: ConnectionProblem | undefined): void {
    this.problem = problem;
    // What this window last knew of the run is better than nothing.
    if (problem) this.record ??= this.#farcall.live.state(this.#cluster).runs.find(({ id }) => id === this.#id);
    this.#listener.onProblem();
    this.#listener.onRecord();
  }

  /** Ends when the run has ended; rejects when the connection is lost. */
  async #followOpen(run: Run, signal: AbortSignal): Promise<void> {
    // One that fails takes the others with it: all of them are begun anew together.
    const together = new AbortController();
    const both = AbortSignal.any([signal, together.signal]);
    const parts = [
      this.#watch(run, both),
      this.#followLogs(run, both),
      ...(run.record.kind === "map" ? [this.#followFailures(run, both), this.#followTimeline(run, both)] : []),
    ];
    try {
      await Promise.all(parts);
    } catch (error) {
      together.abort();
      await Promise.allSettled(parts);
      throw error;
    }
    if (signal.aborted) return;
    if (run.record.kind === "call") await this.#takeResult(run);
  }

  async #watch(run: Run, signal: AbortSignal): Promise<void> {
    // What has ended does not change, but the stream says so only after its first word.
    for await (const record of run.watch({ signal })) this.#take(record);
    if (!run.kept) this.#farcall.live.refresh(this.#cluster);
  }

  #take(record: RunRecord): void {
    this.record = record;
    this.#rate.add(Date.now(), record.done);
    this.#listener.onRecord();
  }

  async #followLogs(run: Run, signal: AbortSignal): Promise<void> {
    const { logs } = this;
    logs.clear();
    this.#listener.onLogs(true);
    const { lines: tail, chars: tailBytes } = logs.limits;
    const onSkipped = (lines: number) => logs.skip(lines);
    for await (const lines of run.logs({ follow: true, tail, tailBytes, onSkipped, signal })) {
      logs.add(lines);
      this.#listener.onLogs(false);
    }
  }

  async #followFailures(run: Run, signal: AbortSignal): Promise<void> {
    this.failures.clear();
    this.moreFailures = false;
    for await (const batch of run.batches({ order: "settled", errorsOnly: true, follow: true, signal })) {
      for (const outcome of batch) if ("error" in outcome) this.failures.add(outcome.error, outcome.index);
      this.#failuresTimer ??= setTimeout(() => {
        this.#failuresTimer = undefined;
        this.#listener.onFailures();
      }, failuresEveryMs);
      if (this.failures.read >= maxFailures) {
        this.moreFailures = true;
        break;
      }
    }
    this.#listener.onFailures();
  }

  async #followTimeline(run: Run, signal: AbortSignal): Promise<void> {
    for (;;) {
      const isLast = this.record !== undefined && hasEnded(this.record.state);
      this.timeline = await run.timeline();
      if (signal.aborted) return;
      this.#listener.onTimeline(this.timeline);
      // The rate falls while nothing else changes.
      this.#listener.onRecord();
      if (isLast) return;
      await sleep(timelineEveryMs, signal);
      if (signal.aborted) return;
    }
  }

  async #takeResult(run: Run): Promise<void> {
    if (run.record.state === "cancelled") return;
    try {
      this.result = { value: await run.result() };
      this.#listener.onResult();
    } catch (error) {
      // A connection that was lost says nothing of what the function did.
      if (!(error instanceof Error) || isPassing(error)) throw error;
      this.failures.clear();
      this.failures.add(error, undefined);
      this.#listener.onFailures();
    }
  }
}

function problemOf(code: unknown, message: string, whatNow: string): ConnectionProblem {
  if (code === "agent.unreachable") return notRunning();
  if (code === "run.unknown")
    return { text: vscode.l10n.t("The cluster does not know this run any more."), note: null, action: "retry" };
  const text = vscode.l10n.t("The cluster cannot be reached: {0}", [message, whatNow].filter(Boolean).join(" "));
  return { text, note: null, action: "retry" };
}

function notRunning(): ConnectionProblem {
  return { text: vscode.l10n.t("The cluster is not running."), note: null, action: "start" };
}

/** Why what is shown is what was kept of the run on this computer. */
function keptProblem({ failure, cut }: RunKept, isThere: boolean): ConnectionProblem {
  const problem: ConnectionProblem = !isThere
    ? { text: vscode.l10n.t("The cluster was shut down."), note: null, action: null }
    : failure
      ? problemOf((failure as { code?: unknown }).code, failure.message, "")
      : notRunning();
  const notes = [
    vscode.l10n.t("What is shown was kept on this computer."),
    ...(cut.outcomes ? [vscode.l10n.t("There were too many results to keep all of them.")] : []),
    ...(cut.log ? [vscode.l10n.t("The log was too long to keep all of it.")] : []),
  ];
  return { ...problem, note: notes.join(" ") };
}

/** Of the connection and not of the run: what was asked may be asked again. */
function isPassing(error: unknown): boolean {
  const isOfConnection = isConnectionLoss(error) || (error as { code?: unknown }).code === "timeout";
  return isOfConnection && originOf(error) === undefined;
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
}
