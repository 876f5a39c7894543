import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { workerMethods, workerNotices, type WorkerMethods } from "../protocol/messages/worker.ts";
import type { ExportInfo } from "../protocol/messages/code.ts";
import { decodeError } from "../protocol/codec.ts";
import { Peer } from "../protocol/rpc.ts";
import { FarcallError, messageOf } from "../spec/errors.ts";
import { streamTransport } from "../transport/stream.ts";
import { type Death, describeDeath, type KillReason, readJournal, tailOf } from "./death.ts";
import { killGroup, killTree, markerVariable } from "./reaper.ts";

/** One worker process and the pipe to it. */

export interface ReplicaOptions {
  id: number;
  workerFile: string;
  /** Holds what this replica writes: journal, raw output. */
  folder: string;
  marker: string;
  vars: Record<string, string>;
  memoryMiB: number | null;
  compileCache: string;
  onOutput(run: string): void;
  onGroup(pid: number): void;
  /** Called when the process is gone and its raw output is still there to be read. */
  onLastOutput(replica: Replica): void;
}

const bootTimeoutMs = 30_000;
/** Between asking a worker to end and making it. */
const graceMs = 2_000;
/** What a worker inherits of the agent's own environment, and nothing else: the rest may hold secrets. */
const inherited = [
  "PATH",
  "HOME",
  "USER",
  "LOGNAME",
  "LANG",
  "LC_ALL",
  "TZ",
  "TMPDIR",
  "SHELL",
  "SystemRoot",
  "TEMP",
  "TMP",
  "USERPROFILE",
];
const outOfMemoryPattern = /heap out of memory|Allocation failed|Array buffer allocation failed/;

export class Replica {
  readonly id: number;
  readonly #options: ReplicaOptions;
  readonly #child: ChildProcess;
  readonly peer: Peer<WorkerMethods, typeof workerNotices>;
  readonly died: Promise<Death>;
  readonly #ready = Promise.withResolvers<void>();
  #killedFor: KillReason | undefined;
  #dead = false;

  constructor(options: ReplicaOptions) {
    this.id = options.id;
    this.#options = options;
    const out = openSync(this.outputFile("stdout"), "a", 0o600);
    const err = openSync(this.outputFile("stderr"), "a", 0o600);
    try {
      this.#child = spawn(process.execPath, this.#arguments(), {
        detached: process.platform !== "win32",
        stdio: ["ignore", out, err, "pipe"],
        env: this.#environment(),
        cwd: options.folder,
        windowsHide: true,
      });
    } finally {
      closeSync(out);
      closeSync(err);
    }
    const child = this.#child;
    this.died = new Promise((resolve) => {
      child.on("error", (error) => {
        this.#ready.reject(
          new FarcallError("worker.crashed", `A worker process cannot be started: ${messageOf(error)}.`, {
            cause: error,
          }),
        );
        if (child.pid === undefined) resolve(this.#describe(null, null));
      });
      child.on("exit", (code, signal) => resolve(this.#describe(code, signal)));
    });
    void this.died.then(() => this.#afterDeath());
    this.#ready.promise.catch(() => undefined);
    this.peer = new Peer(streamTransport(child.stdio[3] as Socket), workerMethods, {
      methods: workerNotices,
      handlers: {
        ready: () => {
          this.#ready.resolve();
          return { result: {} };
        },
        output: ({ run }) => {
          options.onOutput(run);
          return { result: {} };
        },
      },
      // A worker whose pipe closed ends itself; one whose user code closed the pipe may not.
      onClose: () => setTimeout(() => this.kill("stopped"), graceMs).unref(),
    });
    if (child.pid !== undefined) options.onGroup(child.pid);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isDead(): boolean {
    return this.#dead;
  }

  /** What the worker says it is doing, at any time. */
  readJournal(): ReturnType<typeof readJournal> {
    return readJournal(this.#journalFile);
  }

  get #journalFile(): string {
    return join(this.#options.folder, `${this.id}.journal`);
  }

  outputFile(stream: "stdout" | "stderr"): string {
    return join(this.#options.folder, `${this.id}.${stream}`);
  }

  /** Waits for the process to be up, imports the bundle in it and returns what it exports. */
  async load(folder: string, entry: string, commonJs: boolean): Promise<ExportInfo[]> {
    const timer = setTimeout(
      () =>
        this.#ready.reject(
          new FarcallError("worker.crashed", `A worker process was not ready within ${bootTimeoutMs / 1000} s.`),
        ),
      bootTimeoutMs,
    );
    try {
      await this.#ready.promise;
      const { value, body } = await this.#loadOrDie({ folder, entry, commonJs });
      if (value.ok) return value.exports;
      const cause = decodeError(body);
      throw new FarcallError(
        "bundle.import-failed",
        `The module threw while it was imported: ${cause.name}: ${cause.message}`,
        { cause },
      );
    } finally {
      clearTimeout(timer);
    }
  }

  async #loadOrDie(params: { folder: string; entry: string; commonJs: boolean }) {
    try {
      return await this.peer.request("load", params);
    } catch (error) {
      if (!(error instanceof FarcallError && error.code === "connection.lost")) throw error;
      const death = await this.died;
      const { message } = describeDeath(death, 1);
      // An orderly end comes again every time; of a violent one nobody knows.
      if (death.note)
        throw new FarcallError(
          "bundle.import-failed",
          `The module ended its process while it was imported: ${message}`,
        );
      throw new FarcallError("worker.crashed", `A worker ended while it imported the module: ${message}`, {
        retryable: true,
      });
    }
  }

  /** Imports files ahead of the bundle that will. Never rejects. */
  async warm(files: string[]): Promise<void> {
    await this.#ready.promise.then(() => this.peer.request("warm", { files })).catch(() => undefined);
  }

  /** Ends the process, at once, with all it started. */
  kill(reason: KillReason): void {
    if (this.#dead) return;
    this.#killedFor ??= reason;
    if (this.pid) killTree(this.pid);
  }

  /** Lets the process end, and makes it after a grace. */
  async stop(reason: KillReason): Promise<void> {
    if (this.#dead) return;
    this.#killedFor ??= reason;
    this.peer.close();
    const timer = setTimeout(() => this.kill(reason), graceMs);
    await this.died;
    clearTimeout(timer);
  }

  /** Resident memory of the worker process in MiB; 0 where the system does not say. */
  residentMiB(): number {
    const pageBytes = 4096;
    try {
      const pages = Number(readFileSync(`/proc/${this.pid}/statm`, "utf8").split(" ")[1]);
      return (pages * pageBytes) / 2 ** 20;
    } catch {
      return 0;
    }
  }

  /** New raw output since `from`, and where to go on. Files over `capBytes` are emptied: nobody reads that far back. */
  rawOutput(stream: "stdout" | "stderr", from: number, capBytes: number): { text: string; next: number } {
    const file = this.outputFile(stream);
    try {
      const { size } = statSync(file);
      if (size <= from) return { text: "", next: Math.min(size, from) };
      const text = tailOf(file, Math.min(size - from, capBytes));
      if (size <= capBytes) return { text, next: size };
      // The worker appends, so emptying the file makes it go on from the start.
      const descriptor = openSync(file, "r+");
      ftruncateSync(descriptor, 0);
      closeSync(descriptor);
      return { text, next: 0 };
    } catch {
      return { text: "", next: from };
    }
  }

  #arguments(): string[] {
    const { memoryMiB, workerFile } = this.#options;
    const flags = ["--disable-warning=ExperimentalWarning"];
    if (memoryMiB !== null) flags.push(`--max-old-space-size=${memoryMiB}`);
    return [...flags, workerFile];
  }

  #environment(): NodeJS.ProcessEnv {
    const environment: NodeJS.ProcessEnv = {};
    for (const name of inherited) {
      const value = process.env[name];
      if (value !== undefined) environment[name] = value;
    }
    const [markerName = markerVariable, markerValue = ""] = this.#options.marker.split("=");
    return {
      ...environment,
      // Where the agent is Electron, which must be Node to the worker and whatever that starts.
      ...(process.versions["electron"] === undefined ? {} : { ELECTRON_RUN_AS_NODE: "1" }),
      ...this.#options.vars,
      [markerName]: markerValue,
      FARCALL_JOURNAL: this.#journalFile,
      FARCALL_COMPILE_CACHE: this.#options.compileCache,
    };
  }

  #describe(exitCode: number | null, signal: NodeJS.Signals | null): Death {
    const { note, ...journal } = readJournal(this.#journalFile);
    const aborted = signal === "SIGABRT" || signal === "SIGTRAP" || exitCode === 134;
    return {
      exitCode,
      signal,
      killedFor: this.#killedFor,
      note,
      journal,
      outOfMemory: aborted && outOfMemoryPattern.test(tailOf(this.outputFile("stderr"), 64 * 1024)),
    };
  }

  #afterDeath(): void {
    this.#dead = true;
    if (this.pid) killGroup(this.pid);
    this.#options.onLastOutput(this);
    this.#ready.reject(new FarcallError("worker.crashed", "The worker process ended while it was starting."));
    this.peer.destroy();
    for (const file of [this.#journalFile, this.outputFile("stdout"), this.outputFile("stderr")])
      rmSync(file, { force: true });
  }
}
