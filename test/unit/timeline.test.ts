import { describe, expect, test } from "vitest";
import { emptyTimeline, TimelineRecorder } from "../../runtime/agent/timeline.ts";

const nobody = new Map<number, number>();
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

describe("a timeline", () => {
  test("has a point for each step, of what came within it", () => {
    const recorder = new TimelineRecorder(1_000);
    recorder.sample(1_100, { done: 5, failed: 0, active: 2, busyMs: nobody });
    expect(recorder.timeline.done).toEqual([]);
    expect(recorder.msLeft(1_100)).toBe(150);
    recorder.sample(1_251, { done: 10, failed: 1, active: 2, busyMs: new Map([[7, 125]]) });
    recorder.sample(1_502, { done: 30, failed: 1, active: 1, busyMs: new Map([[9, 300]]) });
    expect(recorder.timeline).toEqual({
      startMs: 1_000,
      stepMs: 250,
      done: [10, 20],
      failed: [1, 0],
      active: [2, 1],
      replicas: [
        { id: 7, busy: [0.5, 0] },
        { id: 9, busy: [0, 1] },
      ],
    });
  });

  test("spreads what a late sample brings over the steps that it missed", () => {
    const recorder = new TimelineRecorder(0);
    recorder.sample(1_000, { done: 10, failed: 0, active: 1, busyMs: new Map([[1, 500]]) });
    expect(recorder.timeline.done).toEqual([3, 2, 3, 2]);
    expect(recorder.timeline.replicas[0]!.busy).toEqual([0.5, 0.5, 0.5, 0.5]);
  });

  test("never has more than 480 points, and loses no input by it", () => {
    const recorder = new TimelineRecorder(0);
    let done = 0;
    for (let nowMs = 250; nowMs <= 3_600_000; nowMs += 250) {
      done += 3;
      recorder.sample(nowMs, { done, failed: 0, active: 4, busyMs: new Map([[1, 125]]) });
    }
    const { done: points, stepMs, active, replicas } = recorder.timeline;
    expect(points.length).toBeLessThan(480);
    expect(points.length * stepMs).toBeGreaterThan(3_600_000 - stepMs);
    expect(stepMs).toBe(250 * 2 ** 5);
    const unsampled = done - sum(points);
    expect(unsampled).toBeLessThan((3 * stepMs) / 250);
    expect(new Set(active)).toEqual(new Set([4]));
    expect(new Set(replicas[0]!.busy)).toEqual(new Set([0.5]));
  });

  test("counts nothing twice when outcomes are lost with a worker", () => {
    const recorder = new TimelineRecorder(0);
    for (const [i, done] of [10, 8, 9, 12].entries())
      recorder.sample(250 * (i + 1), { done, failed: 0, active: 0, busyMs: nobody });
    expect(recorder.timeline.done).toEqual([10, 0, 0, 2]);
  });

  test("ends with the step that has just begun", () => {
    const recorder = new TimelineRecorder(0);
    recorder.sample(250, { done: 4, failed: 0, active: 1, busyMs: nobody });
    recorder.finish(300, { done: 5, failed: 0, active: 0, busyMs: new Map([[1, 25]]) });
    expect(recorder.timeline).toMatchObject({ done: [4, 1], active: [1, 0], replicas: [{ id: 1, busy: [0, 0.5] }] });
    const short = new TimelineRecorder(0);
    short.finish(0, { done: 3, failed: 0, active: 0, busyMs: nobody });
    expect(short.timeline.done).toEqual([3]);
  });

  test("goes on after any gap, with zeros for it", () => {
    const kept = { ...emptyTimeline(0), done: [5], failed: [1], active: [2], replicas: [{ id: 1, busy: [1] }] };
    const soon = new TimelineRecorder(1_010, kept);
    soon.sample(1_250, { done: 9, failed: 1, active: 1, busyMs: nobody });
    expect(soon.timeline.done).toEqual([5, 0, 0, 0, 4]);
    const yearMs = 365 * 24 * 3_600_000;
    const late = new TimelineRecorder(yearMs, kept).timeline;
    expect(late.done.length).toBeLessThan(480);
    expect(late.done.length * late.stepMs).toBeGreaterThan(yearMs - late.stepMs);
    expect(sum(late.done)).toBe(5);
  });
});
