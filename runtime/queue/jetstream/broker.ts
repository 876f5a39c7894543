/**
 * A seat: nats-server as a process of its own, which goes on when the agent that started it dies. The next agent
 * finds it by its pid file and watches it from there; when it dies itself it is started again on the same store.
 * Everything it has lies in one folder.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FarcallError, messageOf } from "../../spec/errors.ts";
import { ensurePrivateFolder } from "../../spec/home.ts";
import { isAlive } from "../../spec/processes.ts";
import { brokerConfig, type SeatConfig, type SeatFiles } from "./brokerConfig.ts";
import { type BrokerAddress, Connection } from "./connection.ts";

export interface BrokerOptions {
  /** The nats-server to run. */
  program: string;
  folder: string;
  /** How much memory it should try to keep to. */
  memoryBytes: number;
  /** Called when it was found dead and started again. */
  onRestart?: (why: string) => void;
}

const watchEveryMs = 250;
const firstPauseMs = 100;
const longestPauseMs = 5_000;
/** One that ran for so long did not die of its own start. */
const settledMs = 30_000;
const endMs = 15_000;
const probeMs = 500;
const logLines = 5;

export class Broker {
  readonly #options: BrokerOptions;
  readonly #files: SeatFiles & { config: string };
  readonly #stop = new AbortController();
  #pid: number | undefined;
  /** If it was started by this process, and has not ended. */
  #child: ChildProcess | undefined;
  #watching: Promise<void> = Promise.resolve();

  constructor(options: BrokerOptions) {
    this.#options = options;
    const at = (name: string): string => join(options.folder, name);
    this.#files = {
      config: at("nats.conf"),
      store: at("store"),
      log: at("nats.log"),
      pid: at("nats.pid"),
      ca: at("ca.pem"),
      cert: at("seat.pem"),
      key: at("seat.key"),
    };
  }

  get pid(): number | undefined {
    return this.#pid;
  }

  /** Whether no server has ever stored anything here. */
  get isNew(): boolean {
    return !existsSync(this.#files.store);
  }

  /** Takes over the server that runs in the folder, or starts one, and watches it. */
  start(seat: SeatConfig): void {
    ensurePrivateFolder(this.#options.folder);
    const before = placesIn(read(this.#files.config));
    const changed = this.#write(seat);
    this.#pid = this.#running();
    if (this.#pid === undefined) this.#spawn();
    // Where it listens a server cannot change while it runs. What watches starts it again.
    else if (placesIn(read(this.#files.config)) !== before) signalTo(this.#pid, "SIGTERM");
    else if (changed) signalTo(this.#pid, "SIGHUP");
    this.#watching = this.#watch();
  }

  /** Other users, from now on, without a pause. */
  reload(seat: SeatConfig): void {
    if (this.#write(seat) && this.#pid !== undefined) signalTo(this.#pid, "SIGHUP");
  }

  /** Waits until streams can be used; of three seats, two have to be up. Throws `agent.start-failed`. */
  async ready(address: BrokerAddress, withinMs: number): Promise<void> {
    const deadlineMs = performance.now() + withinMs;
    for (;;) {
      let why: unknown;
      try {
        const connection = await Connection.open(address);
        try {
          await connection.manager.getAccountInfo();
          return;
        } finally {
          await connection.close();
        }
      } catch (error) {
        why = error;
        if (error instanceof FarcallError && !error.retryable) throw error;
      }
      if (performance.now() > deadlineMs) {
        throw new FarcallError(
          "agent.start-failed",
          `The broker does not answer: ${messageOf(why)}. ${this.#lastWords()}`,
          {
            cause: why,
            hint: `Its log is ${this.#files.log}.`,
          },
        );
      }
      await sleep(probeMs / 10);
    }
  }

  /** Leaves it running, for the next agent. */
  async leave(): Promise<void> {
    this.#stop.abort();
    await this.#watching;
  }

  /** Ends it; what is stored stays. */
  async end(): Promise<void> {
    await this.leave();
    // One that was started a moment ago has not written its number yet.
    const pid = this.#running() ?? this.#child?.pid;
    if (pid === undefined) return;
    signalTo(pid, "SIGTERM");
    const deadlineMs = performance.now() + endMs;
    while (isAlive(pid)) {
      if (performance.now() > deadlineMs) signalTo(pid, "SIGKILL");
      await sleep(watchEveryMs / 10);
    }
    rmSync(this.#files.pid, { force: true });
    this.#pid = undefined;
  }

  /** True when the configuration is another than before. */
  #write(seat: SeatConfig): boolean {
    const { config, ca, cert, key } = this.#files;
    const put = (file: string, content: string): boolean => {
      if (read(file) === content) return false;
      writeFileSync(file, content, { mode: 0o600 });
      return true;
    };
    const { tls } = seat;
    const changes = [
      put(config, brokerConfig(seat, this.#files)),
      ...(tls ? [put(ca, tls.ca), put(cert, tls.cert), put(key, tls.key)] : []),
    ];
    return changes.includes(true);
  }

  /** The process that the pid file names, if it is still the one that wrote it. */
  #running(): number | undefined {
    const pid = Number(read(this.#files.pid));
    if (!Number.isSafeInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined;
    // Numbers of processes are used again, after a reboot above all.
    const command = read(`/proc/${pid}/cmdline`);
    return command === undefined || command.split("\0").includes(this.#files.config) ? pid : undefined;
  }

  #spawn(): void {
    const { program, folder, memoryBytes } = this.#options;
    const child = spawn(program, ["-c", this.#files.config], {
      cwd: folder,
      // In a group of its own and without the agent's mark, so that the end of an agent is not its own.
      detached: true,
      stdio: "ignore",
      env: { ...kept("PATH"), ...kept("FARCALL_NODE"), GOMEMLIMIT: String(memoryBytes) },
    });
    // A program that cannot be started is one that died at once.
    child.on("error", () => undefined);
    child.on("exit", () => {
      if (this.#child === child) this.#child = undefined;
    });
    child.unref();
    this.#child = child;
    this.#pid = child.pid;
  }

  async #watch(): Promise<void> {
    let pauseMs = firstPauseMs;
    let sinceMs = performance.now();
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await sleep(watchEveryMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted || (this.#pid !== undefined && isAlive(this.#pid))) continue;
      if (performance.now() - sinceMs > settledMs) pauseMs = firstPauseMs;
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      pauseMs = Math.min(2 * pauseMs, longestPauseMs);
      sinceMs = performance.now();
      // One that was started just before its agent died may have written its number only now.
      this.#pid = this.#running();
      if (this.#pid !== undefined) continue;
      const why = this.#lastWords();
      this.#spawn();
      this.#options.onRestart?.(why);
    }
  }

  #lastWords(): string {
    return (read(this.#files.log) ?? "").trimEnd().split("\n").slice(-logLines).join(" ");
  }
}

/** One that has just died needs no signal. */
function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Where a server of this configuration listens, and where it looks for the others. */
function placesIn(config: string | undefined): string {
  return (config?.match(/^\s*(?:listen|routes): .*$/gm) ?? []).join("\n");
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** A variable of this process, if it is set. The second names what a machine was lent to, for whoever clears up. */
function kept(name: "PATH" | "FARCALL_NODE"): NodeJS.ProcessEnv {
  const value = process.env[name];
  return value === undefined ? {} : { [name]: value };
}
