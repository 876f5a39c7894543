import type { Timeline } from "../protocol/messages/runs.ts";

/**
 * How a map goes over time, at a length that is bounded however long it takes: when there are `maxPoints` points,
 * neighbours are merged and a step becomes twice as long.
 */
const firstStepMs = 250;
const maxPoints = 480;
/** More have their work counted and no line of their own; a timeline travels in the header of a frame. */
const maxReplicas = 256;
/** What was not sampled for longer is a gap. */
const maxSpreadSteps = 8;

/** What a map has come to, at one moment. */
export interface Sample {
  /** Inputs with an outcome so far, and those of them that failed. */
  done: number;
  failed: number;
  /** Inputs being worked on. */
  active: number;
  /** Milliseconds each replica was busy since the sample before. */
  busyMs: ReadonlyMap<number, number>;
}

export class TimelineRecorder {
  readonly #startMs: number;
  #stepMs: number;
  readonly #done: number[];
  readonly #failed: number[];
  #active: number[];
  readonly #busy: Map<number, number[]>;
  /** Sums of the lists. */
  #doneBefore: number;
  #failedBefore: number;
  /** What came in samples that closed no step. */
  readonly #unclosedMs = new Map<number, number>();

  /** Goes on with a timeline that was kept; the time in which nobody sampled is filled with zeros. */
  constructor(nowMs: number, kept: Timeline = emptyTimeline(nowMs)) {
    this.#startMs = kept.startMs;
    this.#stepMs = kept.stepMs;
    this.#done = [...kept.done];
    this.#failed = [...kept.failed];
    this.#active = [...kept.active];
    this.#busy = new Map(kept.replicas.map(({ id, busy }) => [id, [...busy]]));
    this.#doneBefore = sum(this.#done);
    this.#failedBefore = sum(this.#failed);
    this.#fillUntil(nowMs, 0);
  }

  /** Milliseconds until the current step is over. */
  msLeft(nowMs: number): number {
    return Math.max(0, this.#nextMs + this.#stepMs - nowMs);
  }

  /** Closes the steps that are over, as a rule one. What came meanwhile is spread over the last few of them. */
  sample(nowMs: number, sample: Sample): void {
    this.#fillUntil(nowMs, maxSpreadSteps);
    for (const [id, ms] of sample.busyMs) this.#unclosedMs.set(id, (this.#unclosedMs.get(id) ?? 0) + ms);
    const steps = this.#stepsUntil(nowMs);
    const done = sample.done - this.#doneBefore;
    const failed = sample.failed - this.#failedBefore;
    if (steps === 0) return;
    for (let i = 0; i < steps; i++) {
      const share = (of: number) => Math.round((of * (i + 1)) / steps) - Math.round((of * i) / steps);
      this.#append(share(done), share(failed), sample.active, this.#unclosedMs, steps * this.#stepMs);
    }
    this.#unclosedMs.clear();
    this.#mergeIfFull();
  }

  /** As `sample`, and closes the step that has just begun if there is no other, at the end of the map. */
  finish(nowMs: number, sample: Sample): void {
    const closes = this.#stepsUntil(nowMs) > 0;
    this.sample(nowMs, sample);
    if (closes) return;
    const ofMs = Math.max(1, nowMs - this.#nextMs);
    const { done, failed, active } = sample;
    this.#append(done - this.#doneBefore, failed - this.#failedBefore, active, this.#unclosedMs, ofMs);
    this.#mergeIfFull();
  }

  get timeline(): Timeline {
    return {
      startMs: this.#startMs,
      stepMs: this.#stepMs,
      done: [...this.#done],
      failed: [...this.#failed],
      active: [...this.#active],
      replicas: [...this.#busy].map(([id, busy]) => ({ id, busy: [...busy] })),
    };
  }

  /** When the step that has no point yet began. */
  get #nextMs(): number {
    return this.#startMs + this.#done.length * this.#stepMs;
  }

  #stepsUntil(nowMs: number): number {
    return Math.max(0, Math.floor((nowMs - this.#nextMs) / this.#stepMs));
  }

  /** Zeros for the steps that are over but the last `left`. */
  #fillUntil(nowMs: number, left: number): void {
    while (this.#stepsUntil(nowMs) > left) {
      this.#append(0, 0, 0, new Map(), 1);
      this.#mergeIfFull();
    }
  }

  #append(done: number, failed: number, active: number, busyMs: ReadonlyMap<number, number>, ofMs: number): void {
    const at = this.#done.length;
    // An outcome that was counted before it was stored may be lost with a worker, and is counted again later.
    this.#done.push(Math.max(0, done));
    this.#failed.push(Math.max(0, failed));
    this.#active.push(active);
    this.#doneBefore += Math.max(0, done);
    this.#failedBefore += Math.max(0, failed);
    for (const id of busyMs.keys()) {
      if (!this.#busy.has(id) && this.#busy.size < maxReplicas) this.#busy.set(id, new Array<number>(at).fill(0));
    }
    for (const [id, busy] of this.#busy) busy.push(rounded(Math.min(1, (busyMs.get(id) ?? 0) / ofMs)));
  }

  #mergeIfFull(): void {
    if (this.#done.length < maxPoints || this.#done.length % 2 === 1) return;
    this.#stepMs *= 2;
    for (const counts of [this.#done, this.#failed]) mergePairs(counts, (a, b) => a + b);
    mergePairs(this.#active, (a, b) => rounded((a + b) / 2));
    for (const busy of this.#busy.values()) mergePairs(busy, (a, b) => rounded((a + b) / 2));
  }
}

export function emptyTimeline(startMs: number): Timeline {
  return { startMs, stepMs: firstStepMs, done: [], failed: [], active: [], replicas: [] };
}

function mergePairs(values: number[], merge: (a: number, b: number) => number): void {
  const pairs = values.length / 2;
  for (let i = 0; i < pairs; i++) values[i] = merge(values[2 * i]!, values[2 * i + 1]!);
  values.length = pairs;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
