import { appendFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type LogItem, RunLogs } from "../../runtime/agent/logs.ts";
import type { TailLimit } from "../../runtime/agent/logTail.ts";

let folder: string;
let logs: RunLogs;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farcall-tail-"));
  await mkdir(join(folder, "r"));
  logs = new RunLogs(folder);
});
afterEach(() => rm(folder, { recursive: true }));

const line = (timeMs: number, text = `at ${timeMs}`) => `${JSON.stringify(["stdout", timeMs, -1, text])}\n`;
const write = (replica: number, times: number[]) =>
  writeFile(logs.file("r", replica), times.map((time) => line(time)).join(""));
const range = (from: number, to: number, step = 1) =>
  Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step);

async function read(tail: TailLimit, isLive = () => false) {
  const items: LogItem[] = [];
  for await (const item of logs.read("r", isLive, new AbortController().signal, { tail })) items.push(item);
  return { skipped: items[0]?.skipped, texts: items.flatMap(({ lines }) => lines.map(({ text }) => text)) };
}

describe("the tail of a log", () => {
  it("is the newest lines of all replicas, and says how many lie before", async () => {
    await write(1, range(0, 100_000, 2));
    await write(2, range(1, 100_000, 2));
    // One that fell silent long ago has none of them.
    await write(3, range(0, 50));
    expect(await read({ lines: 5 })).toEqual({
      skipped: 100_045,
      texts: range(99_995, 100_000).map((time) => `at ${time}`),
    });
  });

  it("is the end of what is read without one, also where replicas print at the same time", async () => {
    for (const [replica, count] of [
      [1, 4],
      [2, 1],
      [3, 2],
    ] as const)
      await writeFile(
        logs.file("r", replica),
        range(0, count)
          .map((n) => line(7, `${replica}: ${n}`))
          .join(""),
      );
    const { texts } = await read({ lines: 7 });
    expect(texts).toHaveLength(7);
    for (const lines of range(1, 7)) expect((await read({ lines })).texts).toEqual(texts.slice(-lines));
  });

  it("is all of a log that is shorter, nothing of one that is empty, and nothing with no lines asked for", async () => {
    expect(await read({ lines: 5 })).toEqual({ skipped: 0, texts: [] });
    await write(1, [1, 2, 3]);
    expect(await read({ lines: 5 })).toEqual({ skipped: 0, texts: ["at 1", "at 2", "at 3"] });
    expect(await read({ lines: 0 })).toEqual({ skipped: 3, texts: [] });
  });

  it("is cut by size as well", async () => {
    await writeFile(
      logs.file("r", 1),
      range(0, 20)
        .map((time) => line(time, "x".repeat(100_000)))
        .join(""),
    );
    const { skipped, texts } = await read({ lines: 15, bytes: 350_000 });
    expect(skipped).toBe(17);
    expect(texts).toHaveLength(3);
  });

  it("keeps the order of a file when the clock was set back", async () => {
    await write(1, [100, 200, 50, 60, 70]);
    await write(2, [150, 160]);
    const { skipped, texts } = await read({ lines: 4 });
    expect([skipped, texts.sort()]).toEqual([3, ["at 200", "at 50", "at 60", "at 70"]]);
  });

  it("goes on with what is printed afterwards, and with a line that was being written", async () => {
    for (const lines of [1, 0]) {
      await writeFile(logs.file("r", 1), line(1) + line(2) + line(3).slice(0, 10));
      let looks = 0;
      const isLive = () => {
        looks++;
        if (looks === 2) appendFileSync(logs.file("r", 1), line(3).slice(10) + line(4));
        return looks < 3;
      };
      const texts = ["at 2", "at 3", "at 4"].slice(1 - lines);
      expect(await read({ lines }, isLive)).toEqual({ skipped: 2 - lines, texts });
    }
  });
});
