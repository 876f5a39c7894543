import * as v from "valibot";
import { checkEnvSpec, envSchema, type EnvSpec, specError } from "./env.ts";
import { FarcallError, messageOf } from "./errors.ts";

/** What `farcall.json` says; it lies in the folder of a project. */
export interface ProjectSpec {
  /** Where editors find the schema; not read. */
  $schema?: string;
  /** Envs by name. The one called `default` is used where no other is asked for. */
  envs?: Record<string, Omit<EnvSpec, "name">>;
}

export const projectFileName = "farcall.json";

export const projectSchema = v.strictObject({
  $schema: v.optional(v.string()),
  envs: v.optional(v.record(v.string(), v.omit(envSchema, ["name"]))),
});

/** Checks what a person wrote. Throws `spec.invalid` with the path of the field that is wrong. */
export function checkProject(value: unknown): ProjectSpec {
  refuseArrays(value);
  const parsed = v.safeParse(projectSchema, value);
  if (!parsed.success) throw specError("project", parsed.issues);
  // Read from what was given: the schema library leaves some keys out without a word.
  const { envs } = value as ProjectSpec;
  for (const [name, env] of Object.entries(envs ?? {})) {
    try {
      checkEnvSpec({ ...env, name });
    } catch (cause) {
      const hint = cause instanceof FarcallError ? cause.hint : undefined;
      throw new FarcallError("spec.invalid", `The project is not valid: envs.${name}: ${messageOf(cause)}`, {
        cause,
        ...(hint === undefined ? {} : { hint }),
      });
    }
  }
  return parsed.output;
}

/** The schema library takes an array for an object without fields. */
function refuseArrays(value: unknown): void {
  const { envs } = (value ?? {}) as { envs?: unknown };
  const places: [path: string, value: unknown][] = [
    ["", value],
    ["envs: ", envs],
  ];
  for (const [name, env] of Object.entries(envs ?? {}) as [string, { vars?: unknown; compute?: unknown } | null][]) {
    places.push([`envs.${name}: `, env]);
    places.push([`envs.${name}.vars: `, env?.vars], [`envs.${name}.compute: `, env?.compute]);
  }
  const found = places.find(([, each]) => Array.isArray(each));
  if (found)
    throw new FarcallError("spec.invalid", `The project is not valid: ${found[0]}Expected Object but received Array`);
}

/** The env of this name, complete with it; undefined when there is none. */
export function projectEnv(project: ProjectSpec, name: string): EnvSpec | undefined {
  const { envs = {} } = project;
  return Object.hasOwn(envs, name) ? { ...envs[name], name } : undefined;
}
