import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { jsonLines } from "../../runtime/inputs/jsonLines.ts";
import { type InputPreview, previewInput, previewWithin } from "../../runtime/inputs/preview.ts";
import { type InputSource, openInput } from "../../runtime/inputs/source.ts";

/** Where the inputs of a map come from. A module's exports are run in a process of their own, never in the editor's. */

export interface SourceOptions {
  cwd: string;
  /** `FARCALL_HOME` for the process that runs a module's exports. */
  home: string;
  /** The program of the command line. Default: the one beside this code. */
  cli?: string;
  signal: AbortSignal;
}

const countedInputs = 1_000_000;
const countWithinMs = 4_000;
/** User code that does not react to being asked to end is ended all the same. */
const killAfterMs = 1_000;

export async function openSource(input: string, options: SourceOptions): Promise<InputSource> {
  return isExport(input) ? exported(input, options) : openInput(input, options);
}

/** How many inputs there are and the first of them: as many as come within some seconds. */
export function previewSource(input: string, options: SourceOptions): Promise<InputPreview> {
  const { signal } = options;
  const limits = { signal, limit: countedInputs, withinMs: countWithinMs };
  if (!isExport(input)) return previewInput(input, { cwd: options.cwd, ...limits });
  // One more than are counted, to know whether there are more.
  return previewWithin((signal) => exported(input, { ...options, signal }, countedInputs + 1), limits);
}

function isExport(input: string): boolean {
  return /\.[cm]?[jt]sx?#[^/\\]+$/.test(input);
}

/** `farcall inputs` prints them; this reads. */
function exported(input: string, options: SourceOptions, limit?: number): InputSource {
  const { cwd, home, signal, cli = fileURLToPath(new URL("./cli.js", import.meta.url)) } = options;
  signal.throwIfAborted();
  const args = [cli, "inputs", input, ...(limit === undefined ? [] : ["--limit", String(limit)])];
  const child = spawn(process.execPath, args, {
    cwd,
    env: {
      ...process.env,
      FARCALL_HOME: home,
      // An editor that is killed takes nobody's code along.
      FARCALL_ENDS_WITH_PARENT: "1",
      ELECTRON_RUN_AS_NODE: "1",
      NO_COLOR: "1",
    },
    stdio: ["ignore", "pipe", "pipe"],
    windowsHide: true,
  });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said = (said + chunk.toString("utf8")).slice(-8_000)));
  let killing: NodeJS.Timeout | undefined;
  const ended = new Promise<number | null>((resolve) => {
    child.on("error", (error) => {
      said += error.message;
      resolve(null);
    });
    child.on("exit", () => clearTimeout(killing));
    child.on("close", resolve);
  });
  const kill = () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill();
    killing ??= setTimeout(() => child.kill("SIGKILL"), killAfterMs);
  };
  signal.addEventListener("abort", kill, { once: true });
  async function* values(): AsyncGenerator<unknown, void, undefined> {
    yield* jsonLines(child.stdout, input);
    const status = await ended;
    signal.throwIfAborted();
    if (status !== 0) throw new Error(said.trim().replace(/^error \S+: /, "") || `${input} cannot be read.`);
  }
  return {
    values: values(),
    [Symbol.dispose]: () => {
      signal.removeEventListener("abort", kill);
      kill();
    },
  };
}
