import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import type { Lease, NewChunk } from "../../runtime/queue/mapQueue.ts";
import { SqliteQueue, type SqliteQueueOptions } from "../../runtime/queue/sqlite.ts";
import type { FarcallError } from "../../runtime/spec/errors.ts";
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
    const child = spawnSync(process.execPath, [writer, fileIn(dir), id], { encoding: "utf8", timeout: 20_000 });
    expect(child.stdout.slice(0, 100)).toBe("refused home.unusable\n");
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
  const large = (lo: number): NewChunk => ({ lo, count: 1, body: Buffer.alloc(50_000, lo) });

  test("refuses what does not fit, keeps what was stored, and goes on when there is space", async () => {
    const mount = join(newDir(), "disk");
    mkdirSync(mount);
    const ballast = join(mount, "ballast");
    using disk = mountSmallDisk(mount);
    // What is freed is more than the log holds, which goes into the file before anything else.
    writeFileSync(ballast, Buffer.alloc(3_500_000));
    await using queue = await openIn(mount, disk.isMounted ? {} : { maxFileBytes: 1_000_000 });
    const other = await newJob(queue);
    await queue.addChunks(other, [large(0), large(1), large(2)]);
    await fillAndGoOn(queue, async () => {
      rmSync(ballast);
      if (!disk.isMounted) await queue.setState(other, "cancelled", 1);
    });
  });

  test("may also be a limit of the file's own", async () => {
    await using queue = await openIn(newDir(), { maxFileBytes: 1_000_000 });
    const other = await newJob(queue);
    await queue.addChunks(other, [large(0), large(1), large(2)]);
    await fillAndGoOn(queue, () => queue.setState(other, "cancelled", 1));
  });

  async function fillAndGoOn(queue: SqliteQueue, makeSpace: () => Promise<unknown>): Promise<void> {
    const id = await newJob(queue);
    const lease = await addUntilFull(queue, id);
    const { accepted: stored } = (await queue.job(id))!;
    expect(await queue.counts(id)).toEqual({ pending: stored - 1, leased: 1, settled: 0, errors: 0 });
    expect((await queue.outcomes(id, { order: "index", from: 0, limit: 9, limitBytes: 9 })).ranges).toEqual([]);

    await makeSpace();
    const add = (): Promise<string> =>
      queue.addChunks(id, [large(stored)]).then(
        () => "stored",
        (thrown: FarcallError) => thrown.code,
      );
    await expect.poll(add, { timeout: 10_000 }).toBe("stored");
    expect(await settleWhole(queue, lease)).toBe("stored");
    expect(await drain(queue, id)).toBe(stored);
    expect(firstFault(await readOutcomes(queue, id, { order: "index" }))).toBe(stored + 1);
  }

  /** Returns the lease of the first chunk, which a settlement too large for the disk did not use up. */
  async function addUntilFull(queue: SqliteQueue, id: RunId): Promise<Lease> {
    await queue.addChunks(id, [large(0)]);
    const lease = await claimOne(queue, id);
    const full = { code: "disk.full", retryable: true };
    for (let lo = 1; lo < 1000; lo += 2) {
      // Two in one batch: neither is stored when the batch is not.
      const both = await Promise.allSettled([queue.addChunks(id, [large(lo)]), queue.addChunks(id, [large(lo + 1)])]);
      expect(both[0].status).toBe(both[1].status);
      if (both[0].status === "fulfilled") continue;
      expect(both[0].reason).toMatchObject(full);
      const result = { lo: 0, count: 1, errors: 0, body: Buffer.alloc(5_000_000) };
      await expect(queue.settle(lease, { results: [result], children: [] })).rejects.toMatchObject(full);
      expect(await queue.job(id)).toMatchObject({ accepted: lo });
      return lease;
    }
    throw new Error("The disk never became full.");
  }
});

/** Mounts a disk of 6 MB, where the tests may do so. */
function mountSmallDisk(mount: string): Disposable & { isMounted: boolean } {
  const isMounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=6m", "tmpfs", mount]).status === 0;
  return { isMounted, [Symbol.dispose]: () => void (isMounted && execFileSync("umount", ["--lazy", mount])) };
}

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
