import { cpus, freemem, totalmem } from "node:os";
import { readFileSync } from "node:fs";
import type { NodeMetrics } from "../protocol/messages/nodes.ts";

/** How busy this node is, sampled as long as the agent lives: processors and memory of the whole machine. */
const everyMs = 5_000;
/** An hour. */
const keptSamples = 720;

export class Metrics implements Disposable {
  readonly #cpuShares: number[] = [];
  readonly #usedMiB: number[] = [];
  readonly #timer: NodeJS.Timeout;
  #times = processorTimes();
  #endMs = Date.now();

  constructor() {
    this.#timer = setInterval(() => this.#sample(), everyMs);
    this.#timer.unref();
  }

  /** Of the last sample; zero processor time before the first. */
  get now(): { cpuShare: number; usedMiB: number } {
    return { cpuShare: this.#cpuShares.at(-1) ?? 0, usedMiB: usedMiB() };
  }

  /** The samples there are, oldest first. */
  get series(): NodeMetrics {
    return { endMs: this.#endMs, stepMs: everyMs, cpuShares: [...this.#cpuShares], usedMiB: [...this.#usedMiB] };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    const times = processorTimes();
    const busy = times.busy - this.#times.busy;
    const all = times.all - this.#times.all;
    this.#times = times;
    this.#endMs = Date.now();
    push(this.#cpuShares, all > 0 ? Math.round((busy / all) * 1_000) / 1_000 : 0);
    push(this.#usedMiB, usedMiB());
  }
}

function push(samples: number[], sample: number): void {
  samples.push(sample);
  if (samples.length > keptSamples) samples.shift();
}

function processorTimes(): { busy: number; all: number } {
  let busy = 0;
  let all = 0;
  for (const { times } of cpus()) {
    const sum = times.user + times.nice + times.sys + times.irq + times.idle;
    all += sum;
    busy += sum - times.idle;
  }
  return { busy, all };
}

/** What is in use and cannot be given up: `free` counts the cache of files as used, `MemAvailable` does not. */
function usedMiB(): number {
  const MiB = 2 ** 20;
  try {
    const available = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
    if (available !== undefined) return Math.round(totalmem() / MiB - Number(available) / 1024);
  } catch {
    // Not Linux.
  }
  return Math.round((totalmem() - freemem()) / MiB);
}
