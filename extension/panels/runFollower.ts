import * as vscode from "vscode";
import type { Run, RunRecord, Timeline } from "../../runtime/index.ts";
import type { PanelLogLine } from "../../webview/messages.ts";
import type { Farcall } from "../farcall.ts";
import { hasEnded, runLabel } from "../runs/states.ts";
import { Failures } from "./failures.ts";
import { LogStore } from "./logStore.ts";

/**
 * Follows a run for its panel: record, logs, failures, timeline, result. A connection that breaks, the death of
 * the agent included, is made again; the run's record says where it stands then.
 */
export interface RunListener {
  onRecord: () => void;
  onTimeline: (timeline: Timeline) => void;
  onLogs: (reset: boolean, lines: readonly PanelLogLine[]) => void;
  onFailures: () => void;
  onResult: () => void;
}

const retryDelaysMs = [300, 700, 1_500, 3_000, 5_000];
/** A run that was begun just now is not known yet. */
const unknownForMs = 10_000;
const timelineEveryMs = 1_000;
const maxFailures = 10_000;
const failuresEveryMs = 250;
const rateOverMs = 5_000;

export class RunFollower {
  record: RunRecord | undefined;
  timeline: Timeline | undefined;
  readonly logs: LogStore;
  readonly failures = new Failures();
  moreFailures = false;
  /** What a call returned. */
  result: { value: unknown } | undefined;
  /** Why the run cannot be heard of at the moment. */
  connection: string | undefined;
  run: Run | undefined;
  canRepeat = true;
  readonly #farcall: Farcall;
  readonly #cluster: string;
  readonly #id: string;
  readonly #listener: RunListener;
  readonly #beganAtMs = Date.now();
  #stop = new AbortController();
  #disposed = false;
  #progress: { atMs: number; done: number }[] = [];
  #failuresTimer: NodeJS.Timeout | undefined;

  constructor(farcall: Farcall, cluster: string, id: string, listener: RunListener) {
    this.#farcall = farcall;
    this.#cluster = cluster;
    this.#id = id;
    this.#listener = listener;
    this.logs = new LogStore(vscode.workspace.getConfiguration("farcall").get("logs.keptLines", 50_000));
  }

  start(): void {
    void this.#follow(this.#stop.signal);
  }

  /** Looks again at a run that ended or was changed from here. */
  restart(): void {
    if (this.#disposed || (this.record && !hasEnded(this.record.state))) return;
    this.#stop.abort();
    this.#stop = new AbortController();
    this.start();
  }

  dispose(): void {
    this.#disposed = true;
    clearTimeout(this.#failuresTimer);
    this.#stop.abort();
  }

  /** Inputs per second over the last seconds. */
  get ratePerSecond(): number | null {
    const { record } = this;
    if (!record || record.kind !== "map") return null;
    if (record.endedAtMs !== null) {
      const tookMs = record.endedAtMs - record.createdAtMs;
      return tookMs > 0 ? (record.done / tookMs) * 1_000 : null;
    }
    const first = this.#progress[0];
    const last = this.#progress.at(-1);
    if (!first || !last || last.atMs - first.atMs < 400) return null;
    return ((last.done - first.done) / (last.atMs - first.atMs)) * 1_000;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for (let tries = 0; !signal.aborted;) {
      try {
        const cluster = await this.#farcall.cluster(this.#cluster);
        this.run = await cluster.runs.open(this.#id);
        this.#take(this.run.record);
        this.connection = undefined;
        tries = 0;
        await this.#followOpen(this.run, signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        const { code, message } = error as { code?: unknown; message: string };
        const isNew = code === "run.unknown" && Date.now() - this.#beganAtMs < unknownForMs && !this.record;
        if (!isNew) {
          this.connection =
            code === "run.unknown"
              ? vscode.l10n.t("The cluster does not know this run any more.")
              : vscode.l10n.t("The cluster cannot be reached: {0} Trying again.", message);
          this.#farcall.log.warn(`Following ${this.#id}: ${message}`);
          this.#listener.onRecord();
          if (code === "run.unknown") return;
        }
        const delayMs = isNew ? 100 : retryDelaysMs[Math.min(tries++, retryDelaysMs.length - 1)]!;
        await sleep(delayMs, signal);
      }
    }
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
    this.#mark();
  }

  async #watch(run: Run, signal: AbortSignal): Promise<void> {
    // What has ended does not change, but the stream says so only after its first word.
    for await (const record of run.watch({ signal })) this.#take(record);
    this.#farcall.live.refresh();
  }

  #take(record: RunRecord): void {
    this.record = record;
    const atMs = Date.now();
    this.#progress.push({ atMs, done: record.done });
    while (this.#progress.length > 2 && atMs - this.#progress[0]!.atMs > rateOverMs) this.#progress.shift();
    this.#listener.onRecord();
  }

  async #followLogs(run: Run, signal: AbortSignal): Promise<void> {
    this.logs.clear();
    this.#listener.onLogs(true, []);
    for await (const lines of run.logs({ follow: true, signal })) this.#listener.onLogs(false, this.logs.add(lines));
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
      if (!(error instanceof Error)) return;
      this.failures.clear();
      this.failures.add(error, undefined);
      this.#listener.onFailures();
    }
  }

  /** A failed run marks the line that it failed at. */
  #mark(): void {
    const { record } = this;
    const first = this.failures.firstPlace;
    if (!record || !first) return;
    const { at, message } = first;
    this.#farcall.problems.report(
      runLabel(record),
      vscode.Uri.file(at.file),
      at.line - 1,
      at.column - 1,
      message,
      record.id,
    );
  }
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
