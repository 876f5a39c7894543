import { appendFileSync, writeFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunLogs } from "../../runtime/agent/logs.ts";
import { FollowedLogs } from "../../runtime/client/followedLogs.ts";
import { advance, type LogPosition, onNode } from "../../runtime/protocol/logPosition.ts";

let folder: string;
let logs: RunLogs;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farcall-position-"));
  await mkdir(join(folder, "r"));
  logs = new RunLogs(folder);
});
afterEach(() => rm(folder, { recursive: true }));

const line = (timeMs: number, text: string) => `${JSON.stringify(["stdout", timeMs, -1, text])}\n`;

/** Reads so many batches, then begins anew behind them, as one does whose connection is lost, until there are no more. */
async function readInPieces(batchesEach: number): Promise<string[]> {
  const texts: string[] = [];
  let position: LogPosition = [];
  for (;;) {
    let batches = 0;
    for await (const { lines, files } of logs.read("r", () => false, new AbortController().signal, {
      after: onNode(position, 3),
    })) {
      texts.push(...lines.map(({ text }) => text));
      position = advance(position, { node: 3, files });
      if (++batches === batchesEach) break;
    }
    if (batches === 0) return texts;
  }
}

describe("the position of a reader of logs", () => {
  it("lies behind what was read, wherever the reading broke off", async () => {
    const texts = Array.from({ length: 9_000 }, (_, at) => `é ${at}`);
    for (const [at, text] of texts.entries()) appendFileSync(logs.file("r", at % 3), line(at, text));
    expect(await readInPieces(1)).toEqual(texts);
    expect(await readInPieces(4)).toEqual(texts);
  });

  it("misses no line of a replica whose clock was set back", async () => {
    const times = Array.from({ length: 2_000 }, (_, at) => (at < 1_000 ? 5_000 + at : at));
    writeFileSync(logs.file("r", 1), times.map((time, at) => line(time, `a${at}`)).join(""));
    writeFileSync(logs.file("r", 2), times.map((_, at) => line(at, `b${at}`)).join(""));
    const read = await readInPieces(1);
    for (const replica of ["a", "b"])
      expect(read.filter((text) => text.startsWith(replica))).toEqual(times.map((_, at) => `${replica}${at}`));
  });

  it("begins with a tail where the tail does", async () => {
    for (const at of Array(100).keys()) appendFileSync(logs.file("r", at % 2), line(at, `${at}`));
    const [first] = await Array.fromAsync(
      logs.read("r", () => false, new AbortController().signal, { tail: { lines: 2 } }),
    );
    expect(first).toMatchObject({ lines: [], skipped: 98 });
    appendFileSync(logs.file("r", 1), line(100, "new"));
    const rest = await Array.fromAsync(
      logs.read("r", () => false, new AbortController().signal, { after: first!.files }),
    );
    expect(rest.flatMap(({ lines }) => lines.map(({ text }) => text))).toEqual(["98", "99", "new"]);
  });

  it("is kept apart for each node, and for the runs that a client began", () => {
    const followed = new FollowedLogs();
    followed.begin("one");
    followed.took("one", { node: 1, files: { "0.log": 5, "1.log": 7 } });
    followed.took("one", { node: 2, files: { "9.log": 3 } });
    followed.took("one", { node: 1, files: { "0.log": 8 } });
    followed.took("a-call", { node: 1, files: { "0.log": 1 } });
    followed.begin("one");
    const [{ run, after } = { run: "", after: [] }, ...others] = followed.wanted();
    expect([run, others]).toEqual(["one", []]);
    expect([onNode(after, 1), onNode(after, 2), onNode(after, 3)]).toEqual([
      { "0.log": 8, "1.log": 7 },
      { "9.log": 3 },
      {},
    ]);
    followed.end("one");
    expect(followed.wanted()).toEqual([]);
  });
});
