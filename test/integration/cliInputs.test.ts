import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { outcomeOf, TestHome } from "../support/home.ts";
import { cliFile } from "../support/terminal.ts";

let home: TestHome;

beforeAll(async () => {
  home = await TestHome.create();
  await home.write(
    "f.ts",
    `export const echo = (x: unknown) => x;
     export const setting = () => [process.env.WHO ?? "nobody", process.env.MORE ?? "none"];`,
  );
  await home.write("rows.csv", 'word,n\n"a, b",1\nc,2\n');
  await home.write("ragged.csv", "a,b\n1,2\n3\n");
  await home.write("three.jsonl", '1\n{"a":"\u2028"}\n\n"x"\n');
  await home.write("three.json", "[1, 2, 3]");
  for (const name of ["b", "a"]) await home.write(`docs/${name}.md`, name);
  await home.write(
    "gen.ts",
    `import { appendFileSync } from "node:fs";
     const log = (line: string) => appendFileSync(process.env.SAID ?? "/dev/null", line + "\\n");
     export const list = ["one", "two"];
     export function* endless() { console.log("printed"); try { for (let i = 0; ; i++) yield i; } finally { log("returned"); } }
     export async function* stuck() { try { yield 1; await new Promise(() => setInterval(() => {}, 1_000)); } finally { log("returned"); } }
     export function* failing() { yield 1; throw new RangeError("no second"); }
     export const odd = () => [1, { rows: [{ when: new Date(0) }] }, 3];
    `,
  );
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

const inputs = (...args: string[]) => home.cli(["inputs", ...args]);

describe("farcall inputs", () => {
  it.each<[string, string, unknown[]]>([
    [
      "rows of CSV",
      "rows.csv",
      [
        { word: "a, b", n: "1" },
        { word: "c", n: "2" },
      ],
    ],
    ["lines of JSON", "three.jsonl", [1, { a: "\u2028" }, "x"]],
    ["an array", "three.json", [1, 2, 3]],
    ["an exported array", "gen.ts#list", ["one", "two"]],
  ])("prints them one a line: %s", async (_what, source, expected) => {
    const { status, stdout, stderr } = await inputs(source);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual(expected);
  });

  it("prints the paths of files", async () => {
    const paths = ["a", "b"].map((name) => `${JSON.stringify(join(home.project, `docs/${name}.md`))}\n`);
    expect(await inputs("glob:docs/*.md")).toMatchObject({ status: 0, stdout: paths.join("") });
  });

  it("prints what map would take from standard input", async () => {
    expect(await home.cli(["inputs", "-"], { input: "1\n\n[2]\n" })).toMatchObject({ status: 0, stdout: "1\n[2]\n" });
  });

  it("says only how many there are with --count", async () => {
    expect(await inputs("three.jsonl", "--count")).toMatchObject({ status: 0, stdout: "3\n" });
    expect(await inputs("three.jsonl", "--count", "--json")).toMatchObject({ status: 0, stdout: '{"count":3}\n' });
    expect(await inputs("gen.ts#odd", "--count")).toMatchObject({ status: 0, stdout: "3\n" });
  });

  it("stops an endless generator at --limit, by its return(), and what it prints goes to standard error", async () => {
    const said = join(home.project, "limit.txt");
    const outcome = await home.cli(["inputs", "gen.ts#endless", "--limit", "3"], { env: { SAID: said } });
    expect(outcome).toMatchObject({ status: 0, stdout: "0\n1\n2\n", stderr: "printed\n" });
    expect(await readFile(said, "utf8")).toBe("returned\n");
    expect(await inputs("gen.ts#endless", "--limit", "12345", "--count")).toMatchObject({ stdout: "12345\n" });
  });

  it.each(["endless", "stuck"])("ends at Ctrl-C with 130: %s", async (name) => {
    const child = home.spawnCli(["inputs", `gen.ts#${name}`]);
    child.stdout?.once("data", () => child.kill("SIGINT"));
    const { status, stderr } = await outcomeOf(child);
    expect({ status, stderr: stderr.replace("printed\n", "") }).toEqual({ status: 130, stderr: "cancelled\n" });
  });

  it("ends quietly when its reader has had enough", async () => {
    const script = '"$0" "$1" inputs gen.ts#endless | head -n 2; echo "status ${PIPESTATUS[0]}"';
    const child = spawn("bash", ["-c", script, process.execPath, cliFile], {
      cwd: home.project,
      env: home.environment(),
    });
    expect(await outcomeOf(child)).toMatchObject({ stdout: "0\n1\nstatus 0\n", stderr: "printed\n" });
  });

  it("names the input and the place that JSON cannot say, behind the lines before it", async () => {
    const { status, stdout, stderr } = await inputs("gen.ts#odd");
    expect({ status, stdout }).toEqual({ status: 1, stdout: "1\n" });
    expect(stderr).toContain(
      "value.unserializable: Input 1 cannot be written as JSON: .rows[0].when is an instance of Date.",
    );
  });

  it("ends with the error of a generator, behind what came before", async () => {
    const { status, stdout, stderr } = await inputs("gen.ts#failing");
    expect({ status, stdout }).toEqual({ status: 1, stdout: "1\n" });
    expect(stderr).toMatch(/RangeError: no second\n +at failing \(gen\.ts:6:/);
  });

  it.each<[string, string[], RegExp]>([
    ["no source", [], /No input is named[\s\S]*farcall inputs FILE/],
    ["two sources", ["three.json", "rows.csv"], /"rows\.csv" is one word too many/],
    ["a source that is not there", ["none.csv"], /none\.csv is not a file/],
    [
      "a ragged CSV file, before anything is printed",
      ["ragged.csv"],
      /ragged\.csv:3 has 1 field, the header row has 2/,
    ],
    ["a glob without a file", ["glob:*.none"], /No file in .* matches "\*\.none"/],
    ["a limit of nothing", ["three.json", "--limit", "0"], /--limit is "0"/],
  ])("refuses %s", async (_what, args, message) => {
    const outcome = await inputs(...args);
    expect(outcome).toMatchObject({ status: 2, stdout: "" });
    expect(outcome.stderr).toMatch(message);
  });

  it("starts no agent", () => {
    expect(home.agentPid()).toBeUndefined();
  });
});

describe("farcall map takes", () => {
  const values = (stdout: string) =>
    stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { value: unknown }).value);

  it.each<[string, string, () => unknown[]]>([
    [
      "the rows of a CSV file",
      "rows.csv",
      () => [
        { word: "a, b", n: "1" },
        { word: "c", n: "2" },
      ],
    ],
    ["the files of a glob", "glob:docs/*", () => ["a", "b"].map((name) => join(home.project, `docs/${name}.md`))],
  ])("%s", async (_what, source, expected) => {
    const { status, stdout } = await home.cli(["map", "f.ts#echo", "--input", source]);
    expect({ status, values: values(stdout) }).toEqual({ status: 0, values: expected() });
  });

  it("no CSV file with a bad row", async () => {
    const { status, stderr } = await home.cli(["map", "f.ts#echo", "--input", "ragged.csv"]);
    expect(status).toBe(2);
    expect(stderr).toContain("input.invalid: ragged.csv:3 has 1 field");
  });
});

describe("the env of a run", () => {
  const setting = async (folder: string, ...args: string[]) => {
    const { status, stdout, stderr } = await home.cli(["run", `${folder}/f.ts#setting`, ...args]);
    return status === 0 ? (JSON.parse(stdout) as unknown) : stderr;
  };

  beforeAll(async () => {
    const source = await readFile(join(home.project, "f.ts"), "utf8");
    for (const folder of ["plain", "project/src", "odd"]) await home.write(`${folder}/f.ts`, source);
    const envs = { default: { vars: { WHO: "default" } }, other: { vars: { WHO: "other" }, replicas: 1 } };
    await home.write("project/farcall.json", JSON.stringify({ envs }));
    await home.write("odd/farcall.json", '{"envs":{"gpu":{"replicas":"many"}}}');
    await home.write("env.json", '{"vars":{"WHO":"file"}}');
    await home.write("other", '{"vars":{"WHO":"a file without ending"}}');
  });

  it("is the default of the nearest farcall.json of the source file, wherever one stands", async () => {
    expect(await setting("project/src")).toEqual(["default", "none"]);
    expect(await setting("plain")).toEqual(["nobody", "none"]);
  });

  it("is the one that is named there, with what options add", async () => {
    expect(await setting("project/src", "--env", "other")).toEqual(["other", "none"]);
    expect(await setting("project/src", "--env", "other", "--var", "MORE=1")).toEqual(["other", "1"]);
    await home.write("two.jsonl", "1\n2\n");
    const { stdout } = await home.cli(["map", "project/src/f.ts#setting", "--input", "two.jsonl", "--env", "other"]);
    expect(stdout.match(/"other"/g)).toHaveLength(2);
  });

  it("is that of a file where a file is named, or of JSON", async () => {
    expect(await setting("project/src", "--env", "env.json")).toEqual(["file", "none"]);
    expect(await setting("project/src", "--env", "./other")).toEqual(["a file without ending", "none"]);
    expect(await setting("project/src", "--env", '{"vars":{"WHO":"me"}}')).toEqual(["me", "none"]);
  });

  it.each<[string, string[], RegExp]>([
    [
      "a name that is not there",
      ["project/src", "--env", "gpu"],
      /no env "gpu" in .*project\/farcall\.json[\s\S]*default, other/,
    ],
    ["a name without a farcall.json", ["plain", "--env", "gpu"], /no env "gpu": neither .*plain nor a folder above/],
    ["a farcall.json that is wrong", ["odd"], /spec\.invalid: .*odd\/farcall\.json: .*envs\.gpu\.replicas/],
    ["JSON that is cut short", ["plain", "--env", "{"], /--env is not JSON/],
    ["JSON with an unknown field", ["plain", "--env", '{"replica":1}'], /no field "replica"/],
  ])("is refused with %s", async (_what, [folder = "", ...args], message) => {
    expect(await setting(folder, ...args)).toMatch(message);
  });
});
