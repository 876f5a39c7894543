import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export interface CommandResult {
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  input?: string | Uint8Array;
  timeoutMs?: number;
}

/** Runs a program to its end. */
export function execute(
  [command, ...args]: readonly [string, ...string[]],
  { input, timeoutMs = 60_000 }: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.stdin.on("error", () => undefined).end(input);
    const timer = setTimeout(() => {
      stderr += `\n[ended after ${timeoutMs} ms]`;
      child.kill("SIGKILL");
    }, timeoutMs);
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status, stdout, stderr });
    });
  });
}

/** The same, and rejects unless its status is 0. */
export async function executed(command: readonly [string, ...string[]], options?: CommandOptions): Promise<string> {
  const { status, stdout, stderr } = await execute(command, options);
  if (status !== 0) throw new Error(`\`${command.join(" ")}\` failed with ${status}: ${stderr || stdout}`);
  return stdout;
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

export interface MachineProcess {
  /** As the machine numbers it. */
  pid: number;
  /** As this computer numbers it. */
  hostPid: number;
  /** Its arguments, between spaces. */
  command: string;
  /** As in /proc: `R`, `S`, `T` for stopped, `Z` for a zombie. */
  state: string;
}

/** The processes in the pid namespace of a process, that one among them. */
export function processesBeside(hostPid: number): MachineProcess[] {
  const namespace = linkOf(hostPid);
  if (namespace === undefined) return [];
  return pids().flatMap((each) => {
    if (linkOf(each) !== namespace) return [];
    try {
      const status = readFileSync(`/proc/${each}/status`, "utf8");
      const pid = Number(/^NSpid:.*\s(\d+)$/m.exec(status)?.[1]);
      const state = /^State:\s+(\S)/m.exec(status)?.[1] ?? "?";
      const command = readFileSync(`/proc/${each}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      return [{ pid, hostPid: each, state, command: command || `[${/^Name:\s+(.*)$/m.exec(status)?.[1]}]` }];
    } catch {
      return [];
    }
  });
}

/** The children of a process of this computer. */
export function childrenOf(hostPid: number): number[] {
  return pids().filter((pid) => {
    try {
      return new RegExp(`^PPid:\\s+${hostPid}$`, "m").test(readFileSync(`/proc/${pid}/status`, "utf8"));
    } catch {
      return false;
    }
  });
}

function pids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function linkOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}
