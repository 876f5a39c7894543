import { existsSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import type { MapQueue } from "../../runtime/queue/mapQueue.ts";

interface QueueLimits {
  leaseMs?: number;
  maxPendingBytes?: number;
}

/** Opens a queue whose state lives in `dir`, or connects to one that belongs to `dir`. */
export type OpenQueue = (dir: string, limits?: QueueLimits) => Promise<MapQueue>;

/** Folders that are removed, and queues that are closed, after each test. To be called inside `describe`. */
export function queueFixture(open: OpenQueue) {
  const queues: MapQueue[] = [];
  const dirs: string[] = [];
  afterEach(async () => {
    for (const queue of queues.splice(0)) await queue.close();
    for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
  });
  const newDir = (): string => {
    const dir = mkdtempSync(join(fastFolder(), "farcall-queue-"));
    dirs.push(dir);
    return dir;
  };
  const start = async (limits?: QueueLimits, dir = newDir()): Promise<MapQueue> => {
    const queue = await open(dir, limits);
    queues.push(queue);
    return queue;
  };
  return { newDir, start };
}

/** A folder in memory if there is one with room: a queue syncs its file whenever it is opened and closed. */
export function fastFolder(): string {
  const memory = "/dev/shm";
  if (!existsSync(memory)) return tmpdir();
  const { bavail, bsize } = statfsSync(memory);
  return bavail * bsize > 256 * 1024 * 1024 ? memory : tmpdir();
}
