import { isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";
import type { EnvSpec } from "../../runtime/index.ts";
import { group, literal, member, propertyKey } from "./literal.ts";
import type { RunRequest } from "./repeat.ts";
import { inputsCode } from "./repeatInputs.ts";
import { pathFrom } from "./repeatPaths.ts";

export interface ScriptOptions {
  /** The folder in which the program will be saved. */
  folder: string;
}

/**
 * A TypeScript program that begins the same run and prints what comes of it, for Node 24 or newer with `farcall`
 * installed. Variables of the env are taken from the environment, never written. An input module is imported by Node
 * itself, so it may hold only TypeScript that Node takes as it is. Throws `value.unserializable` for arguments that
 * no expression can make.
 */
export function asScript(request: RunRequest, { folder }: ScriptOptions): string {
  const { kind, file, env, cluster = "local" } = request;
  // A name of its own, as that of a cluster may be none in TypeScript.
  const where = cluster === "local" ? "local" : "there";
  const path = pathFrom(folder, file);
  const inputs = kind === "map" ? inputsCode(request.input, folder) : undefined;
  const [first = "", ...rest] = request.export.split(".");
  const isStatic = rest.length > 0;
  const imports = [
    `import { cluster${isStatic ? ", type RemoteFunction" : ""} } from "farcall";`,
    ...(inputs?.imports ?? []),
  ];
  const spec = envCode(env);
  const options = spec === undefined ? "{ from: import.meta.url }" : `{\n  from: import.meta.url,\n  env: ${spec},\n}`;
  const specifier = JSON.stringify(isAbsolute(path) ? pathToFileURL(path).href : `./${path}`);
  const types = `typeof import(${JSON.stringify(typeSpecifier(path))})`;
  const remote = isStatic
    ? `(await ${where}.import(${specifier}, ${options})) as unknown as ${staticType(types, first, rest)}`
    : `await ${where}.import<${types}>(${specifier}, ${options})`;
  const call = `remote${member(first)}${rest.map(member).join("")}`;
  const body = inputs ? [...inputs.lines, ...mapLines(call, request)] : callLines(call, request);
  return [
    ...imports,
    "",
    ...(inputs?.functions ?? []),
    `await using ${where} = cluster(${JSON.stringify(cluster)});`,
    ...(Object.keys(env.vars ?? {}).length > 0
      ? ["// The values of variables are not written here: set them in the environment of this program."]
      : []),
    `const remote = ${remote};`,
    "",
    ...body,
    "",
  ].join("\n");
}

/** What TypeScript calls a source file when it is imported: by the name of what it is compiled to. */
function typeSpecifier(path: string): string {
  const compiled = path.replace(/\.tsx?$/, ".js").replace(/\.([cm])ts$/, ".$1js");
  return isAbsolute(path) ? compiled : `./${compiled}`;
}

/** The types of a module have no place for the static methods of its classes. */
function staticType(types: string, first: string, rest: readonly string[]): string {
  const path = [first, ...rest];
  const fn = `RemoteFunction<(${types})${path.map((name) => `[${JSON.stringify(name)}]`).join("")}>`;
  return path.reduceRight((inner, name) => `{ ${propertyKey(name)}: ${inner} }`, fn);
}

/** Undefined for an env of which nothing was said. */
function envCode(env: EnvSpec): string | undefined {
  const { vars = {}, name = "default", ...rest } = env;
  const fields = Object.entries({ ...(name === "default" ? {} : { name }), ...rest })
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}: ${literal(value, "    ")}`);
  const names = Object.keys(vars);
  if (names.length > 0) {
    const values = names.map((each) => `${propertyKey(each)}: process.env[${JSON.stringify(each)}]!`);
    fields.push(`vars: ${group("{}", values, "    ")}`);
  }
  return fields.length === 0 ? undefined : group("{}", fields, "  ");
}

const shown = "{ depth: null }";

function callLines(call: string, { args, timeoutMs, generator }: RunRequest): string[] {
  const fn = timeoutMs === undefined ? call : `${call}.with({ timeoutMs: ${timeoutMs} })`;
  const given = argumentsCode(call, args);
  const lines =
    args === undefined
      ? [
          "// What this run was called with is not known here, as it was too large to be kept: write it as the arguments.",
        ]
      : given.startsWith("(...(")
        ? ["// @ts-ignore -- what is shared or circular is put together by a function without types"]
        : [];
  const expression = `${fn}${given}`;
  const stream = (values: string) => [`for await (const value of ${values}) console.dir(value, ${shown});`];
  if (generator === true) return [...lines, `const values = ${expression};`, ...stream("values")];
  if (generator === false) return [...lines, `const result = await ${expression};`, `console.dir(result, ${shown});`];
  return [
    ...lines,
    `const result: unknown = await ${expression};`,
    "// A generator gives its values one by one, any other function its result.",
    'if (typeof result === "object" && result !== null && Symbol.asyncIterator in result) {',
    ...stream("result as AsyncIterable<unknown>").map((line) => `  ${line}`),
    `} else console.dir(result, ${shown});`,
  ];
}

function argumentsCode(call: string, args: readonly unknown[] | undefined): string {
  if (args === undefined) return "(/* … */)";
  const whole = literal(args);
  // One expression for all where arguments share an object.
  if (whole.startsWith("(function")) return `(...(${whole} as Parameters<${typeQuery(call)}>))`;
  return group(
    "()",
    Array.from(args, (arg) => literal(arg, "  ")),
    "",
  );
}

/** `typeof a.b["c d"]`, which TypeScript takes for identifiers only. */
function typeQuery(call: string): string {
  return call.includes("[")
    ? `(typeof remote)${call.slice("remote".length).replaceAll(/\.([^.[]+)/g, '["$1"]')}`
    : `typeof ${call}`;
}

function mapLines(call: string, { options = {}, guests = [] }: RunRequest): string[] {
  const on = guests.length === 0 ? [] : [["on", guests] as const];
  const given = [...on, ...Object.entries(options).filter(([, value]) => value !== undefined)];
  const begin = given.length === 0 ? "inputs" : `inputs, ${literal(Object.fromEntries(given))}`;
  const print = `console.dir(outcome, ${shown});`;
  if (options.onError !== "collect") {
    return [`const run = ${call}.map(${begin});`, `for await (const outcome of run) ${print}`];
  }
  return [
    `const run = ${call}.map(${begin});`,
    "for await (const outcome of run) {",
    '  if ("error" in outcome) process.exitCode = 1;',
    `  ${print}`,
    "}",
  ];
}
