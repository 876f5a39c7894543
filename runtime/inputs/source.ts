import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { FarcallError, messageOf } from "../spec/errors.ts";
import type { Inputs } from "../spec/inputs.ts";
import { csvRows } from "./csv.ts";
import { exportedInputs } from "./exported.ts";
import { isFile, matchingFiles } from "./glob.ts";
import { jsonLines, parseJson } from "./jsonLines.ts";
import { fileKind, globPrefix, splitExport } from "./kinds.ts";

/** What a map takes its inputs from. Disposing of it lets go of what it holds open. */
export interface InputSource extends Disposable {
  values: Inputs<unknown>;
}

export interface OpenInputOptions {
  signal: AbortSignal;
  /** The folder that relative paths and patterns start from. Default: the working folder of the process. */
  cwd?: string | undefined;
}

/**
 * The inputs of a map by name: a file of JSON lines, a `.json` file with one array, a `.csv` or `.tsv` file, `-` for
 * lines of JSON from standard input, `glob:PATTERN` for the paths of files, or `gen.ts#name` for what a module exports,
 * which then runs in this process. A file is read whole before this returns: a bad line at its end must not cost a run.
 * Throws `input.invalid`, for a module also what bundling or importing it throws.
 */
export async function openInput(given: string, options: OpenInputOptions): Promise<InputSource> {
  const opened = await openUnchecked(given, options);
  if (opened.check) for await (const _value of opened.check()) options.signal.throwIfAborted();
  return opened;
}

interface UncheckedSource extends InputSource {
  /** Reads everything once; not there when opening has done so, or when it can be read only once. */
  check?: () => AsyncIterable<unknown>;
}

/** The same for those who read the inputs themselves before anything depends on them. */
export async function openUnchecked(
  given: string,
  { signal, cwd = process.cwd() }: OpenInputOptions,
): Promise<UncheckedSource> {
  if (given === "-") return source(jsonLines(process.stdin, "standard input"), () => void process.stdin.destroy());
  if (given.startsWith(globPrefix)) return source(await matchingFiles(given.slice(globPrefix.length), cwd, signal));
  const file = resolve(cwd, given);
  if (!(await isFile(file))) {
    const named = splitExport(given);
    if (named) return exportedInputs(resolve(cwd, named.file), named.name, signal);
    throw new FarcallError("input.invalid", `The input ${given} is not a file.`);
  }
  const kind = fileKind(file);
  if (kind === "array") return source(await parseArray(file, given));
  const read = () =>
    kind === "lines"
      ? jsonLines(createReadStream(file), given)
      : csvRows(createReadStream(file), given, kind === "csv" ? "," : "\t");
  return { ...source({ [Symbol.asyncIterator]: read }), check: read };
}

function source(values: Inputs<unknown>, dispose: () => void = () => undefined): InputSource {
  return { values, [Symbol.dispose]: dispose };
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
