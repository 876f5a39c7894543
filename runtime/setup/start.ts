import { spawn, type SpawnOptions, spawnSync } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Reach } from "../spec/reach.ts";
import { SetupFailure } from "./failure.ts";
import type { AgentAddress, SetupRequest } from "./messages.ts";
import { answering } from "./running.ts";

const withinMs = 20_000;
/** With others to find and agree with. */
const togetherWithinMs = 75_000;
/** How often it is seen whether the agent answers: the longer that takes, the less a moment matters. */
const lookEvery = { ms: 10, share: 0.05 } as const;
/** A seat listens soon after its agent was started; this long it may take until that happens. */
const reachWithinMs = 20_000;

/**
 * Restarts an agent that was killed or crashed, soon and then less often; one that ended by itself stays ended. A
 * shell, as it is what is there, is small, and has little to be killed for. Arguments: Node, the agent's folder. Which
 * build is run, and how long it may be idle, is looked up each time; 75 is of an agent that makes room for another build.
 */
const supervisor = `
node=$1 dir=$2 wait=0
echo $$ >"$dir/supervisor.pid"
while [ -d "$dir" ]; do
  build=$(cat "$dir/build")
  idle=$(cat "$dir/autostop")
  began=$(date +%s)
  "$node" --disable-warning=ExperimentalWarning --max-semi-space-size=16 "$dir/builds/$build/agent.js" "$dir" "$idle"
  status=$?
  if [ $status = 0 ]; then break; fi
  if [ $status = 75 ]; then continue; fi
  if [ $(($(date +%s) - began)) -gt 60 ]; then wait=0; fi
  sleep $wait
  if [ $wait -lt 30 ]; then wait=$((wait + 1)); fi
done
rm -f "$dir/supervisor.pid"
`;

/**
 * Starts the agent unless it runs, so that it outlives this login, and returns where it listens. One that is coming up
 * is waited for, unless what it is to be has `changed`; one that does not come up is ended.
 */
export async function startAgent(
  folder: string,
  start: NonNullable<SetupRequest["start"]>,
  { changed, ending }: { changed: boolean; ending: string | undefined },
): Promise<AgentAddress> {
  // One that is about to end still answers.
  const answeringAnew = async () => {
    const address = await answering(folder);
    return address?.token === ending ? undefined : address;
  };
  const running = await answeringAnew();
  if (running) return running;
  if (changed && ending === undefined) end(processesOf(folder));
  let why: string | undefined;
  const logFile = join(folder, "agent.log");
  const log = openSync(logFile, "a", 0o600);
  const logFrom = statSync(logFile).size;
  // In a file: what starts it for a user who lingers would make something of the dollar signs in its text.
  const script = join(folder, "supervise.sh");
  writeFileSync(script, supervisor, { mode: 0o600 });
  const words = ["/bin/sh", script, process.execPath, folder];
  // npm's cache would otherwise be left in the home folder when the cluster is gone.
  const variables = { FARCALL_NODE: basename(folder), npm_config_cache: join(folder, "npm-cache") };
  const options: SpawnOptions = {
    detached: true,
    stdio: ["ignore", log, log],
    cwd: folder,
    env: { ...process.env, ...variables },
  };
  const isComingUp = processesOf(folder).length > 0;
  if (!isComingUp && (!start.linger || !startUnit(basename(folder), logFile, variables, words, options))) {
    const child = spawn(words[0]!, words.slice(1), options);
    child.on("error", (error) => (why = error.message));
    child.on("exit", (status) => (why = `its supervisor ended with ${status}`));
    child.unref();
  }
  closeSync(log);
  const reached = new Reach(start.reach);
  const beganAtMs = Date.now();
  const deadlineMs = beganAtMs + (start.reach.length > 0 ? togetherWithinMs : withinMs);
  while (Date.now() < deadlineMs) {
    const address = await answeringAnew();
    if (address) {
      reached.end();
      return address;
    }
    if (why !== undefined || (isComingUp && processesOf(folder).length === 0) || reached.hasLasted(reachWithinMs))
      break;
    await new Promise((resolve) =>
      setTimeout(resolve, Math.max(lookEvery.ms, lookEvery.share * (Date.now() - beganAtMs))),
    );
  }
  reached.end();
  end(processesOf(folder));
  const missing = reached.missing.map(({ name, host, port }) => `${name} ${host} ${port}`);
  if (why === undefined && missing.length > 0) throw new SetupFailure("node.unreachable", missing.join("\n"));
  const said = readFileSync(logFile).subarray(logFrom).toString("utf8").trim().split("\n").at(-1);
  throw new SetupFailure(
    "agent.start-failed",
    `The agent did not come up${why === undefined ? ` within ${withinMs / 1_000} s` : ""}: ${said || why || "it said nothing"}`,
  );
}

/** The agent of a folder and what restarts it, whether or not it answers. */
function processesOf(folder: string): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
      const isOurs = words.includes(folder) && words.some((word) => /\/(supervise\.sh|agent\.js)$/.test(word));
      return isOurs ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

/** The one that restarts first, or it would. */
function end(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** As a unit of the user's own systemd, which keeps it when logins end. False where that does not work after all. */
function startUnit(
  id: string,
  logFile: string,
  variables: Record<string, string>,
  words: readonly string[],
  options: SpawnOptions,
): boolean {
  const uid = process.getuid?.() ?? 0;
  const { status } = spawnSync(
    "systemd-run",
    [
      "--user",
      "--collect",
      "--quiet",
      `--unit=farcall-${id}`,
      ...Object.entries(variables).map(([name, value]) => `--setenv=${name}=${value}`),
      ...["StandardOutput", "StandardError"].map((stream) => `--property=${stream}=append:${logFile}`),
      ...words,
    ],
    { ...options, env: { XDG_RUNTIME_DIR: `/run/user/${uid}`, ...options.env }, timeout: withinMs },
  );
  return status === 0;
}
