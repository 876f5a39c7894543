import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { access, realpath } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { stripVTControlCharacters } from "node:util";
import { FarcallError, messageOf } from "../spec/errors.ts";

export interface NpmRun {
  cwd: string;
  /** Ends npm and all that it started. */
  signal: AbortSignal;
  /** Called with each line of npm's output, without colours. */
  onOutput: (line: string) => void;
  /** `NAME=value`, put into the environment of npm and all that it starts. */
  marker?: string | undefined;
  /** Called with the id of the process group npm leads, where there are such groups. */
  onGroup?: ((pid: number) => void) | undefined;
}

export interface NpmExit {
  /** Exit status, or undefined when a signal ended npm. */
  status: number | undefined;
  /** The last lines of its output, oldest first. */
  lines: string[];
}

const keptLines = 200;
const keptLineLength = 2000;
const graceMs = 2000;

/**
 * Runs npm without a shell. npm is run by this very Node wherever its script can be found, so that what it
 * builds fits the workers. Rejects with the reason of `signal`, once npm is gone.
 */
export async function runNpm(
  args: readonly string[],
  { cwd, signal, onOutput, marker = "", onGroup }: NpmRun,
): Promise<NpmExit> {
  const [command, ...first] = await findNpm();
  signal.throwIfAborted();
  const windows = process.platform === "win32";
  const equals = marker.indexOf("=");
  const marked = equals > 0 ? { [marker.slice(0, equals)]: marker.slice(equals + 1) } : {};
  const child = spawn(command, [...first, ...args], {
    cwd,
    env: { ...npmEnvironment(process.env, process.versions["electron"] !== undefined), ...marked },
    stdio: ["ignore", "pipe", "pipe"],
    // A process group of its own, so that install scripts end together with npm.
    detached: !windows,
    windowsHide: true,
  });
  if (child.pid !== undefined && !windows) onGroup?.(child.pid);
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream, crlfDelay: Infinity }).on("line", (raw) => {
      const line = stripVTControlCharacters(raw).slice(0, keptLineLength);
      if (lines.push(line) > keptLines) lines.shift();
      onOutput(line);
    });
  }

  const kill = (name: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined && !windows) process.kill(-child.pid, name);
      else child.kill(name);
    } catch {
      // The group is gone already.
    }
  };
  let force: NodeJS.Timeout | undefined;
  const abort = (): void => {
    kill("SIGTERM");
    force = setTimeout(() => {
      kill("SIGKILL");
      // A process that left the group may hold the pipes open for ever.
      child.stdout.destroy();
      child.stderr.destroy();
    }, graceMs);
  };
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await new Promise<NpmExit>((resolve, reject) => {
      child.once("error", (cause) => {
        reject(
          new FarcallError("env.install-failed", `Cannot start npm (${command}): ${messageOf(cause)}.`, { cause }),
        );
      });
      child.once("close", (status) => {
        if (signal.aborted) reject(signal.reason);
        else resolve({ status: status ?? undefined, lines });
      });
    });
  } finally {
    signal.removeEventListener("abort", abort);
    clearTimeout(force);
  }
}

/**
 * npm's script as arguments for Node, or, where only a launcher is found, that. npm comes with Node, beside it;
 * a Node that came by itself uses the npm of PATH.
 */
export async function findNpm(path: string = process.env["PATH"] ?? ""): Promise<[string, ...string[]]> {
  const script = join("node_modules", "npm", "bin", "npm-cli.js");
  const real = await realpath(process.execPath).catch(() => process.execPath);
  for (const bin of new Set([dirname(process.execPath), dirname(real)])) {
    for (const candidate of [join(bin, "..", "lib", script), join(bin, script)]) {
      if (await canRead(candidate)) return [process.execPath, candidate];
    }
  }
  for (const folder of path.split(delimiter).filter(Boolean)) {
    // On Windows the launcher is a batch file, which cannot be started without a shell.
    if (await canRead(join(folder, script))) return [process.execPath, join(folder, script)];
    if (process.platform === "win32") continue;
    const launcher = await realpath(join(folder, "npm")).catch(() => undefined);
    if (launcher === undefined || !(await canRead(launcher))) continue;
    return launcher.endsWith(".js") ? [process.execPath, launcher] : [launcher];
  }
  throw new FarcallError("env.install-failed", "Cannot install the packages of an env: there is no npm on this node.", {
    hint: `Install npm beside ${process.execPath} or put it on the PATH of the node.`,
  });
}

async function canRead(file: string): Promise<boolean> {
  return access(file, constants.R_OK).then(
    () => true,
    () => false,
  );
}

/** Settings of npm that a user gives in the environment; all others are what an `npm run` around us left there. */
const npmSetting =
  /^npm_config_(?:registry|userconfig|cache|proxy|https?_proxy|noproxy|ca|cafile|strict_ssl|@[^:]+:registry|\/\/.+)$/i;

/** Where this process is Electron, `inElectron`, npm and its scripts start it again, and it must be Node to them too. */
export function npmEnvironment(env: NodeJS.ProcessEnv, inElectron: boolean): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => {
    if (name === "NODE_OPTIONS" || name === "INIT_CWD" || name === "ELECTRON_RUN_AS_NODE") return false;
    return !/^npm_/i.test(name) || npmSetting.test(name);
  });
  return { ...Object.fromEntries(kept), ...(inElectron ? { ELECTRON_RUN_AS_NODE: "1" } : {}) };
}
