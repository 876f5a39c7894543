import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, onTestFinished, test } from "vitest";
import { SqliteQueue, type SqliteQueueOptions } from "../../runtime/queue/sqlite.ts";
import { FarcallError } from "../../runtime/spec/errors.ts";
import { newRunId, type RunId } from "../../runtime/spec/names.ts";
import { queueConformance } from "../support/queueConformance.ts";
import { chunk, chunks, claimOne, drain, firstFault, newJob, readOutcomes, settleWhole } from "../support/queueData.ts";
import { queueFixture } from "../support/queueFixture.ts";

const writer = join(import.meta.dirname, "../support/queueWriter.ts");
const fileIn = (dir: string): string => join(dir, "queue.db");
const openIn = (dir: string, options?: SqliteQueueOptions): Promise<SqliteQueue> =>
  SqliteQueue.open(fileIn(dir), options);

queueConformance("SQLite", openIn);

describe("a queue file", () => {
  const { newDir } = queueFixture(openIn);

  test("is owned by one process at a time", async () => {
    const dir = newDir();
    await using queue = await openIn(dir);
    const id = await newJob(queue);
    await expect(openIn(dir)).rejects.toMatchObject({
      code: "home.unusable",
      message: expect.stringContaining("another process"),
    });
    expect(spawnSync(process.execPath, [writer, fileIn(dir), id], { encoding: "utf8" }).stdout).toBe(
      "refused home.unusable\n",
    );
    await queue.addChunks(id, [chunk(0, 1)]);
    expect(readdirSync(dir).filter((name) => name.includes("corrupt"))).toEqual([]);
  });

  test("is readable by its owner alone", async () => {
    const dir = newDir();
    await using queue = await openIn(dir);
    await newJob(queue);
    for (const name of readdirSync(dir)) expect(statSync(join(dir, name)).mode & 0o077, name).toBe(0);
  });

  test("in a folder that is missing is refused with the reason", async () => {
    await expect(openIn(join(newDir(), "missing"))).rejects.toMatchObject({ code: "home.unusable" });
  });

  test("holds all that was acknowledged when its process was killed", { timeout: 60_000 }, async () => {
    const dir = newDir();
    const id = newRunId();
    const added = new Set<string>();
    const settled = new Set<string>();
    for (let round = 0; round < 6; round++) {
      const lines = await writeUntilKilled(fileIn(dir), id, Math.random() * 120);
      for (const line of lines) {
        const [what, ...range] = line.split(" ");
        if (what === "add") added.add(range.join(" "));
        if (what === "settle") settled.add(range.join(" "));
        expect(what).not.toBe("refused");
      }
      await using queue = await openIn(dir);
      const record = await queue.job(id);
      if (record === undefined) {
        expect(lines).toEqual([]);
        continue;
      }
      const ends = Array.from(added, (range) => range.split(" ").reduce((sum, part) => sum + Number(part), 0));
      expect(record.accepted).toBeGreaterThanOrEqual(Math.max(0, ...ends));
      const outcomes = await readOutcomes(queue, id, { order: "index" });
      const stored = new Set(outcomes.map(({ lo, count }) => `${lo} ${count}`));
      expect([...settled].filter((range) => !stored.has(range))).toEqual([]);
      const { pending, leased, settled: number } = await queue.counts(id);
      expect({ leased, sum: pending + number }).toEqual({ leased: 0, sum: record.accepted });
    }
    expect(settled.size).toBeGreaterThan(0);
    await using queue = await openIn(dir);
    await drain(queue, id);
    expect(firstFault(await readOutcomes(queue, id, { order: "index" }))).toBe((await queue.job(id))?.accepted);
  });

  test("opened again voids leases and delays, and attempts rise on", async () => {
    const dir = newDir();
    const before = await openIn(dir);
    const id = await newJob(before);
    await before.addChunks(id, chunks(3, 2));
    const [leased, delayed] = await before.claim(id, { max: 2, waitMs: 0 });
    await before.release(delayed!, 60_000);
    await before.close();

    await using queue = await openIn(dir);
    expect(await queue.counts(id)).toEqual({ pending: 6, leased: 0, settled: 0, errors: 0 });
    expect(await queue.extend(leased!)).toBe(false);
    const leases = await queue.claim(id, { max: 9, waitMs: 0 });
    expect(leases.map(({ attempt }) => attempt)).toEqual([2, 2, 1]);
    expect(await settleWhole(queue, leased!)).toBe("stored");
    expect(await settleWhole(queue, leases[0]!)).toBe("already");
  });

  test("that lost its newest outcomes has another epoch, and works them again", async () => {
    const dir = newDir();
    const before = await openIn(dir);
    const id = await newJob(before);
    await before.addChunks(id, chunks(20, 1));
    for (let i = 0; i < 5; i++) await settleWhole(before, await claimOne(before, id));
    const saved = newDir();
    for (const name of readdirSync(dir)) copyFileSync(join(dir, name), join(saved, name));
    await drain(before, id);
    const page = { order: "settled", from: 0, limit: 100, limitBytes: 1 << 20 } as const;
    const { epoch, ranges } = await before.outcomes(id, page);
    expect(ranges).toHaveLength(20);
    await before.close();

    await using queue = await openIn(saved);
    const again = await queue.outcomes(id, page);
    expect(again.ranges).toHaveLength(5);
    expect(again.epoch).not.toBe(epoch);
    expect(await drain(queue, id)).toBe(15);
    expect(firstFault(await readOutcomes(queue, id, { order: "index" }))).toBe(20);
  });

  test("loses the rows of ended jobs and all of deleted ones, also those left by a process before", async () => {
    const dir = newDir();
    const file = fileIn(dir);
    const before = await openIn(dir);
    const [cancelled, deleted, kept] = [await newJob(before), await newJob(before), await newJob(before)];
    const large = { count: 1, body: Buffer.alloc(40_000, 1) };
    for (const id of [cancelled, deleted, kept]) {
      await before.addChunks(
        id,
        Array.from({ length: id === deleted ? 1000 : 30 }, (_, lo) => ({ lo, ...large })),
      );
    }
    await drain(before, deleted);
    await before.setState(cancelled, "cancelled", 1);
    await before.setState(deleted, "done", 1);
    await before.deleteJob(deleted);
    await before.close();
    const sizeBytes = statSync(file).size;

    const queue = await openIn(dir);
    const left = (): number => {
      using database = new DatabaseSync(file, { readOnly: true });
      const sql = "SELECT (SELECT count(*) FROM chunk), (SELECT count(*) FROM body), (SELECT count(*) FROM input)";
      expect(Object.values(database.prepare(sql).get() ?? {})).toEqual([30, 30, 30]);
      return Number(Object.values(database.prepare("SELECT count(*) FROM outcome").get() ?? {})[0]);
    };
    // The last rows went when nothing is left to write.
    for (let ticks = 0; ticks < 200; ticks++) await new Promise((resolve) => setImmediate(resolve));
    expect(await queue.counts(kept)).toMatchObject({ pending: 30 });
    await queue.close();
    expect(left()).toBe(0);
    expect(statSync(file).size).toBeLessThan(sizeBytes / 2);
  });

  test("takes a write that cannot be stored as the fault of that write alone", async () => {
    await using queue = await openIn(newDir());
    const id = await newJob(queue);
    const writes = await Promise.allSettled([
      queue.addChunks(id, [chunk(0, 3)]),
      queue.createJob({ id: newRunId(), spec: "{}", createdAtMs: 0.5 }),
      queue.addChunks(id, [chunk(3, 3)]),
    ]);
    expect(writes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(await queue.counts(id)).toMatchObject({ pending: 6 });
    expect(await queue.jobs()).toHaveLength(1);
  });
});

describe("a full disk", () => {
  const { newDir } = queueFixture(openIn);

  test("refuses what does not fit, keeps what was stored, and goes on when there is space", async () => {
    const mount = join(newDir(), "disk");
    mkdirSync(mount);
    const isMounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", mount]).status === 0;
    if (isMounted) onTestFinished(() => void execFileSync("umount", ["--lazy", mount]));
    await fillAndGoOn(mount, isMounted ? {} : { maxFileBytes: 2_000_000 });
  });

  test("may also be a limit of the file's own", async () => {
    await fillAndGoOn(newDir(), { maxFileBytes: 1_000_000 });
  });

  async function fillAndGoOn(dir: string, options: SqliteQueueOptions): Promise<void> {
    const queue = await openIn(dir, options);
    onTestFinished(() => queue.close());
    const id = await newJob(queue);
    const ballast = await newJob(queue);
    const add = (job: RunId, lo: number): Promise<void> =>
      queue.addChunks(job, [{ lo, count: 1, body: Buffer.alloc(50_000, lo) }]);
    for (let lo = 0; lo < 8; lo++) await add(ballast, lo);
    let stored = 0;
    let error: unknown;
    while (error === undefined && stored < 1000) {
      // Two in one batch: neither is stored when the batch is not.
      const [first, second] = await Promise.allSettled([add(id, stored), add(id, stored + 1)]);
      expect(first!.status).toBe(second!.status);
      if (first!.status === "rejected") error = first!.reason;
      else stored += 2;
    }
    expect(error).toMatchObject({ code: "disk.full", retryable: true });
    expect(await queue.job(id)).toMatchObject({ accepted: stored });
    expect(await queue.counts(id)).toEqual({ pending: stored, leased: 0, settled: 0, errors: 0 });

    await queue.setState(ballast, "cancelled", 1);
    await expect
      .poll(
        () =>
          add(id, stored).then(
            () => "stored",
            (thrown: FarcallError) => thrown.code,
          ),
        { timeout: 10_000 },
      )
      .toBe("stored");
    expect(await drain(queue, id)).toBe(stored + 1);
    expect(firstFault(await readOutcomes(queue, id, { order: "index" }))).toBe(stored + 1);
  }
});

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
        expect(jobs).toMatchObject([{ id, accepted: 1000 }]);
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
      expect(readFileSync(fileIn(dir))).toEqual(bytes);
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
    expect(readFileSync(movedTo)).toEqual(garbage);
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
    for (const size of [
      1,
      15,
      16,
      99,
      100,
      101,
      511,
      4096,
      8191,
      8192,
      8193,
      16_384,
      bytes.length - 8192,
      bytes.length - 1,
    ]) {
      expect(await openBytes(bytes.subarray(0, size), id), `${size} bytes`).toBe("replaced");
    }
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

/** Runs a writer, kills it `delayMs` after its first line, and returns the lines it completed. */
async function writeUntilKilled(file: string, id: RunId, delayMs: number): Promise<string[]> {
  const child = spawn(process.execPath, [writer, file, id], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  await once(child.stdout, "data");
  setTimeout(() => child.kill("SIGKILL"), delayMs);
  await once(child, "close");
  return output
    .slice(0, output.lastIndexOf("\n") + 1)
    .split("\n")
    .filter(Boolean);
}
