import { Console } from "node:console";
import { createReadStream, existsSync, rmSync } from "node:fs";
import { mkdir, mkdtemp, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { bundle, type Bundle } from "../bundle/bundle.ts";
import type { Inputs } from "../client/inputs.ts";
import { FarcallError, messageOf } from "../spec/errors.ts";
import { farcallHome } from "../spec/home.ts";
import { jsonLines, parseJson } from "./jsonLines.ts";

/** What a map takes its inputs from. */
export interface InputSource extends Disposable {
  values: Inputs<unknown>;
}

/** The inputs of a map: lines of JSON from a file or standard input, a JSON array, or what a module exports. */
export async function openInput(given: string | undefined, signal: AbortSignal): Promise<InputSource> {
  if (given === undefined) {
    throw new FarcallError("usage", "No input is named.", {
      hint: "Give --input FILE, --input - for standard input, or --input gen.ts#name.",
    });
  }
  if (given === "-") return source(jsonLines(process.stdin, "standard input"), () => void process.stdin.destroy());
  const file = resolve(given);
  if (!(await isFile(file)) && given.includes("#")) return exported(given, signal);
  if (!(await isFile(file))) throw new FarcallError("input.invalid", `The input ${given} is not a file.`);
  if (file.endsWith(".json")) return source(await parseArray(file, given));
  // The whole file is read once before anything starts: a bad line at its end must not cost a run.
  for await (const _value of jsonLines(createReadStream(file), given)) signal.throwIfAborted();
  return source(readAgain(file, given));
}

async function* readAgain(file: string, name: string): AsyncGenerator<unknown, void, undefined> {
  yield* jsonLines(createReadStream(file), name);
}

function source(values: Inputs<unknown>, dispose: () => void = () => undefined): InputSource {
  return { values, [Symbol.dispose]: dispose };
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function parseArray(file: string, name: string): Promise<unknown[]> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new FarcallError("input.invalid", `Cannot read ${name}: ${messageOf(cause)}.`, { cause });
  });
  const value = parseJson(text.replace(/^\ufeff/, ""), name);
  if (Array.isArray(value)) return value;
  throw new FarcallError("input.invalid", `${name} holds no array.`, {
    hint: "A .json input is one array; for a value on each line name the file .jsonl.",
  });
}

/** `gen.ts#name`: an exported array or iterable, or a function that returns one. The module runs in this process. */
async function exported(given: string, signal: AbortSignal): Promise<InputSource> {
  const at = given.lastIndexOf("#");
  const file = resolve(given.slice(0, at));
  const name = given.slice(at + 1);
  const built = await bundle(file, { signal, cacheFolder: join(farcallHome(), "cache", "vendor") });
  // The code stays until the process ends: a generator may import or read more of it while it runs.
  const folder = await mkdtemp(join(tmpdir(), "farcall-input-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.on("exit", remove);
  const inUsersFiles = (error: unknown) => withUsersFiles(error, folder, built.sourceRoot);
  let exports: Record<string, unknown>;
  try {
    exports = await load(built, folder, file);
  } catch (thrown) {
    const cause = inUsersFiles(thrown);
    throw new FarcallError("bundle.import-failed", `The input module ${file} failed: ${messageOf(cause)}`, { cause });
  }
  const found = Object.hasOwn(exports, name) ? exports[name] : undefined;
  let value: unknown;
  try {
    value = typeof found === "function" ? await (found as () => unknown)() : found;
  } catch (thrown) {
    throw inUsersFiles(thrown);
  }
  if (Array.isArray(value)) return source(value, remove);
  if (isInputs(value)) return source(rethrowing(value, inUsersFiles), remove);
  const known = Object.keys(exports).join(", ");
  throw new FarcallError(
    "input.invalid",
    found === undefined
      ? `${file} has no export ${JSON.stringify(name)}.`
      : `The export ${JSON.stringify(name)} of ${file} gives no inputs.`,
    {
      hint: `Export an array, another iterable, or a function that returns one, such as a generator. It exports ${known || "nothing"}.`,
    },
  );
}

async function load(built: Bundle, folder: string, file: string): Promise<Record<string, unknown>> {
  for (const { path, hash } of built.manifest.files) {
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, built.contents.get(hash) ?? "");
  }
  // What could not be bundled, such as a native addon, is found where the module would find it.
  const installed = nearestInstalled(file);
  if (installed !== undefined) await symlink(installed, join(folder, "node_modules"), "junction");
  Object.defineProperty(globalThis, "require", { value: createRequire(file), configurable: true });
  // Standard output is for results.
  globalThis.console = new Console(process.stderr, process.stderr);
  process.setSourceMapsEnabled(true);
  const loaded = (await import(pathToFileURL(join(folder, built.manifest.entry)).href)) as Record<string, unknown>;
  return built.manifest.commonJs ? (loaded["default"] as Record<string, unknown>) : loaded;
}

/** The same inputs; an error that they end with goes through `change`. */
function rethrowing(values: Inputs<unknown>, change: (error: unknown) => unknown): Inputs<unknown> {
  if (Symbol.asyncIterator in values) {
    return (async function* () {
      try {
        yield* values;
      } catch (error) {
        throw change(error);
      }
    })();
  }
  return (function* () {
    try {
      yield* values;
    } catch (error) {
      throw change(error);
    }
  })();
}

/** Has the stack name the places in the user's own files, and none in ours. */
function withUsersFiles(error: unknown, folder: string, sourceRoot: string): unknown {
  if (!(error instanceof Error) || error.stack === undefined) return error;
  const ours = /^\s*at .*(?:node:internal|file:\/\/)/;
  error.stack = error.stack
    .split("\n")
    .map((line) => line.replace(`${folder}/`, `${sourceRoot}/`))
    .filter((line) => !ours.test(line))
    .join("\n");
  return error;
}

function nearestInstalled(file: string): string | undefined {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const installed = join(folder, "node_modules");
    if (existsSync(installed)) return installed;
    if (folder === dirname(folder)) return undefined;
  }
}

function isInputs(value: unknown): value is Inputs<unknown> {
  return typeof value === "object" && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value);
}
