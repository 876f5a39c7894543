import { doneByCluster } from "../client/guests/doneByCluster.ts";
import type { RunRecord } from "../protocol/messages/runs.ts";
import { count, duration, paint, rate, type StatusLine } from "./terminal.ts";

/** How a map is getting on, on one line: done, failed, rate, elapsed and remaining time. */

const refreshMs = 100;
const plainEveryMs = 10_000;
/** Weight of the newest rate in the average shown. */
const freshness = 0.2;

interface Shown extends Pick<RunRecord, "state" | "total" | "accepted" | "done" | "failed" | "replicas" | "guests"> {
  isReconnecting?: boolean;
}

export class MapProgress implements Disposable {
  readonly #line: StatusLine;
  readonly #record: () => Shown | undefined;
  readonly #beganAtMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #lastPlainMs = performance.now();
  #lastDone = 0;
  #lastAtMs = performance.now();
  #rate: number | undefined;

  constructor(line: StatusLine, record: MapProgress["record"]) {
    this.#line = line;
    this.#record = record;
    this.#timer = setInterval(() => this.#refresh(), refreshMs);
    this.#timer.unref();
  }

  get record(): () => Shown | undefined {
    return this.#record;
  }

  /** What is said when the map is over. */
  summary(run: string): string {
    const record = this.#record();
    const elapsedMs = performance.now() - this.#beganAtMs;
    const done = record?.done ?? 0;
    const failed = record?.failed ?? 0;
    const parts = [
      `${count(done)} done`,
      ...(failed > 0 ? [paint("red", `${count(failed)} failed`)] : []),
      `in ${duration(elapsedMs)}`,
      ...(done > 0 ? [`${rate((done / elapsedMs) * 1_000)}/s`] : []),
    ];
    const elsewhere = [...doneByCluster(record?.guests ?? [])].map(([name, part]) => `${count(part)} on ${name}`);
    const where = elsewhere.length > 0 ? `, of them ${elsewhere.join(", ")}` : "";
    return `${parts.join(", ")}${where} ${paint("dim", `(run ${run})`)}`;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#line.clear();
  }

  #refresh(): void {
    const record = this.#record();
    if (!record) return;
    const now = performance.now();
    const sinceMs = now - this.#lastAtMs;
    if (sinceMs >= 500) {
      const current = ((record.done - this.#lastDone) / sinceMs) * 1_000;
      this.#rate = this.#rate === undefined ? current : this.#rate * (1 - freshness) + current * freshness;
      this.#lastDone = record.done;
      this.#lastAtMs = now;
    }
    const text = this.#text(record, now - this.#beganAtMs);
    if (this.#line.isLive) this.#line.update(text);
    else if (now - this.#lastPlainMs >= plainEveryMs) {
      this.#lastPlainMs = now;
      this.#line.print(text);
    }
  }

  #text(record: NonNullable<ReturnType<MapProgress["record"]>>, elapsedMs: number): string {
    const { done, failed, total, accepted, replicas, state, isReconnecting } = record;
    const of = total === null ? `${count(accepted)}+` : count(total);
    const parts = [`${count(done)}/${of}`];
    if (failed > 0) parts.push(`${count(failed)} failed`);
    if (this.#rate !== undefined) parts.push(`${rate(this.#rate)}/s`);
    parts.push(duration(elapsedMs));
    if (total !== null && this.#rate && done < total)
      parts.push(`${duration(((total - done) / this.#rate) * 1_000)} left`);
    if (isReconnecting) parts.push("reconnecting");
    else parts.push(state === "paused" ? "paused" : replicas === 1 ? "1 replica" : `${replicas} replicas`);
    return `${bar(done, total)}${parts.join(" · ")}`;
  }
}

const barWidth = 20;

function bar(done: number, total: number | null): string {
  if (total === null || total === 0) return "";
  const filled = Math.round((done / total) * barWidth);
  return `${"█".repeat(filled)}${"░".repeat(barWidth - filled)} `;
}
