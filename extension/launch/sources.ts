import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Inputs } from "../../runtime/spec/inputs.ts";
import { jsonLines } from "../../runtime/inputs/jsonLines.ts";
import { previewInput } from "../../runtime/inputs/preview.ts";
import { openInput } from "../../runtime/inputs/source.ts";
import { pruneFolder } from "../prune.ts";

/** Where the inputs of a map come from. A module's exports are run in a process of their own, never in the editor's. */

export interface Source extends Disposable {
  values: Inputs<unknown>;
}

export interface Preview {
  count: number;
  exact: boolean;
  first: unknown[];
}

interface Options {
  cwd: string;
  signal: AbortSignal;
}

/** Pasted inputs are kept this long after they were last used, so that their runs can be repeated. */
const keptDays = 90;
const shownInputs = 3;
const countedInputs = 1_000_000;
const countWithinMs = 4_000;

export async function openSource(input: string, options: Options): Promise<Source> {
  return isExport(input) ? exported(input, options) : openInput(input, options);
}

/** How many inputs there are and the first of them; of an export, as many as come within some seconds. */
export async function previewSource(input: string, { cwd, signal }: Options): Promise<Preview> {
  if (!isExport(input)) {
    const { count, countIsExact, first } = await previewInput(input, {
      cwd,
      signal,
      sample: shownInputs,
      limit: countedInputs,
    });
    return { count, exact: countIsExact, first };
  }
  using source = exported(input, { cwd, signal }, countedInputs);
  const first: unknown[] = [];
  let count = 0;
  const untilMs = Date.now() + countWithinMs;
  for await (const value of source.values as AsyncIterable<unknown>) {
    if (first.length < shownInputs) first.push(value);
    count++;
    if (Date.now() > untilMs) return { count, exact: false, first };
  }
  return { count, exact: count < countedInputs, first };
}

function isExport(input: string): boolean {
  return /\.[cm]?[jt]sx?#[^/\\]+$/.test(input);
}

/** `farcall inputs` prints them; this reads. */
function exported(input: string, { cwd, signal }: Options, limit?: number): Source {
  const cli = fileURLToPath(new URL("./cli.js", import.meta.url));
  const args = [cli, "inputs", input, ...(limit === undefined ? [] : ["--limit", String(limit)])];
  const child = spawn(process.execPath, args, {
    cwd,
    env: { ...process.env, ELECTRON_RUN_AS_NODE: "1", NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    windowsHide: true,
  });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said = (said + chunk.toString("utf8")).slice(-8_000)));
  const ended = new Promise<number | null>((resolve) => {
    child.on("error", (error) => {
      said += error.message;
      resolve(null);
    });
    child.on("close", resolve);
  });
  const kill = () => void child.kill();
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

/** Pasted text as a file, so that the run can be repeated. The name tells the kind. */
export async function pasted(text: string, folder: string): Promise<string> {
  const trimmed = text.trim();
  const isArray = trimmed.startsWith("[") && isJson(trimmed);
  const lines = isArray ? trimmed : jsonOrTextLines(trimmed);
  const name = createHash("sha256").update(lines).digest("hex").slice(0, 16);
  const file = join(folder, `${name}.${isArray ? "json" : "jsonl"}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await pruneFolder(folder, keptDays);
  await writeFile(file, isArray ? lines : `${lines}\n`, { mode: 0o600 });
  return file;
}

/** Lines that are all JSON are taken as that; otherwise each line is a text. */
function jsonOrTextLines(text: string): string {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  if (lines.every(isJson)) return lines.join("\n");
  return lines.map((line) => JSON.stringify(line)).join("\n");
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
