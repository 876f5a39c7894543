import type { EnvSpec, MapOptions } from "../../runtime/index.ts";
import { globPrefix } from "../../runtime/inputs/kinds.ts";
import { FarcallError } from "../../runtime/spec/errors.ts";
import { unsayableInJson } from "../../runtime/spec/jsonValue.ts";
import type { RunRequest } from "./repeat.ts";
import { namedInput, pathFrom } from "./repeatPaths.ts";
import { posixQuoted } from "./posixQuoted.ts";

export interface CommandOptions {
  /** The folder in which the command will be given. */
  folder: string;
  /** For PowerShell 7.3 or newer instead of a POSIX shell. Default false. */
  windows?: boolean | undefined;
}

interface Shell {
  quote(word: string): string;
  /** `NAME=value` with the value that the shell has for the variable. */
  variable(name: string): string;
  /** What a word may be long; the systems refuse more with words of their own. */
  maxWordBytes: number;
}

const posix: Shell = {
  quote: posixQuoted,
  variable: (name) => `${name}="$${name}"`,
  maxWordBytes: 127 * 1024,
};

const powerShell: Shell = {
  // It takes typographic quotes for the plain one.
  quote: (word) => `'${word.replaceAll(/['\u2018-\u201b]/g, "$&$&")}'`,
  variable: (name) => `"${name}=\${env:${name}}"`,
  maxWordBytes: 24 * 1024,
};

/**
 * A line for a terminal that begins the same run, with variables of the env by name only. What is not known stands in
 * it as ARGS or INPUT. Throws `value.unserializable` for arguments that JSON cannot say and `value.too-large` for those
 * that no command line takes.
 */
export function asCommand(request: RunRequest, { folder, windows = false }: CommandOptions): string {
  const shell = windows ? powerShell : posix;
  const word = (text: string) => (/^[A-Za-z0-9_/.:=+-]+$/.test(text) ? text : shell.quote(text));
  const target = shell.quote(`${safePath(pathFrom(folder, request.file))}#${request.export}`);
  const on = [request.cluster ?? "local", ...(request.guests ?? [])].join(",");
  const env = [...(on === "local" ? [] : ["--on", word(on)]), ...envWords(request, shell, word)];
  if (request.kind === "map") {
    const input = inputWord(request.input, folder);
    return ["farcall map", target, "--input", word(input), ...mapWords(request.options ?? {}), ...env].join(" ");
  }
  const { args, timeoutMs } = request;
  const words = args === undefined ? ["ARGS"] : args.length === 0 ? [] : [shell.quote(argsJson(args, shell))];
  return ["farcall run", target, ...words, ...env, ...option("timeout", time(timeoutMs))].join(" ");
}

const hint = "Copy the run as a script instead.";

function argsJson(args: unknown[], shell: Shell): string {
  const found = unsayableInJson(args);
  if (found) {
    const where = `args${found.path}`;
    throw new FarcallError("value.unserializable", `A command cannot say these arguments: ${where} is ${found.what}.`, {
      hint,
    });
  }
  const json = JSON.stringify(args);
  if (Buffer.byteLength(json) <= shell.maxWordBytes) return json;
  throw new FarcallError("value.too-large", "These arguments are too long for a command.", { hint });
}

/** Nothing that begins with a hyphen, which would be taken for an option. */
function safePath(path: string): string {
  return path.startsWith("-") ? `./${path}` : path;
}

function inputWord(input: string | undefined, folder: string): string {
  if (input === undefined) return "INPUT";
  const named = namedInput(input, folder);
  if (named.kind === "stdin") return "-";
  if (named.kind === "glob") return `${globPrefix}${named.path}`;
  return safePath(named.kind === "export" ? `${named.path}#${named.name}` : named.path);
}

function mapWords(options: MapOptions): string[] {
  const { replicas, concurrency, retries, timeoutMs, onError = "stop", cache, maxCostUsd } = options;
  return [
    ...option("replicas", replicas),
    ...option("concurrency", concurrency),
    ...option("retries", retries),
    ...option("timeout", time(timeoutMs)),
    // The command collects errors unless it is told otherwise, the library does not.
    ...(onError === "stop" ? ["--on-error", "stop"] : []),
    ...(cache ? ["--cache"] : []),
    ...option("max-cost", maxCostUsd),
  ];
}

function envWords({ env, envFromProject }: RunRequest, shell: Shell, word: (text: string) => string): string[] {
  const { name = "default", reqs = [], vars = {}, allowScripts = false, ...rest } = env;
  if (envFromProject) return name === "default" ? [] : ["--env", word(name)];
  const unsaid: EnvSpec = {
    ...(name === "default" ? {} : { name }),
    ...rest,
    ...(Array.isArray(allowScripts) ? { allowScripts } : {}),
  };
  return [
    ...(Object.keys(unsaid).length > 0 ? ["--env", shell.quote(JSON.stringify(unsaid))] : []),
    ...(reqs.length > 0 ? ["--reqs", word(reqs.join(","))] : []),
    ...Object.keys(vars).flatMap((name) => ["--var", shell.variable(name)]),
    ...(allowScripts === true ? ["--allow-scripts"] : []),
  ];
}

function option(name: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [`--${name}`, String(value)];
}

const units = [
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

/** In the largest unit that says it without a fraction. */
function time(ms: number | undefined): string | undefined {
  if (ms === undefined) return undefined;
  const found = units.find(([, unitMs]) => ms % unitMs === 0);
  return found ? `${ms / found[1]}${found[0]}` : `${ms}ms`;
}
