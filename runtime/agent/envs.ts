import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { EnvStatus } from "../protocol/messages/envs.ts";
import type { InstallRequest } from "../spec/env.ts";
import { FarcallError, isDiskFull, messageOf } from "../spec/errors.ts";
import { ensurePrivateFolder } from "../spec/home.ts";
import { isAlive } from "../spec/processes.ts";
import { installPackages } from "./npmInstall.ts";

export interface InstalledEnv {
  /** The same for equal requests on the same platform and major version of Node. */
  id: string;
  /** Holds package.json, package-lock.json, node_modules and ready.json; only the first and last without packages. */
  folder: string;
  state: "reused" | "installed";
}

export interface InstallOptions {
  /** Leaves the install; it is ended when nobody waits for it any more. */
  signal?: AbortSignal;
  /** Called with each line npm prints. */
  onOutput?: (line: string) => void;
  /** Default 15 minutes, counted from the first caller who asked for this env. */
  timeoutMs?: number;
}

export interface EnvStoreOptions {
  /** `NAME=value`, put into the environment of npm and its scripts, by which they can be found if this process dies. */
  marker?: string;
  /** Called with the id of each process group that is started. */
  onGroup?: (pid: number) => void;
}

interface Job {
  promise: Promise<InstalledEnv>;
  stop: AbortController;
  listeners: Set<(line: string) => void>;
  waiting: number;
}

const defaultTimeoutMs = 15 * 60_000;
const marker = "ready.json";
/** `.tmp-<process id>-<random>` */
const temporaryPattern = /^\.tmp-(\d+)-[0-9a-f]+$/;

/**
 * The installed packages of a node's envs, one folder for each different request.
 *
 * An env is installed into a temporary folder and renamed into place when it is whole, so a folder with an
 * env's id is always complete, whoever was killed meanwhile. What the registry serves is compared with the
 * project's lockfile before any install script may run.
 */
export class EnvStore {
  readonly #folder: string;
  readonly #options: EnvStoreOptions;
  readonly #jobs = new Map<string, Job>();
  /** Why the last install failed, by id. */
  readonly #failures = new Map<string, string>();
  readonly #sizes = new Map<string, number>();
  readonly #measuring = new Set<string>();

  /** `folder` is made if it is missing, readable by its owner alone. */
  constructor(folder: string, options: EnvStoreOptions = {}) {
    this.#folder = ensurePrivateFolder(folder);
    this.#options = options;
  }

  /** Removes what processes left behind that were killed during an install. To be called at the start of an agent. */
  async sweep(): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      const pid = temporaryPattern.exec(name)?.[1];
      if (pid !== undefined && !isAlive(Number(pid))) await remove(join(this.#folder, name));
    }
  }

  /**
   * Makes sure that the packages are installed. Callers that ask for the same env at the same time share one
   * install. Throws `env.install-failed` or `disk.full`, and the reason of `signal` when that aborts; nothing
   * is left of an install that failed.
   */
  async install(request: InstallRequest, options: InstallOptions = {}): Promise<InstalledEnv> {
    const { signal, onOutput } = options;
    const id = envId(request);
    let job = this.#jobs.get(id);
    while (job?.stop.signal.aborted) {
      await job.promise.catch(() => undefined);
      job = this.#jobs.get(id);
    }
    signal?.throwIfAborted();
    job ??= this.#start(id, request, options.timeoutMs ?? defaultTimeoutMs);

    const shared = job;
    if (onOutput) shared.listeners.add(onOutput);
    shared.waiting++;
    let left = false;
    const leave = (): void => {
      if (left) return;
      left = true;
      if (onOutput) shared.listeners.delete(onOutput);
      if (--shared.waiting === 0 && signal?.aborted) shared.stop.abort(signal.reason);
    };
    const aborted = Promise.withResolvers<never>();
    const onAbort = (): void => {
      leave();
      // The last one stays until npm is gone and its folder removed.
      if (shared.waiting > 0) aborted.reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([shared.promise, aborted.promise]);
    } finally {
      signal?.removeEventListener("abort", onAbort);
      leave();
    }
  }

  /** How it stands with an env. Its size is measured when first asked for, and null until then. */
  async status(
    id: string,
  ): Promise<{ state: EnvStatus["state"]; error: string | undefined; sizeBytes: number | null }> {
    const error = this.#failures.get(id);
    if (this.#jobs.has(id)) return { state: "installing", error: undefined, sizeBytes: null };
    const ready = await isReady(join(this.#folder, id));
    if (!ready) return { state: error === undefined ? "absent" : "failed", error, sizeBytes: null };
    const sizeBytes = this.#sizes.get(id) ?? null;
    if (sizeBytes === null) void this.#measure(id);
    return { state: "ready", error: undefined, sizeBytes };
  }

  /** Removes what is installed for an env; nobody may be using it. */
  async remove(id: string): Promise<void> {
    await this.#jobs.get(id)?.promise.catch(() => undefined);
    this.#failures.delete(id);
    this.#sizes.delete(id);
    // Renamed first, so that a folder with an env's id is always complete.
    const temporary = temporaryName(this.#folder);
    const gone = await rename(join(this.#folder, id), temporary).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return false;
        throw error;
      },
    );
    if (gone) await remove(temporary);
  }

  async #measure(id: string): Promise<void> {
    if (this.#measuring.has(id)) return;
    this.#measuring.add(id);
    try {
      this.#sizes.set(id, await sizeOf(join(this.#folder, id, "node_modules")));
    } catch {
      // It is being removed.
    } finally {
      this.#measuring.delete(id);
    }
  }

  #start(id: string, request: InstallRequest, timeoutMs: number): Job {
    const stop = new AbortController();
    const listeners = new Set<(line: string) => void>();
    const tooLong = new FarcallError(
      "env.install-failed",
      `Cannot install the packages of an env: npm did not finish within ${Math.round(timeoutMs / 1000)} s.`,
      {
        hint: "Check how fast the node reaches the npm registry, and whether an install script waits for something.",
        retryable: true,
      },
    );
    const timer = setTimeout(() => stop.abort(tooLong), timeoutMs);
    const onOutput = (line: string): void => listeners.forEach((listener) => listener(line));
    this.#failures.delete(id);
    const promise = this.#make(id, request, stop.signal, onOutput)
      .catch((error: unknown) => {
        this.#failures.set(id, messageOf(error));
        throw error;
      })
      .finally(() => {
        clearTimeout(timer);
        this.#jobs.delete(id);
      });
    const job = { promise, stop, listeners, waiting: 0 };
    this.#jobs.set(id, job);
    return job;
  }

  async #make(
    id: string,
    request: InstallRequest,
    signal: AbortSignal,
    onOutput: (line: string) => void,
  ): Promise<InstalledEnv> {
    const folder = join(this.#folder, id);
    if (await isReady(folder)) return { id, folder, state: "reused" };
    const temporary = temporaryName(this.#folder);
    try {
      await mkdir(temporary, { mode: 0o700 });
      await installPackages(request, { ...this.#options, cwd: temporary, signal, onOutput });
      signal.throwIfAborted();
      await writeFile(
        join(temporary, marker),
        JSON.stringify({ request, node: process.version, createdAtMs: Date.now() }),
      );
      const placed = await place(temporary, folder);
      return { id, folder, state: placed ? "installed" : "reused" };
    } catch (thrown) {
      if (!isDiskFull(thrown)) throw thrown;
      throw new FarcallError(
        "disk.full",
        `Cannot install the packages of an env into ${this.#folder}: ${messageOf(thrown)}.`,
        {
          hint: "Free space on the disk of the node.",
          cause: thrown,
        },
      );
    } finally {
      await remove(temporary);
    }
  }
}

/** The name of the folder of an env: whatever may change what npm installs is in it. */
export function envId(request: InstallRequest): string {
  const scripts = request.allowScripts;
  const allowScripts = Array.isArray(scripts) ? scripts.length > 0 && scripts.toSorted() : scripts;
  const { platform, arch, versions } = process;
  const key = {
    request: { ...request, allowScripts },
    platform,
    arch,
    node: versions.node.split(".", 1)[0],
    abi: versions.modules,
  };
  return createHash("sha256").update(canonicalJson(key)).digest("hex").slice(0, 32);
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** False when another process has put the same env there meanwhile. */
async function place(temporary: string, folder: string): Promise<boolean> {
  try {
    await rename(temporary, folder);
  } catch (thrown) {
    if (await isReady(folder)) return false;
    if (isDiskFull(thrown)) throw thrown;
    // Something without a marker is in the way, and nobody can be using it.
    await remove(folder);
    await rename(temporary, folder);
  }
  return true;
}

function temporaryName(folder: string): string {
  return join(folder, `.tmp-${process.pid}-${randomBytes(6).toString("hex")}`);
}

/** Bytes of all files below a folder; 0 when there is none. */
async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += await sizeOf(path);
    else if (entry.isFile()) bytes += (await stat(path)).size;
  }
  return bytes;
}

async function isReady(folder: string): Promise<boolean> {
  return readFile(join(folder, marker)).then(
    () => true,
    () => false,
  );
}

async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
