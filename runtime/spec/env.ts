import * as v from "valibot";
import { checkName, checkVariableName } from "./names.ts";
import { FarcallError } from "./errors.ts";

/** What each replica of an env may use. */
export interface Compute {
  /** CPU cores for each replica. Default 1. */
  cpus?: number;
  /** Memory for each replica in MiB; a replica above it is ended. Default: its share of the node. */
  memoryMiB?: number;
  /** GPUs for each replica. Default 0. */
  gpus?: number;
  /** Number of the only node that may have replicas. Default: any. */
  node?: number;
}

/** A named worker environment, as the user writes it. */
export interface EnvSpec {
  /** Default `default`. */
  name?: string;
  /**
   * npm packages the function needs at run time, such as `sharp` or `sharp@0.34`. They are not bundled but
   * installed in the env, at the version of the project's lockfile when no version is written here.
   */
  reqs?: string[];
  /** Environment variables of the worker processes. */
  vars?: Record<string, string>;
  /** Number of worker processes. Default: as many as the node has cores. */
  replicas?: number;
  /** Calls one replica serves at the same time. Default 1. */
  concurrency?: number;
  /** Whether install scripts of npm packages may run: never (default), all, or those of the packages named. */
  allowScripts?: boolean | string[];
  compute?: Compute;
}

const count = (max: number) => v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(max));

const unusableKeys = new Set(["__proto__", "constructor", "prototype"]);

/** What a user may write. */
export const envSchema = v.strictObject({
  name: v.optional(v.string()),
  reqs: v.optional(v.array(v.string())),
  vars: v.optional(v.record(v.string(), v.string())),
  replicas: v.optional(count(4096)),
  concurrency: v.optional(count(10_000)),
  allowScripts: v.optional(v.union([v.boolean(), v.array(v.string())])),
  compute: v.optional(
    v.strictObject({
      cpus: v.optional(v.pipe(v.number(), v.minValue(0.01))),
      memoryMiB: v.optional(count(64 * 1024 * 1024)),
      gpus: v.optional(v.pipe(v.number(), v.minValue(0))),
      node: v.optional(count(100_000)),
    }),
  ),
});

/** Checks what a person wrote and fills in the name. Throws `spec.invalid` or `name.invalid`. */
export function checkEnvSpec(spec: unknown): EnvSpec & { name: string } {
  const given = (spec as { vars?: unknown } | null)?.vars;
  // The schema library leaves these keys out without a word.
  for (const name of typeof given === "object" && given !== null ? Object.keys(given) : []) {
    if (unusableKeys.has(name)) {
      throw new FarcallError("name.invalid", `The variable name ${JSON.stringify(name)} is not allowed.`, {
        hint: "It means something else in JavaScript; choose another name.",
      });
    }
  }
  const parsed = v.safeParse(envSchema, spec);
  if (!parsed.success) throw specError("env", parsed.issues);
  const env: EnvSpec = parsed.output;
  for (const name of Object.keys(env.vars ?? {})) checkVariableName(name);
  for (const [name, value] of Object.entries(env.vars ?? {})) {
    if (value.includes("\0")) {
      throw new FarcallError("spec.invalid", `The variable ${name} of the env holds a NUL character.`, {
        hint: "No operating system can pass one in an environment variable; encode the value, for example as base64.",
      });
    }
  }
  return { ...env, name: checkName("env", env.name ?? "default") };
}

export function specError(what: string, issues: readonly v.BaseIssue<unknown>[]): FarcallError {
  const lines = issues.map((issue) => {
    const path = issue.path?.map((part) => String(part.key)).join(".");
    if (issue.type === "strict_object" && issue.expected === "never")
      return `there is no field ${JSON.stringify(path ?? "")}`;
    return `${path ? `${path}: ` : ""}${issue.message}`;
  });
  return new FarcallError("spec.invalid", `The ${what} is not valid: ${lines.join("; ")}.`);
}

/** Packages to install, as the client resolved them from the project's lockfile. */
const installSchema = v.object({
  /** Exact versions by package name. */
  dependencies: v.record(v.string(), v.string()),
  /** npm `overrides` that pin what those packages need in turn. */
  overrides: v.record(v.string(), v.unknown()),
  /** Subresource integrity by `name@version`, checked after the install where it is known. */
  integrity: v.record(v.string(), v.string()),
  allowScripts: v.union([v.boolean(), v.array(v.string())]),
});
export type InstallRequest = v.InferOutput<typeof installSchema>;

/** An env with every default settled, as the client sends it to an agent; `envSpecOf` makes of it what the user wrote. */
export const resolvedEnvSchema = v.object({
  name: v.string(),
  /** As the user wrote them; `install` has what they came to, with the packages that were found to be needed. */
  reqs: v.array(v.string()),
  install: installSchema,
  vars: v.record(v.string(), v.string()),
  replicas: v.nullable(count(4096)),
  concurrency: count(10_000),
  /** As the user wrote it; `install` has false when there is nothing to install. */
  allowScripts: v.union([v.boolean(), v.array(v.string())]),
  memoryMiB: v.nullable(count(64 * 1024 * 1024)),
  cpus: v.nullable(v.number()),
  gpus: v.nullable(v.number()),
  node: v.nullable(count(100_000)),
});
export type ResolvedEnv = v.InferOutput<typeof resolvedEnvSchema>;

/** Settles the defaults of a checked env. */
export function resolveEnv(spec: EnvSpec & { name: string }, install: InstallRequest): ResolvedEnv {
  return {
    name: spec.name,
    reqs: spec.reqs ?? [],
    install,
    vars: spec.vars ?? {},
    replicas: spec.replicas ?? null,
    concurrency: spec.concurrency ?? 1,
    allowScripts: spec.allowScripts ?? false,
    memoryMiB: spec.compute?.memoryMiB ?? null,
    cpus: spec.compute?.cpus ?? null,
    gpus: spec.compute?.gpus ?? null,
    node: spec.compute?.node ?? null,
  };
}

/** The env as the user wrote it, without what is the default. */
export function envSpecOf(resolved: ResolvedEnv): EnvSpec & { name: string } {
  const { name, reqs, vars, replicas, concurrency, allowScripts, memoryMiB, cpus, gpus, node } = resolved;
  const compute: Compute = {
    ...(cpus === null ? {} : { cpus }),
    ...(memoryMiB === null ? {} : { memoryMiB }),
    ...(gpus === null ? {} : { gpus }),
    ...(node === null ? {} : { node }),
  };
  return {
    name,
    ...(reqs.length === 0 ? {} : { reqs }),
    ...(Object.keys(vars).length === 0 ? {} : { vars }),
    ...(replicas === null ? {} : { replicas }),
    ...(concurrency === 1 ? {} : { concurrency }),
    ...(allowScripts === false ? {} : { allowScripts }),
    ...(Object.keys(compute).length === 0 ? {} : { compute }),
  };
}
