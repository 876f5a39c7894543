/**
 * The same map through BullMQ on Redis: jobs added in bulk, worked by as many processes, results stored. What it needs is
 * installed where other downloads are kept, by whoever measures it alone.
 */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cacheFolder, withLock } from "../../scripts/packaging/cache.ts";
import { ensureDebianPackages, runQuietly } from "../support/debianPackages.ts";

interface Queue {
  addBulk(jobs: { name: string; data: number }[]): Promise<unknown>;
  getCompletedCount(): Promise<number>;
  waitUntilReady(): Promise<unknown>;
  close(): Promise<void>;
}

const packages = ["bullmq@6.7.0", "ioredis@5"];
/** Of Debian's redis-tools; it is the server when it is called so. The package of that name would start one for good. */
const redis = "/usr/bin/redis-check-rdb";
const bulk = 1_000;
const pollMs = 20;
const readyMs = 20_000;

/** Inputs a second. Rejects where it cannot be installed. */
export async function bullmqRate(folder: string, count: number, workers: number): Promise<number> {
  const modules = await ensureBullmq();
  await mkdir(folder, { recursive: true });
  const socket = join(folder, "redis.sock");
  const server = spawn(redis, ["--port", "0", "--unixsocket", socket, "--dir", folder, "--appendonly", "yes"], {
    argv0: "redis-server",
    stdio: "ignore",
  });
  const children: ChildProcess[] = [];
  try {
    const deadlineMs = performance.now() + readyMs;
    while (!existsSync(socket)) {
      if (performance.now() > deadlineMs) throw new Error("Redis did not start.");
      await sleep(pollMs);
    }
    for (let i = 0; i < workers; i++) {
      children.push(fork(join(import.meta.dirname, "bullmqWorker.mjs"), [modules, socket]));
    }
    await Promise.all(children.map((child) => once(child, "message", { signal: AbortSignal.timeout(readyMs) })));
    const { Queue } = createRequire(`${modules}/`)("bullmq") as {
      Queue: new (name: string, options: object) => Queue;
    };
    const queue = new Queue("bench", { connection: { path: socket } });
    await queue.waitUntilReady();
    const beganAtMs = performance.now();
    for (let at = 0; at < count; at += bulk) {
      await queue.addBulk(Array.from({ length: Math.min(bulk, count - at) }, (_, i) => ({ name: "x", data: at + i })));
    }
    while ((await queue.getCompletedCount()) < count) await sleep(pollMs);
    const ms = performance.now() - beganAtMs;
    await queue.close();
    return (count / ms) * 1_000;
  } finally {
    for (const child of children) child.kill("SIGKILL");
    server.kill("SIGKILL");
  }
}

/** The folder that it can be required from. */
async function ensureBullmq(): Promise<string> {
  await ensureDebianPackages(["redis-tools"], "measure BullMQ");
  const folder = cacheFolder(`bench-${packages.join("-")}`);
  await withLock(`${folder}.lock`, async () => {
    if (existsSync(join(folder, "node_modules/bullmq"))) return;
    await mkdir(folder, { recursive: true });
    await runQuietly(["npm", "install", "--no-audit", "--no-fund", "--prefix", folder, ...packages], folder);
  });
  return folder;
}
