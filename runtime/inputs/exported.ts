import { existsSync, rmSync } from "node:fs";
import { mkdir, mkdtemp, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { bundle, type Bundle } from "../bundle/bundle.ts";
import { FarcallError, messageOf } from "../spec/errors.ts";
import { farcallHome } from "../spec/home.ts";
import type { Inputs } from "../spec/inputs.ts";

/**
 * What a module exports as `name`: an array or iterable, or a function that returns one. The module and all it imports
 * are bundled and run in this process. Throws `input.invalid` when there are no inputs, and what the module throws.
 */
export async function exportedInputs(
  file: string,
  name: string,
  signal: AbortSignal,
): Promise<Disposable & { values: Inputs<unknown> }> {
  const built = await bundle(file, { signal, cacheFolder: join(farcallHome(), "cache", "vendor") });
  const folder = await mkdtemp(join(tmpdir(), "farcall-input-"));
  const removeFolder = () => rmSync(folder, { recursive: true, force: true });
  // The code stays until the source is disposed of: a generator may import or read more of it while it runs.
  process.on("exit", removeFolder);
  const dispose = () => {
    process.off("exit", removeFolder);
    removeFolder();
  };
  const inUsersFiles = (error: unknown) => withUsersFiles(error, folder, built.sourceRoot);
  try {
    const values = await evaluate(built, folder, file, name, inUsersFiles);
    return { values: Array.isArray(values) ? values : rethrowing(values, inUsersFiles), [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

async function evaluate(
  built: Bundle,
  folder: string,
  file: string,
  name: string,
  inUsersFiles: (error: unknown) => unknown,
): Promise<Inputs<unknown>> {
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
  if (isInputs(value)) return value;
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
