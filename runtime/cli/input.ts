import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { bundle } from "../bundle/bundle.ts";
import type { Inputs } from "../client/inputs.ts";
import { FarcallError, messageOf } from "../spec/errors.ts";

/** The inputs of a map: lines of JSON from a file or standard input, a JSON array, or what a module exports. */
export async function openInput(given: string | undefined, signal: AbortSignal): Promise<Inputs<unknown>> {
  if (given === undefined) {
    throw new FarcallError("usage", "No input is named.", {
      hint: "Give --input FILE, --input - for standard input, or --input gen.ts#name.",
    });
  }
  if (given === "-") return parseLines(process.stdin, "standard input");
  const file = resolve(given);
  if (!(await isFile(file)) && given.includes("#")) return exported(given, signal);
  if (!(await isFile(file))) throw new FarcallError("input.invalid", `The input ${given} is not a file.`);
  if (file.endsWith(".json")) return parseArray(file, given);
  // The whole file is read once before anything starts: a bad line at its end must not cost a run.
  for await (const _value of parseLines(createReadStream(file), given));
  return parseLines(createReadStream(file), given);
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function* parseLines(stream: NodeJS.ReadableStream, name: string): AsyncGenerator<unknown, void, undefined> {
  let number = 0;
  for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
    number++;
    if (line.trim() !== "") yield parseLine(line, `${name}:${number}`);
  }
}

function parseLine(line: string, place: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch (cause) {
    throw new FarcallError("input.invalid", `${place} is not JSON: ${messageOf(cause)}.`, {
      cause,
      hint: "Each line of the input is one JSON value; a text stands in double quotes.",
    });
  }
}

async function parseArray(file: string, name: string): Promise<unknown[]> {
  const value = parseLine(await readFile(file, "utf8"), name);
  if (Array.isArray(value)) return value;
  throw new FarcallError("input.invalid", `${name} holds no array.`, {
    hint: "A .json input is one array; for a value on each line name the file .jsonl.",
  });
}

/** `gen.ts#name`: an exported array or iterable, or a function that returns one. The module runs in this process. */
async function exported(given: string, signal: AbortSignal): Promise<Inputs<unknown>> {
  const at = given.lastIndexOf("#");
  const file = resolve(given.slice(0, at));
  const name = given.slice(at + 1);
  const built = await bundle(file, { signal });
  const folder = await mkdtemp(join(tmpdir(), "farcall-input-"));
  process.on("exit", () => void rm(folder, { recursive: true, force: true }));
  try {
    for (const { path, hash } of built.manifest.files) {
      const target = join(folder, path);
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, built.contents.get(hash) ?? "");
    }
    Object.defineProperty(globalThis, "require", { value: createRequire(file), configurable: true });
    const loaded = (await import(pathToFileURL(join(folder, built.manifest.entry)).href)) as Record<string, unknown>;
    const exports = built.manifest.commonJs ? (loaded["default"] as Record<string, unknown>) : loaded;
    const found = Object.hasOwn(exports, name) ? exports[name] : undefined;
    const value: unknown = typeof found === "function" ? await (found as () => unknown)() : found;
    if (isInputs(value)) return value;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  throw new FarcallError("input.invalid", `The export ${JSON.stringify(name)} of ${file} gives no inputs.`, {
    hint: "Export an array, another iterable, or a function that returns one, such as a generator.",
  });
}

function isInputs(value: unknown): value is Inputs<unknown> {
  return typeof value === "object" && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value);
}
