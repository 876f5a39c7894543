import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createHash } from "node:crypto";
import { inspect } from "node:util";
import { Cluster, type ClusterOptions } from "farcall";

/**
 * A Farcall of a test's own: a home, a project folder, the real command line and the real library. When it is
 * disposed of, its agent is ended and nothing that it or its workers started may be left.
 */
export interface CliResult {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface CliOptions {
  input?: string;
  env?: Record<string, string>;
  cwd?: string;
  timeoutMs?: number;
  /** The folder of another build than the one that tests are about. */
  build?: string;
}

const root = join(import.meta.dirname, "../..");
const dist = join(root, "dist");
const leftoversGraceMs = 8_000;

export class TestHome implements AsyncDisposable {
  readonly path: string;
  readonly project: string;
  readonly #folder: string;
  readonly #clusters: Cluster[] = [];
  readonly #children = new Set<ChildProcess>();

  private constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, "home");
    this.project = join(folder, "project");
  }

  static async create(): Promise<TestHome> {
    const folder = await mkdtemp(join(tmpdir(), "farcall-test-"));
    const home = new TestHome(folder);
    await mkdir(home.project, { recursive: true });
    await writeFile(join(home.project, "package.json"), '{ "type": "module" }\n');
    return home;
  }

  /** Writes a file of the project and returns its path. */
  async write(name: string, text: string | Uint8Array): Promise<string> {
    const file = join(this.project, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    return file;
  }

  /** The local cluster of this home, in this process. Logs are ignored unless asked for. */
  cluster(options: ClusterOptions = { logs: "ignore" }): Cluster {
    const before = process.env["FARCALL_HOME"];
    process.env["FARCALL_HOME"] = this.path;
    try {
      const cluster = new Cluster("local", options);
      this.#clusters.push(cluster);
      return cluster;
    } finally {
      if (before === undefined) delete process.env["FARCALL_HOME"];
      else process.env["FARCALL_HOME"] = before;
    }
  }

  /** Starts the command line, for tests that act on it while it runs. */
  spawnCli(args: readonly string[], options: CliOptions = {}): ChildProcess {
    const child = spawn(process.execPath, [join(options.build ?? dist, "cli.js"), ...args], {
      cwd: options.cwd ?? this.project,
      env: this.environment(options.env),
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#children.add(child);
    child.on("exit", () => this.#children.delete(child));
    child.stdin?.on("error", () => undefined);
    return child;
  }

  /** Runs the command line to its end. */
  async cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    const child = this.spawnCli(args, options);
    child.stdin?.end(options.input ?? "");
    return outcomeOf(child, options.timeoutMs);
  }

  environment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
    const environment: NodeJS.ProcessEnv = {};
    for (const [name, value] of Object.entries(process.env)) {
      if (!/^(VITEST|FARCALL|NODE_OPTIONS)/.test(name)) environment[name] = value;
    }
    return { ...environment, FARCALL_HOME: this.path, NO_COLOR: "1", ...extra };
  }

  /** The agent's process, while there is one. */
  agentPid(): number | undefined {
    return this.#agentPids()[0];
  }

  /** More than one while those that came too late have not gone yet. */
  #agentPids(): number[] {
    return processes()
      .filter(
        ({ commandLine }) => commandLine.includes(`${join(this.path, "local")}\0`) && commandLine.includes("agent.js"),
      )
      .map(({ pid }) => pid);
  }

  /** Worker processes, and whatever they started. */
  workerPids(): number[] {
    const marker = `FARCALL_AGENT=${createHash("sha256").update(join(this.path, "local")).digest("hex").slice(0, 24)}`;
    return processes()
      .filter(({ environment }) => environment.includes(marker))
      .map(({ pid }) => pid);
  }

  /** Everything that belongs to this home and still runs, as pid and command line. */
  leftovers(): string[] {
    const workers = new Set(this.workerPids());
    return processes()
      .filter(
        ({ pid, commandLine, environment }) =>
          pid !== process.pid &&
          (workers.has(pid) || commandLine.includes(this.#folder) || environment.includes(`FARCALL_HOME=${this.path}`)),
      )
      .map(({ pid, commandLine }) => `${pid} ${commandLine.replaceAll("\0", " ")}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const cluster of this.#clusters) cluster.close();
    for (const child of this.#children) child.kill("SIGKILL");
    for (const agent of this.#agentPids()) {
      try {
        process.kill(agent, "SIGTERM");
      } catch {
        // It has gone by itself.
      }
    }
    const left = await until(
      () => this.leftovers(),
      (found) => found.length === 0,
      leftoversGraceMs,
    ).catch(() => this.leftovers());
    for (const line of left) process.kill(Number.parseInt(line, 10), "SIGKILL");
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
    if (left.length > 0) throw new Error(`Left running:\n${left.join("\n")}`);
  }
}

/** Waits for a process and returns how it ended and what it said. */
export function outcomeOf(child: ChildProcess, timeoutMs = 60_000): Promise<CliResult> {
  return new Promise((resolve) => {
    let stdout = "";
    let stderr = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const timer = setTimeout(() => {
      stderr += `\n[the test ended it after ${timeoutMs} ms]`;
      child.kill("SIGKILL");
    }, timeoutMs);
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      resolve({ status, signal, stdout, stderr });
    });
  });
}

/** Looks again and again until `isGood`, for at most `withinMs`, and returns what was seen. Throws with what was seen last. */
export async function until<T>(
  look: () => T | Promise<T>,
  isGood: (seen: T) => boolean,
  withinMs = 10_000,
): Promise<T> {
  const deadlineMs = Date.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (isGood(seen)) return seen;
    if (Date.now() > deadlineMs) throw new Error(`It was not so within ${withinMs} ms. Seen last: ${shown(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

const maxShownChars = 2_000;

function shown(seen: unknown): string {
  const text = inspect(seen, { depth: 4, breakLength: 120 });
  return text.length > maxShownChars ? `${text.slice(0, maxShownChars)}…` : text;
}

interface ProcessInfo {
  pid: number;
  commandLine: string;
  environment: string;
}

function processes(): ProcessInfo[] {
  if (!existsSync("/proc")) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        return [
          {
            pid: Number(name),
            commandLine: readFileSync(`/proc/${name}/cmdline`, "utf8"),
            environment: readFileSync(`/proc/${name}/environ`, "utf8"),
          },
        ].filter(({ commandLine }) => commandLine !== "");
      } catch {
        return [];
      }
    });
}

export function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}
