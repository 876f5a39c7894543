import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { createConnection } from "node:net";
import { basename, join } from "node:path";
import { SetupFailure } from "./failure.ts";
import type { AgentAddress, SetupRequest } from "./messages.ts";

const withinMs = 15_000;
const lookEveryMs = 10;

/**
 * Restarts an agent that was killed or crashed, soon and then less often; one that ended by itself stays ended. A
 * shell, as it is what is there, is small, and has little to be killed for. Arguments: Node, the agent's folder, its
 * idle time; which build is run is looked up each time.
 */
const supervisor = `
node=$1 dir=$2 idle=$3 wait=0
echo $$ >"$dir/supervisor.pid"
while [ -d "$dir" ]; do
  build=$(cat "$dir/build")
  began=$(date +%s)
  "$node" --disable-warning=ExperimentalWarning --max-semi-space-size=16 "$dir/builds/$build/agent.js" "$dir" "$idle"
  status=$?
  if [ $status = 0 ]; then break; fi
  if [ $(($(date +%s) - began)) -gt 60 ]; then wait=0; fi
  sleep $wait
  if [ $wait -lt 30 ]; then wait=$((wait + 1)); fi
done
rm -f "$dir/supervisor.pid"
`;

/** Starts the agent unless it runs, so that it outlives this login, and returns where it listens. */
export async function startAgent(folder: string, start: NonNullable<SetupRequest["start"]>): Promise<AgentAddress> {
  const running = await answering(folder);
  if (running) return running;
  const logFile = join(folder, "agent.log");
  const log = openSync(logFile, "a", 0o600);
  const logFrom = statSync(logFile).size;
  const words = ["-c", supervisor, "farcall-supervisor", process.execPath, folder, String(start.idleMs ?? 0)];
  const environment = { ...process.env, FARCALL_NODE: basename(folder) };
  const [command, args] = start.linger
    ? [
        "systemd-run",
        [
          "--user",
          "--collect",
          "--quiet",
          `--unit=farcall-${basename(folder)}`,
          `--setenv=FARCALL_NODE=${basename(folder)}`,
          `--property=StandardOutput=append:${logFile}`,
          `--property=StandardError=append:${logFile}`,
          "/bin/sh",
          ...words,
        ],
      ]
    : ["/bin/sh", words];
  const child = spawn(command as string, args as string[], {
    detached: true,
    stdio: ["ignore", log, log],
    cwd: folder,
    env: environment,
  });
  closeSync(log);
  const ended = new Promise<string>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("exit", (status) => {
      // systemd-run ends once the unit is up.
      if (!start.linger || status !== 0) resolve(`${command as string} ended with ${status}`);
    });
  });
  child.unref();
  let why: string | undefined;
  void ended.then((reason) => (why = reason));
  const deadlineMs = Date.now() + withinMs;
  while (Date.now() < deadlineMs) {
    const address = await answering(folder);
    if (address) return address;
    if (why !== undefined) break;
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
  const said = readFileSync(logFile).subarray(logFrom).toString("utf8").trim().split("\n").at(-1);
  throw new SetupFailure(
    "agent.start-failed",
    `The agent did not come up${why === undefined ? ` within ${withinMs / 1_000} s` : ""}: ${said || why || "it said nothing"}`,
  );
}

/** Where an agent listens that takes connections. */
async function answering(folder: string): Promise<AgentAddress | undefined> {
  const address = readAddress(folder);
  if (!address) return undefined;
  const takes = await new Promise<boolean>((resolve) => {
    const socket = createConnection({ path: address.socket });
    socket.on("connect", () => (socket.destroy(), resolve(true)));
    socket.on("error", () => resolve(false));
  });
  return takes ? address : undefined;
}

function readAddress(folder: string): AgentAddress | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, "agent.address"), "utf8")) as AgentAddress;
  } catch {
    return undefined;
  }
}
