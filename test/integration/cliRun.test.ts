import { spawn } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { outcomeOf, TestHome, until } from "../support/home.ts";
import { cliFile, onTerminal } from "../support/terminal.ts";

const root = join(import.meta.dirname, "../..");

function isBuildStale(): boolean {
  const builtAtMs = statSync(join(root, "dist/.built")).mtimeMs;
  const sources = readdirSync(join(root, "runtime"), { recursive: true, encoding: "utf8" });
  const files = sources.map((name) => join("runtime", name));
  return [...files, "scripts/build.ts", "package.json", "package-lock.json"].some(
    (name) => statSync(join(root, name)).mtimeMs > builtAtMs,
  );
}

let home: TestHome;

const source = `import { context } from "farcall";
export const add = (a: number, b: number) => a + b;
export const greet = (name: string, greeting = "Hello") => greeting + " " + name;
export const nothing = () => {};
export const rich = () => ({
  date: new Date(0), map: new Map([["a", 1n]]), set: new Set([1]), bytes: Buffer.from("hi"), none: undefined, nan: NaN,
});
export const cyclic = () => { const value: Record<string, unknown> = {}; value.self = value; return value; };
export function* three() { yield 1; yield { two: 2 }; yield [3]; }
export async function* countThenFail() { yield 1; throw new RangeError("at two"); }
export class Tools { static twice(n: number) { return 2 * n; } }
export const talk = () => { console.log("to stdout"); console.error("to stderr"); return "value"; };
export const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
export const waits = async () => {
  console.log("waiting");
  await new Promise((resolve) => context().signal.addEventListener("abort", resolve));
  console.log("told");
  throw context().signal.reason;
};
export const hostile = () => {
  const osc52 = "\\u001b]52;c;aGFja2Vk\\u0007";
  console.log(osc52 + "\\u001b[2J\\u001b[31mred\\u001b[0m" + "\\u009b6n\\u202egnp.exe\\rover");
  const error = new Error(osc52 + "message\\u001b[1A\\nsecond line\\u001b]0;title\\u0007");
  error.name = osc52 + "Hostile";
  throw error;
};
export const returned = () => "\\u009b2J\\u001b[2J\\u202e";
export { add as "\\u001b]0;x\\u0007bad" };
export const environment = (name: string) => process.env[name];
`;
const failing = `interface Shape { sides: { count: number } }

function count(shape: Shape): number {
  return shape.sides.count;
}

export function measure() {
  return count({} as Shape);
}
`;

beforeAll(async () => {
  home = await TestHome.create();
  await home.write("f.ts", source);
  await home.write("shapes/measure.ts", failing);
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

describe("farcall run", () => {
  test.each<[string, string[], string]>([
    ["a number", ["f.ts#add", "[1,2]"], "3\n"],
    ["a text, with a parameter left out", ["f.ts#greet", '["Ada"]'], '"Hello Ada"\n'],
    ["undefined", ["f.ts#nothing"], "null\n"],
    ["undefined, as a document", ["f.ts#nothing", "--json"], '{"value":null}\n'],
    ["a static method's value", ["f.ts#Tools.twice", "[4]", "--json"], '{"value":8}\n'],
    ["what a generator yields, a line each", ["f.ts#three"], '1\n{"two":2}\n[3]\n'],
    [
      "what JSON cannot say, as close as it can be",
      ["f.ts#rich"],
      '{"date":"1970-01-01T00:00:00.000Z","map":[["a","1"]],"set":[1],"bytes":"aGk=","nan":null}\n',
    ],
  ])("prints %s", async (_what, args, stdout) => {
    expect(await home.cli(["run", ...args])).toMatchObject({ status: 0, stdout });
  });

  test("keeps standard output for the result: what the function prints goes to standard error", async () => {
    const { status, stdout, stderr } = await home.cli(["run", "f.ts#talk"]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: '"value"\n' });
    expect(stderr).toMatch(/^\[\d+ #0\] to stdout$/m);
    expect(stderr).toMatch(/^\[\d+ #0\] to stderr$/m);
  });

  test("shows a thrown error with its class, the user's own file and line, and the code there", async () => {
    const { status, stdout, stderr } = await home.cli(["run", "shapes/measure.ts#measure"]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/^TypeError: Cannot read properties of undefined \(reading 'count'\) \(replica \d+\)$/m);
    expect(stderr).toContain("at count (shapes/measure.ts:4:22)");
    expect(stderr).toContain("at measure (shapes/measure.ts:8:10)");
    expect(stderr).toContain("> 4 |   return shape.sides.count;\n      |                      ^");
    expect(stderr).not.toContain("worker.js");
  });

  test("gives a thrown error as JSON when asked to", async () => {
    const { status, stdout } = await home.cli(["run", "shapes/measure.ts#measure", "--json"]);
    expect(status).toBe(1);
    const { error } = JSON.parse(stdout) as { error: Record<string, string> };
    expect(error).toMatchObject({ name: "TypeError", message: expect.stringContaining("count") });
    expect(error["stack"]).toContain(`${home.project}/shapes/measure.ts:4:`);
  });

  test("prints what a generator yielded before it failed", async () => {
    const { status, stdout, stderr } = await home.cli(["run", "f.ts#countThenFail"]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "1\n" });
    expect(stderr).toContain("RangeError: at two");
  });

  test("says that a value with a cycle cannot be printed", async () => {
    const { status, stdout, stderr } = await home.cli(["run", "f.ts#cyclic"]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toContain("value.unserializable");
  });

  test("gives up after --timeout", async () => {
    const { status, stderr } = await home.cli(["run", "f.ts#sleep", "[60000]", "--timeout", "200ms"]);
    expect(status).toBe(1);
    expect(stderr).toContain("item.timeout");
  });

  test("ends with 130 at Ctrl-C, and the function is told", async () => {
    const child = home.spawnCli(["run", "f.ts#waits"]);
    const outcome = outcomeOf(child);
    await new Promise<void>((resolve) => {
      child.stderr?.on("data", (text: string) => text.includes("waiting") && resolve());
    });
    child.kill("SIGINT");
    expect(await outcome).toMatchObject({ status: 130, stdout: "" });
    const records = await until(
      async () =>
        JSON.parse((await home.cli(["runs", "--json", "--limit", "1"])).stdout) as { id: string; state: string }[],
      ([record]) => record?.state !== "running",
    );
    expect(records).toMatchObject([{ label: "f.ts#waits", state: expect.stringMatching(/^(cancelled|failed)$/) }]);
    expect((await home.cli(["logs", records[0]!.id])).stdout).toContain("told");
  });

  test("says so when standard output cannot be written", async () => {
    const child = spawn("sh", ["-c", '"$0" "$@" > /dev/full', process.execPath, cliFile, "run", "f.ts#add", "[1,2]"], {
      cwd: home.project,
      env: home.environment(),
    });
    const { status, stderr } = await outcomeOf(child);
    expect(status).toBe(2);
    expect(stderr).toContain("ENOSPC");
  });

  test("resolves a path from the caller's folder, also with spaces in it", async () => {
    await home.write("with space/inner/g.ts", 'export const where = () => "inner";');
    const cwd = join(home.project, "with space/inner");
    expect(await home.cli(["run", "../inner/g.ts#where"], { cwd })).toMatchObject({ status: 0, stdout: '"inner"\n' });
  });

  // Through npm, a stale build would be built anew, under the feet of the other tests.
  test.skipIf(isBuildStale())("resolves a path from the caller's folder through npm", async () => {
    await home.write("other folder/g.ts", 'export const where = () => "inner";');
    const cwd = join(home.project, "other folder");
    const npm = spawn("npm", ["--prefix", root, "run", "-s", "farcall", "--", "run", "./g.ts#where"], {
      cwd,
      env: home.environment(),
    });
    expect(await outcomeOf(npm)).toMatchObject({ status: 0, stdout: '"inner"\n' });
  });
});

describe("an env on the command line", () => {
  test.each([
    ["quotes", `a'b"c\\d`],
    ["lines", "one\ntwo\r\n\tthree"],
    ["shell text", '$(touch /tmp/never) `id` ; rm -rf "$HOME" && echo * > x | y & #'],
    ["equals signs", "a=b=c="],
    ["nothing", ""],
    ["characters beyond ASCII", "é 漢 \u{1F600} \u202e"],
  ])("brings a variable with %s to the function byte for byte", async (_what, value) => {
    const { status, stdout } = await home.cli([
      "run",
      "f.ts#environment",
      '["FARCALL_TEST_VALUE"]',
      "--var",
      `FARCALL_TEST_VALUE=${value}`,
    ]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toBe(value);
  });

  test("is read from a file, and --var goes before it", async () => {
    await home.write("env.json", JSON.stringify({ name: "from-file", replicas: 1, vars: { A: "file", B: "file" } }));
    const run = (name: string) =>
      home.cli(["run", "f.ts#environment", JSON.stringify([name]), "--env", "env.json", "--var", "B=option"]);
    expect((await run("A")).stdout).toBe('"file"\n');
    expect((await run("B")).stdout).toBe('"option"\n');
  });
});

describe("what a remote function says", () => {
  // oxlint-disable-next-line no-control-regex -- what must not be there
  const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

  test("reaches a file or pipe without any control sequence, in lines, errors and results", async () => {
    for (const NO_COLOR of ["1", ""]) {
      const { status, stdout, stderr } = await home.cli(["run", "f.ts#hostile"], { env: { NO_COLOR } });
      expect(status).toBe(1);
      expect(stderr).toMatch(/^\[\d+ #0\] redgnp\.exeover$/m);
      expect(stderr).toContain("Hostile: message\nsecond line");
      expect(`${stdout}${stderr}`).not.toMatch(controls);
    }
    const { stdout } = await home.cli(["run", "f.ts#returned"]);
    expect(stdout).not.toMatch(controls);
    expect(JSON.parse(stdout)).toBe("\u009b2J\u001b[2J\u202e");
    const { stderr } = await home.cli(["run", "f.ts#bat"]);
    expect(stderr).toContain("bundle.export-unknown");
    expect(stderr).not.toMatch(controls);
  });

  test.skipIf(process.platform !== "linux")(
    "reaches a terminal with colours only, and with NO_COLOR without",
    async () => {
      const ownLines = /\r\u001b\[2K|\r\n/g; // oxlint-disable-line no-control-regex -- the status line's
      // oxlint-disable-next-line no-control-regex -- colours
      const colours = /\u001b\[[0-9;]*m/g;
      for (const [noColor, hasColours] of [
        ["", true],
        ["1", false],
      ] as const) {
        const { stdout } = await onTerminal(home, ["run", "f.ts#hostile"], { env: { NO_COLOR: noColor } });
        const said = stdout.replace(ownLines, "\n");
        expect(said).toContain("gnp.exeover");
        expect(colours.test(said)).toBe(hasColours);
        expect(said.replace(colours, "")).not.toMatch(controls);
      }
    },
  );
});

describe("help", () => {
  const commands = ["run", "map", "runs", "logs", "results", "cancel", "envs", "clusters", "status", "down"];

  test("names every command, and starts nothing", async () => {
    await using fresh = await TestHome.create();
    const { status, stdout, stderr } = await fresh.cli(["--help"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    for (const command of commands) expect(stdout).toContain(`  ${command} `);
    const pages = await Promise.all(commands.map((command) => fresh.cli([command, "--help"])));
    for (const [i, page] of pages.entries()) {
      expect(page).toMatchObject({ status: 0, stderr: "" });
      expect(page.stdout).toContain(`farcall ${commands[i]}`);
      expect(page.stdout).toContain("--json");
    }
    expect((await fresh.cli(["help", "map"])).stdout).toBe(pages[1]!.stdout);
    expect((await fresh.cli(["help", "constructor"])).stdout).toBe(stdout);
    expect((await fresh.cli(["--version"])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(fresh.leftovers()).toEqual([]);
  });

  test("comes with status 2 when no command is named", async () => {
    expect(await home.cli([])).toMatchObject({ status: 2 });
  });
});
