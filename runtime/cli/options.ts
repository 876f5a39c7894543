import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { findProject } from "../client/project.ts";
import { Cluster, type ClusterOptions } from "../cluster/cluster.ts";
import { checkEnvSpec, type EnvSpec } from "../spec/env.ts";
import { FarcallError, messageOf } from "../spec/errors.ts";
import { isRunId } from "../spec/names.ts";
import { projectEnv } from "../spec/project.ts";
import type { SshPrompter } from "../transport/ssh/auth.ts";
import type { Invocation } from "./main.ts";
import { terminalPrompter } from "./prompt.ts";

/** Options of the command line, as what they mean. */

type Values = Invocation["values"];

export function text(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === "string" ? value : undefined;
}

export function flag(values: Values, name: string): boolean {
  return values[name] === true;
}

/** A whole number of at least `min`. */
export function whole(values: Values, name: string, min: number): number | undefined {
  const given = text(values, name);
  if (given === undefined) return undefined;
  const value = Number(given);
  if (/^\d+$/.test(given) && value >= min) return value;
  throw new FarcallError("usage", `--${name} is ${JSON.stringify(given)}.`, {
    hint: `Give a whole number of at least ${min}.`,
  });
}

const unitsMs: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Timers take no more than 2^31 ms, and some are set a little later than what was asked for. */
const maxTimeMs = 500 * 3_600_000;

/** A length of time such as `500ms`, `30s`, `5m` or `1h`, in milliseconds. */
export function timeMs(values: Values, name: string): number | undefined {
  const given = text(values, name);
  if (given === undefined) return undefined;
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(given) ?? [];
  const ms = Number(amount) * (unitsMs[unit ?? ""] ?? Number.NaN);
  if (ms >= 1 && ms <= maxTimeMs) return Math.round(ms);
  throw new FarcallError("usage", `--${name} is ${JSON.stringify(given)}.`, {
    hint: "Give a number and its unit: 500ms, 30s, 5m or 1h; 500h at most.",
  });
}

export function openCluster(values: Values, options: Omit<ClusterOptions, "home" | "prompter">): Cluster {
  return new Cluster(clusterName(values), { ...options, ...asked() });
}

/** Of a command that is about one cluster. */
export function clusterName(values: Values): string {
  const [name = "local", ...others] = clusterNames(values);
  if (others.length === 0) return name;
  throw new FarcallError("usage", `--on names ${others.length + 1} clusters.`, {
    hint: "Only `farcall map` works on several at once, and `farcall results --follow` of such a map. Name one.",
  });
}

/** The clusters of `--on A,B`, each once. */
export function clusterNames(values: Values): string[] {
  const names = (text(values, "on") ?? "local").split(",").map((name) => name.trim());
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice === undefined) return names;
  throw new FarcallError("usage", `--on names the cluster ${JSON.stringify(twice)} twice.`, {
    hint: "Name each cluster once.",
  });
}

/** For a cluster opened by the command line: whom to ask. */
export function asked(): { prompter?: SshPrompter } {
  const prompter = terminalPrompter();
  return prompter ? { prompter } : {};
}

/** Every value of an option that may be given more than once. */
export function texts(values: Values, name: string): string[] {
  const value = values[name];
  return Array.isArray(value) ? value.map(String) : value === undefined ? [] : [String(value)];
}

/**
 * The env that `--env`, `--reqs`, `--var` and `--allow-scripts` describe together, for a function of `sourceFile`:
 * names are those of the farcall.json nearest to it, whose env `default` counts where no other is asked for.
 */
export async function envSpec(values: Values, sourceFile: string): Promise<EnvSpec> {
  const env = await namedEnv(text(values, "env"), dirname(sourceFile));
  const many = (name: string) =>
    Array.isArray(values[name]) ? values[name].filter((value) => typeof value === "string") : [];
  const reqs = many("reqs").flatMap((list) =>
    list
      .split(",")
      .map((req) => req.trim())
      .filter((req) => req !== ""),
  );
  const vars = Object.fromEntries(
    many("var").map((pair) => {
      const at = pair.indexOf("=");
      if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)];
      throw new FarcallError("usage", `--var is ${JSON.stringify(pair)}.`, {
        hint: "Give a name and a value: --var NAME=VALUE.",
      });
    }),
  );
  return checkEnvSpec({
    ...env,
    ...(reqs.length > 0 || env.reqs ? { reqs: [...new Set([...(env.reqs ?? []), ...reqs])] } : {}),
    ...(Object.keys(vars).length > 0 || env.vars ? { vars: { ...env.vars, ...vars } } : {}),
    ...(flag(values, "allow-scripts") ? { allowScripts: true } : {}),
  });
}

/** A file, JSON, or a name. The names of envs hold neither dots nor separators. */
async function namedEnv(given: string | undefined, folder: string): Promise<EnvSpec> {
  if (given?.trimStart().startsWith("{")) return checkEnvSpec(parseEnv(given));
  if (given !== undefined && /[./\\]/.test(given)) return checkEnvSpec(readJson(given));
  const found = await findProject(folder);
  const env = found && projectEnv(found.project, given ?? "default");
  if (env) return checkEnvSpec(env);
  if (given === undefined) return {};
  const names = Object.keys(found?.project.envs ?? {});
  throw new FarcallError(
    "usage",
    found
      ? `There is no env ${JSON.stringify(given)} in ${found.file}.`
      : `There is no env ${JSON.stringify(given)}: neither ${folder} nor a folder above it has a farcall.json.`,
    {
      hint: `${found ? `It has ${names.join(", ") || "none"}. ` : ""}To name a file, write its path: ./${given}.`,
    },
  );
}

function parseEnv(given: string): unknown {
  try {
    return JSON.parse(given) as unknown;
  } catch (cause) {
    throw new FarcallError("usage", `--env is not JSON: ${messageOf(cause)}.`, { cause });
  }
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(resolve(file), "utf8")) as unknown;
  } catch (cause) {
    throw new FarcallError("spec.invalid", `Cannot read the env from ${file}: ${messageOf(cause)}.`, { cause });
  }
}

/** `FILE#EXPORT`, with the file's path made absolute. */
export function target(words: readonly string[], usage: string): { file: string; name: string; rest: string[] } {
  const [word, ...rest] = words;
  const at = word?.lastIndexOf("#") ?? -1;
  if (word === undefined || at < 1 || at === word.length - 1) {
    throw new FarcallError(
      "usage",
      word === undefined ? "No function is named." : `${JSON.stringify(word)} names no function.`,
      { hint: `Usage: ${usage}` },
    );
  }
  return { file: resolve(word.slice(0, at)), name: word.slice(at + 1), rest };
}

/** Throws `usage` when there are words that no option or argument has taken. */
export function noMore(words: readonly string[], usage: string): void {
  if (words.length > 0)
    throw new FarcallError("usage", `${JSON.stringify(words[0])} is one word too many.`, { hint: `Usage: ${usage}` });
}

export function runArgument(words: readonly string[], usage: string): string {
  const [run, ...rest] = words;
  if (run === undefined || rest.length > 0)
    throw new FarcallError("usage", "One run is needed.", { hint: `Usage: ${usage}; \`farcall runs\` lists them.` });
  if (!isRunId(run))
    throw new FarcallError("run.unknown", `${JSON.stringify(run)} is not the id of a run.`, {
      hint: "`farcall runs` lists them.",
    });
  return run;
}
