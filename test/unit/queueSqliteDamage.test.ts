import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { SqliteQueue, type SqliteQueueOptions } from "../../runtime/queue/sqlite.ts";
import { FarcallError } from "../../runtime/spec/errors.ts";
import type { RunId } from "../../runtime/spec/names.ts";
import { chunks, claimOne, drain, firstFault, newJob, readOutcomes, settleWhole } from "../support/queueData.ts";
import { queueFixture } from "../support/queueFixture.ts";

const fileIn = (dir: string): string => join(dir, "queue.db");
const openIn = (dir: string, options?: SqliteQueueOptions): Promise<SqliteQueue> =>
  SqliteQueue.open(fileIn(dir), options);

describe("a damaged queue file", () => {
  const { newDir } = queueFixture(openIn);
  const nowMs = Date.UTC(2026, 10, 22, 12, 30, 15, 7);

  /** A file that was closed in order, with 3 settled chunks of 20. */
  async function soundFile(): Promise<{ bytes: Buffer; id: RunId }> {
    const dir = newDir();
    const queue = await openIn(dir);
    const id = await newJob(queue);
    await queue.addChunks(id, chunks(20, 50));
    for (let i = 0; i < 3; i++) await settleWhole(queue, await claimOne(queue, id));
    await queue.close();
    return { bytes: readFileSync(fileIn(dir)), id };
  }

  /** Opens a file of these bytes; says whether the queue was kept, replaced by an empty one, or refused. */
  async function openBytes(bytes: Buffer, id: RunId): Promise<string> {
    const dir = newDir();
    writeFileSync(fileIn(dir), bytes);
    const moved: string[] = [];
    const onCorrupt = (movedTo: string, cause: FarcallError): void => {
      expect(cause.code).toBe("queue.corrupt");
      moved.push(movedTo);
    };
    try {
      await using queue = await openIn(dir, { onCorrupt, now: () => nowMs });
      const jobs = await queue.jobs();
      if (moved.length === 0) {
        expect(jobs).toMatchObject([{ id }]);
        expect(await queue.job(id)).toMatchObject({ accepted: 1000 });
        await drain(queue, id);
        expect(firstFault(await readOutcomes(queue, id, { order: "index" }))).toBe(1000);
        return "kept";
      }
      expect(jobs).toEqual([]);
      await queue.addChunks(await newJob(queue), chunks(3, 1));
      expect(moved).toEqual([`${fileIn(dir)}.corrupt-2026-11-22T12-30-15-007Z`]);
      expect(existsSync(moved[0]!)).toBe(true);
      return "replaced";
    } catch (error) {
      if (!(error instanceof FarcallError)) throw error;
      expect(readFileSync(fileIn(dir)).equals(bytes)).toBe(true);
      return error.code;
    }
  }

  test("that is no database at all is moved aside, whole", async () => {
    const garbage = Buffer.from("This is not a queue. ".repeat(1000));
    expect(await openBytes(garbage, "")).toBe("replaced");
    const dir = newDir();
    writeFileSync(fileIn(dir), garbage);
    let movedTo = "";
    await using _queue = await openIn(dir, { onCorrupt: (to) => void (movedTo = to) });
    expect(readFileSync(movedTo).equals(garbage)).toBe(true);
  });

  test("that is another program's database is moved aside", async () => {
    const path = join(newDir(), "other.db");
    const other = new DatabaseSync(path);
    other.exec("CREATE TABLE job(id TEXT); CREATE TABLE meta(epoch TEXT)");
    other.close();
    expect(await openBytes(readFileSync(path), "")).toBe("replaced");
  });

  test("that is empty is a new one", async () => {
    const dir = newDir();
    writeFileSync(fileIn(dir), "");
    await using queue = await openIn(dir, { onCorrupt: () => expect.unreachable() });
    await newJob(queue);
  });

  test("that was cut off is moved aside, wherever it was cut", async () => {
    const { bytes, id } = await soundFile();
    for (const size of [1, 15, 16, 99, 100, 101, 511, 4096, 8191, 8192, 8193, 16_384, bytes.length - 8192]) {
      expect(await openBytes(bytes.subarray(0, size), id), `${size} bytes`).toBe("replaced");
    }
    // Without the end of its last page it is a whole number of pages still: that page decides.
    expect(["replaced", "kept"]).toContain(await openBytes(bytes.subarray(0, -1), id));
  });

  test("with a page of noise is moved aside", async () => {
    const { bytes, id } = await soundFile();
    for (let page = 0; page < bytes.length / 8192; page++) {
      const noisy = Buffer.from(bytes);
      for (let i = 0; i < 512; i++) noisy[page * 8192 + i] = (i * 37 + page) & 0xff;
      // A page that holds no more than the end of a body can only be told by who made the body.
      expect(["replaced", "kept"], `page ${page}`).toContain(await openBytes(noisy, id));
    }
  });

  test("with one wrong bit in its header is kept if that is harmless, or else moved aside", async () => {
    const { bytes, id } = await soundFile();
    const became = new Map<string, number>();
    for (let at = 0; at < 100; at++) {
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1 << (at % 8);
      const what = await openBytes(flipped, id);
      became.set(what, (became.get(what) ?? 0) + 1);
      // Bytes 60 to 63 are the version of the tables: a larger one looks like that of a newer Farcall.
      expect(at >= 60 && at < 64 ? ["agent.version", "replaced"] : ["kept", "replaced"], `byte ${at}`).toContain(what);
    }
    expect(became.get("replaced")).toBeGreaterThan(30);
    expect(became.get("kept")).toBeGreaterThan(10);
  });

  test("that is damaged while it is open answers with an error of its own", async () => {
    const dir = newDir();
    const before = await openIn(dir);
    const id = await newJob(before);
    // Too much to stay in memory, and too much to be checked at every start.
    for (let lo = 0; lo < 300; lo++) await before.addChunks(id, [{ lo, count: 1, body: Buffer.alloc(60_000, lo) }]);
    await drain(before, id);
    await before.close();
    await using queue = await openIn(dir, { onCorrupt: () => expect.unreachable() });
    const sizeBytes = statSync(fileIn(dir)).size;
    truncateSync(fileIn(dir), 16 * 8192);
    writeFileSync(fileIn(dir), Buffer.alloc(sizeBytes - 16 * 8192, 0xee), { flag: "a" });
    await expect(readOutcomes(queue, id, { order: "index" })).rejects.toMatchObject({ code: "queue.corrupt" });
  });

  test("that a newer Farcall wrote is refused and left as it is", async () => {
    const { bytes, id } = await soundFile();
    const newer = Buffer.from(bytes);
    newer.writeUInt32BE(2, 60);
    expect(await openBytes(newer, id)).toBe("agent.version");
  });
});
