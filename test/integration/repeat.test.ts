import { execFile } from "node:child_process";
import { chmod, mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { asCommand, asScript, type RunRequest } from "../../extension/runs/repeat.ts";
import { TestHome } from "../support/home.ts";
import { cliFile } from "../support/terminal.ts";

/** Scripts and commands that were copied from a run, run as a user would: they give what a direct call gives. */

const root = join(import.meta.dirname, "../..");
let home: TestHome;

const source = `
export const echo = (...args: unknown[]) => args;
export const one = (x: unknown) => x;
export function* upTo(n: number) { for (let i = 1; i <= n; i++) yield { i }; }
export async function* later(n: number) { for (let i = 1; i <= n; i++) { await null; yield i; } }
export class Words { static sep = ","; static join(this: typeof Words, a: string, b: string) { return a + this.sep + b; } }
export default (x: number) => x * 2;
export const fails = (x: number) => { if (x === 2) throw new RangeError("two"); return x; };
export const setting = () => [process.env["WHO"], process.env["QUOTED"]];
export const slow = async () => { await new Promise((resolve) => setTimeout(resolve, 60_000)); };
const odd = (x: string) => "odd " + x;
export { odd as "odd-name" };
export const kinds = (...args: any[]) => args.map((each) => Object.prototype.toString.call(each));
export const twice = (a: object, b: object) => a === b;
export const loop = (a: { self: unknown }) => a.self === a;
`;

const nasty = [
  "",
  'it\'s "quoted" `ticked` \\ back\\\\slash',
  "$HOME ${HOME} $(echo no) !! %PATH% ~ * ? [a] {b,c} #x ; & | < >",
  "two\nlines\r\n\tand\u2028more\u2029",
  "-rf --help -",
  "ünïcödé 🦆 \u0000 \ud800 \u202e \u001b[31m",
  "</script>'\n'",
];

beforeAll(async () => {
  home = await TestHome.create();
  await mkdir(join(home.project, "node_modules"));
  await symlink(root, join(home.project, "node_modules/farcall"));
  await home.write("src/f.ts", source);
  await home.write("common.cjs", "exports.add = (a, b) => a + b;\n");
  await home.write("it's $odd #1/f.ts", source);
  await home.write("data/rows.csv", '\ufeffword,n\r\n"a, ""b""\nc",1\r\n\r\nd,\r\n');
  await home.write("data/rows.tsv", 'word\tn\n"a\tb"\t1\nc,d\t2');
  await home.write(
    "data/values.jsonl",
    `\ufeff${nasty.map((each) => `${JSON.stringify(each)}\n\n`).join("")}{"u":"\u2028"}`,
  );
  await home.write("data/array.json", '\ufeff[1, {"a": [2]}, "x"]');
  for (const name of ["b", "a", "deep/c"]) await home.write(`docs/${name}.md`, name);
  await mkdir(join(home.project, "docs/folder.md"));
  await home.write(
    "data/gen #1.ts",
    `export const list: number[] = [1, 2];
     export function* counted() { yield 3; yield 4; }
     export const later = async () => new Set([5]);
     export default [6];`,
  );
  const shim = await home.write("bin/farcall", `#!/bin/sh\nexec '${process.execPath}' '${cliFile}' "$@"\n`);
  await chmod(shim, 0o755);
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

function run(command: string, args: string[], env: Record<string, string>): Promise<Ended> {
  const environment = home.environment({ ...env, PATH: `${join(home.project, "bin")}:${process.env["PATH"]}` });
  return new Promise((resolve) => {
    const child = execFile(
      command,
      args,
      { cwd: home.project, env: environment, timeout: 50_000 },
      (error, stdout, stderr) => resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
    );
    child.stdin?.end("7\n\n8");
  });
}

const request = (kind: "call" | "map", name: string, more: Partial<RunRequest> = {}): RunRequest => ({
  kind,
  file: join(home.project, "src/f.ts"),
  export: name,
  env: { name: "default" },
  ...more,
});

async function runScript(given: RunRequest, env: Record<string, string> = {}): Promise<Ended> {
  const file = await home.write("repeated.ts", asScript(given, { folder: home.project }));
  return run(process.execPath, [file], env);
}

const runCommand = (given: RunRequest, env: Record<string, string> = {}): Promise<Ended> =>
  run("sh", ["-c", asCommand(given, { folder: home.project })], env);

/** What the script prints for these values. */
const printed = (...values: unknown[]) => values.map((value) => `${inspect(value, { depth: null })}\n`).join("");

const outcomes = (values: readonly unknown[]) =>
  printed(...values.map((value, index) => ({ index, value, attempts: 1 })));

const parsed = (stdout: string) =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { value: unknown });

describe("a call that is copied", () => {
  it.each<[string, string, unknown[], unknown]>([
    ["with nasty texts", "echo", nasty, nasty],
    [
      "with plain data",
      "echo",
      [{ "a b": [1, null, true], c: { d: -1.5 } }, []],
      [{ "a b": [1, null, true], c: { d: -1.5 } }, []],
    ],
    ["without arguments", "echo", [], []],
    ["to a static method", "Words.join", ["-a", "b"], "-a,b"],
    ["to the default export", "default", [21], 42],
    ["to an export whose name is no identifier", "odd-name", ["x"], "odd x"],
  ])("gives the same as a script and as a command: %s", async (_what, name, args, expected) => {
    const given = request("call", name, { args });
    expect(await runScript(given)).toEqual({ code: 0, stdout: printed(expected), stderr: "" });
    const { code, stdout, stderr } = await runCommand(given);
    expect({ code, stderr, value: JSON.parse(stdout) as unknown }).toEqual({ code: 0, stderr: "", value: expected });
  });

  it("gives the same from a file with a nasty path, and from CommonJS", async () => {
    const odd = request("call", "one", { file: join(home.project, "it's $odd #1/f.ts"), args: ["x"] });
    const common = request("call", "add", { file: join(home.project, "common.cjs"), args: [1, 2] });
    expect(await runScript(odd)).toMatchObject({ code: 0, stdout: printed("x") });
    expect(await runCommand(odd)).toMatchObject({ code: 0, stdout: '"x"\n' });
    expect(await runScript(common)).toMatchObject({ code: 0, stdout: printed(3) });
    expect(await runCommand(common)).toMatchObject({ code: 0, stdout: "3\n" });
  });

  it.each(["upTo", "later"])("prints what a generator yields, one by one: %s", async (name) => {
    const values = name === "upTo" ? [{ i: 1 }, { i: 2 }] : [1, 2];
    for (const generator of [true, undefined]) {
      const given = request("call", name, { args: [2], generator, timeoutMs: 20_000 });
      expect(await runScript(given)).toEqual({ code: 0, stdout: printed(...values), stderr: "" });
    }
    const { stdout } = await runCommand(request("call", name, { args: [2], timeoutMs: 20_000 }));
    expect(stdout).toBe(values.map((value) => `${JSON.stringify(value)}\n`).join(""));
  });

  it("has arguments in a script that JSON cannot say", async () => {
    const args = [new Map([["a", new Set([1n])]]), new Date(0), undefined, NaN, Buffer.from("x"), new TypeError("no")];
    const tags = args.map((each) => Object.prototype.toString.call(each));
    expect(await runScript(request("call", "kinds", { args }))).toEqual({ code: 0, stdout: printed(tags), stderr: "" });
    const shared = { a: 1 };
    const loop: { self?: unknown } = {};
    loop.self = loop;
    expect(await runScript(request("call", "twice", { args: [shared, shared] }))).toMatchObject({ stdout: "true\n" });
    expect(await runScript(request("call", "loop", { args: [loop] }))).toMatchObject({ stdout: "true\n" });
  });

  it("has its env, with the values of variables from whoever runs it", async () => {
    const quoted = `it's "so" $HOME\n\`x\``;
    const env = { name: "gpu", replicas: 1, vars: { WHO: "not written", QUOTED: "neither" } };
    const given = request("call", "setting", { args: [], env });
    const variables = { WHO: "me", QUOTED: quoted };
    expect(await runScript(given, variables)).toEqual({ code: 0, stdout: printed(["me", quoted]), stderr: "" });
    const { stdout } = await runCommand(given, variables);
    expect(JSON.parse(stdout)).toEqual(["me", quoted]);
    const missing = await runScript(given, { WHO: "me" });
    expect(missing.code).toBe(1);
    expect(missing.stderr).toMatch(/spec\.invalid|vars\.QUOTED/);
  });

  it("may name an env of farcall.json", async () => {
    await home.write(
      "src/farcall.json",
      '{"envs":{"me":{"vars":{"WHO":"the env"}},"default":{"vars":{"WHO":"default"}}}}',
    );
    const env = { name: "me", vars: { WHO: "the env" } };
    const { stdout } = await runCommand(request("call", "setting", { args: [], env, envFromProject: true }));
    expect(JSON.parse(stdout)).toEqual(["the env", null]);
    const named = { ...env, name: "default" };
    const other = await runCommand(request("call", "setting", { args: [], env: named, envFromProject: true }));
    expect(JSON.parse(other.stdout)).toEqual(["default", null]);
    await rm(join(home.project, "src/farcall.json"));
  });

  it("keeps its time limit", async () => {
    const given = request("call", "slow", { args: [], timeoutMs: 300 });
    for (const { code, stderr } of [await runScript(given), await runCommand(given)]) {
      expect(code).toBe(1);
      expect(stderr).toContain("300 ms");
    }
  });
});

describe("a map that is copied", () => {
  const jsonValues = [...nasty, { u: "\u2028" }];
  const rows = [
    { word: 'a, "b"\nc', n: "1" },
    { word: "d", n: "" },
  ];
  const tabbed = [
    { word: "a\tb", n: "1" },
    { word: "c,d", n: "2" },
  ];
  const docs = (...names: string[]) => names.map((name) => join(home.project, `docs/${name}.md`));

  it.each<[string, () => unknown[]]>([
    ["data/values.jsonl", () => jsonValues],
    ["data/array.json", () => [1, { a: [2] }, "x"]],
    ["data/rows.csv", () => rows],
    ["data/rows.tsv", () => tabbed],
    ["glob:docs/**/*.md", () => docs("a", "b", "deep/c")],
    ["data/gen #1.ts#list", () => [1, 2]],
    ["data/gen #1.ts#counted", () => [3, 4]],
    ["data/gen #1.ts#later", () => [5]],
    ["data/gen #1.ts#default", () => [6]],
    ["-", () => [7, 8]],
  ])("takes the same inputs as a script and as a command: %s", async (input, expected) => {
    for (const given of [request("map", "one", { input }), request("map", "one", { input: absolute(input) })]) {
      expect(await runScript(given)).toEqual({ code: 0, stdout: outcomes(expected()), stderr: "" });
    }
    const { code, stdout } = await runCommand(request("map", "one", { input }));
    expect({ code, values: parsed(stdout).map(({ value }) => value) }).toEqual({ code: 0, values: expected() });
  });

  function absolute(input: string): string {
    if (input === "-") return input;
    const [, prefix = "", path = ""] = /^(glob:)?(.*)$/.exec(input) ?? [];
    return `${prefix}${join(home.project, path)}`;
  }

  it("keeps its options: it collects errors, or stops at the first", async () => {
    await home.write("three.jsonl", "1\n2\n3\n");
    const collecting = request("map", "fails", { input: "three.jsonl", options: { onError: "collect", replicas: 1 } });
    const script = await runScript(collecting);
    expect(script.code).toBe(1);
    expect(script.stdout).toMatch(/index: 0, value: 1[^]*index: 1,[^]*RangeError: two[^]*index: 2, value: 3/);
    const command = await runCommand(collecting);
    expect(command.code).toBe(1);
    expect(parsed(command.stdout)).toMatchObject([{ value: 1 }, { error: { message: "two" } }, { value: 3 }]);
    const stopping = request("map", "fails", { input: "three.jsonl", options: {} });
    for (const { code, stdout, stderr } of [await runScript(stopping), await runCommand(stopping)]) {
      expect(code).toBe(1);
      expect(stdout).not.toContain("3");
      expect(stderr).toContain("RangeError: two");
    }
  });

  it("maps a static method, and a generator", async () => {
    await home.write("pairs.json", '["a"]');
    const joined = request("map", "Words.join", { input: "pairs.json" });
    expect(await runScript(joined)).toMatchObject({ code: 0, stdout: outcomes(["a,undefined"]) });
    await home.write("two.json", "[2]");
    const yielded = request("map", "later", { input: "two.json" });
    expect(await runScript(yielded)).toMatchObject({ code: 0, stdout: outcomes([[1, 2]]) });
  });

  it("has a place for inputs that are not known: without them nothing is mapped", async () => {
    expect(await runScript(request("map", "one"))).toEqual({ code: 0, stdout: "", stderr: "" });
    const { code, stderr } = await runCommand(request("map", "one"));
    expect(code).toBe(2);
    expect(stderr).toContain("INPUT is not a file");
  });

  it("refuses what the map refused: a CSV file with a bad row", async () => {
    for (const [name, text] of [
      ["ragged", "a,b\n1\n"],
      ["quotes", 'a,b\n1,"2"3\n'],
    ]) {
      await home.write(`${name}.csv`, text!);
      const { code, stderr } = await runScript(request("map", "one", { input: `${name}.csv` }));
      expect(code).toBe(1);
      expect(stderr).toMatch(/is not like the header|are wrong/);
    }
  });
});

it("the scripts hold for TypeScript's strictest", { timeout: 120_000 }, async () => {
  const loop: { self?: unknown } = {};
  loop.self = loop;
  const all: RunRequest[] = [
    request("call", "echo", { args: nasty, env: { vars: { WHO: "x" }, reqs: ["a"], compute: { gpus: 1 } } }),
    request("call", "upTo", { args: [2], generator: true }),
    request("call", "later", { args: [2], timeoutMs: 5 }),
    request("call", "Words.join", { args: ["a", "b"], generator: false }),
    request("call", "default", { args: [1] }),
    request("call", "odd-name", { args: ["x"] }),
    request("call", "loop", { args: [loop] }),
    ...["data/values.jsonl", "data/array.json", "data/rows.csv", "data/rows.tsv", "glob:docs/*", "-"].map((input) =>
      request("map", "one", { input, options: { onError: "collect" } }),
    ),
    ...["list", "counted", "later", "default"].map((name) => request("map", "one", { input: `data/gen.ts#${name}` })),
    request("map", "Words.join", { input: "data/array.json" }),
  ];
  await home.write("checked/src/f.ts", source);
  await home.write(
    "checked/data/gen.ts",
    "export const list = [1]; export function* counted() { yield 3; } export const later = async () => new Set([5]); export default [6];",
  );
  const folder = join(home.project, "checked");
  for (const [i, each] of all.entries()) {
    const file = each.file.replace(home.project, folder);
    await home.write(`checked/script${i}.ts`, asScript({ ...each, file }, { folder }));
  }
  const config = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: {
      paths: { farcall: [join(root, "runtime/index.ts")] },
      noUnusedParameters: false,
      typeRoots: [join(root, "node_modules/@types")],
    },
    include: ["*.ts"],
  };
  await home.write("checked/tsconfig.json", JSON.stringify(config));
  await home.write("checked/package.json", '{ "type": "module" }');
  const checked = await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", folder], {});
  const own = checked.stdout.split("\n").filter((line) => /script\d+\.ts/.test(line));
  expect(own).toEqual([]);
});
