import { createHash } from "node:crypto";
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/**
 * Ends every process that this agent's replicas started, also when the agent was killed and could not.
 *
 * Workers end themselves when their pipe closes, but one in an endless loop never sees that. So a small shell
 * waits beside the agent for the end of its own standard input, which comes however the agent dies. Processes
 * are known by a variable in their environment, as it outlives `setsid` and double forks, and process ids are
 * used again. Where there is no /proc (macOS), process groups have to do.
 */
export const markerVariable = "FARCALL_AGENT";

/** How the mark of every agent of a folder begins, so that a later one finds what an earlier one left. */
export function markerOf(folder: string): string {
  return `${markerVariable}=${createHash("sha256").update(folder).digest("hex").slice(0, 24)}`;
}

const script = `
groups=
while read -r group; do
  case $group in
    -*)
      kept=
      for each in $groups; do [ "-$each" = "$group" ] || kept="$kept $each"; done
      groups=$kept
      ;;
    *) groups="$groups $group" ;;
  esac
done
if [ -r /proc/self/environ ]; then
  for round in 1 2; do
    for file in /proc/[0-9]*/environ; do
      if grep -q "$1" "$file" 2>/dev/null; then
        pid=\${file#/proc/}
        pid=\${pid%/environ}
        kill -9 -- "-$pid" 2>/dev/null
        kill -9 "$pid" 2>/dev/null
      fi
    done
  done
else
  for group in $groups; do kill -9 -- "-$group" 2>/dev/null; done
fi
`;

export class Reaper implements Disposable {
  readonly #marker: string;
  #shell: ChildProcess | undefined;
  #disposed = false;
  readonly #groups = new Set<number>();

  /** `marker` is a name=value pair of the environment of every process to end. */
  constructor(marker: string) {
    this.#marker = marker;
    if (process.platform !== "win32") this.#start();
  }

  /** Tells the reaper of a process group. */
  add(group: number): void {
    this.#groups.add(group);
    this.#shell?.stdin?.write(`${group}\n`);
  }

  /** Tells it that a group is gone: its id may soon be somebody else's. */
  remove(group: number): void {
    this.#groups.delete(group);
    this.#shell?.stdin?.write(`-${group}\n`);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#shell?.stdin?.end();
  }

  #start(): void {
    const shell = spawn("/bin/sh", ["-c", script, "farcall-reaper", this.#marker], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
      cwd: "/",
    });
    shell.on("error", () => undefined);
    shell.stdin.on("error", () => undefined);
    shell.on("exit", () => {
      if (!this.#disposed && this.#shell === shell) this.#start();
    });
    shell.unref();
    (shell.stdin as unknown as { unref(): void }).unref();
    this.#shell = shell;
    for (const group of this.#groups) shell.stdin.write(`${group}\n`);
  }
}

/** Ends what an earlier agent of the same folder left behind. Only for an agent that holds the lock. */
export function sweepLeftovers(marker: string): number {
  let ended = 0;
  for (const entry of listProcesses()) {
    const pid = Number(entry);
    if (pid === process.pid || !environmentOf(pid).includes(marker)) continue;
    killTree(pid);
    ended++;
  }
  return ended;
}

/** Kills a process and, when it leads a group, the group. */
export function killTree(pid: number): void {
  killGroup(pid);
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It is gone.
  }
}

/** Kills what is left of a group whose leader may have ended; the system keeps its id reserved while any is left. */
export function killGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch {
    // Nobody is left, or there are no groups here (Windows).
  }
}

function listProcesses(): string[] {
  try {
    return readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1");
  } catch {
    return "";
  }
}
