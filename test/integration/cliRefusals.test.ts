import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TestHome, until } from "../support/home.ts";

let home: TestHome;

beforeAll(async () => {
  home = await TestHome.create();
  await home.write(
    "f.ts",
    "export const double = (x: number) => 2 * x;\nexport const echo = (x: unknown) => x;\nexport const version = 3;\n",
  );
  await home.write("broken.ts", "export const fine = 1;\nexport function broken( {\n  return 1;\n}\n");
  await home.write("lost.ts", 'import { gone } from "./gone.ts";\nexport const f = () => gone;\n');
  await home.write("throws.ts", 'throw new Error("at import");\nexport const f = () => 1;\n');
  await home.write("one.jsonl", "1\n");
  await home.write("third-is-bad.jsonl", '1\n2\n{"three": }\n4\n5\n');
  await home.write("latin1.jsonl", Buffer.from('"caf\u00e9"\n', "latin1"));
  await home.write("object.json", '{"not":"an array"}');
  await home.write("broken.json", "[1, 2");
  await home.write("unknown.json", '{"replica": 3}');
  await home.write(
    "gen.ts",
    "export const three = 3;\nexport const list = [1];\nexport const throws = () => { throw new TypeError('no inputs today'); };\n",
  );
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

const map = (...args: string[]) => ["map", "f.ts#double", "--input", "one.jsonl", ...args];

describe("refused before anything is started:", () => {
  test.each<[string, string[], RegExp]>([
    ["no function", ["run"], /No function is named.*\n.*Usage: farcall run/],
    ["a file without an export", ["run", "f.ts"], /"f\.ts" names no function/],
    ["a file with an empty export", ["run", "f.ts#"], /names no function/],
    ["ARGS that are no JSON", ["run", "f.ts#double", "[1"], /arguments are not JSON/],
    ["ARGS that are no array", ["run", "f.ts#double", '{"a":1}'], /no array[\s\S]*'\[\{"a":1\}\]'/],
    ["ARGS that are a plain word", ["run", "f.ts#double", "two"], /arguments are not JSON/],
    ["two ARGS", ["run", "f.ts#double", "[1]", "[2]"], /more than one word/],
    ["a word too many for map", map("extra"), /"extra" is one word too many/],
    ["a word too many for runs", ["runs", "extra"], /"extra" is one word too many/],
    ["a word too many for clusters", ["clusters", "extra"], /"extra" is one word too many/],
    ["a word too many for status", ["status", "local", "extra"], /"extra" is one word too many/],
    ["an unknown command", ["frobnicate"], /no command "frobnicate"[\s\S]*farcall --help/],
    ["a command that is a name of JavaScript", ["constructor"], /no command "constructor"/],
    ["an unknown option", map("--replica", "2"), /--replica[\s\S]*farcall map --help/],
    ["an option of another command", ["run", "f.ts#double", "--input", "one.jsonl"], /--input/],
    ["a value for an option that takes none", map("--unordered=yes"), /unordered/],
    ["an option without its value", ["map", "f.ts#double", "--input"], /input/],
    ["no input", ["map", "f.ts#double"], /No input is named/],
    ["an input that is not there", ["map", "f.ts#double", "--input", "none.jsonl"], /none\.jsonl is not a file/],
    ["an input that is a folder", ["map", "f.ts#double", "--input", "."], /not a file/],
    ["a bad line 3 of 5", ["map", "f.ts#double", "--input", "third-is-bad.jsonl"], /third-is-bad\.jsonl:3 is not JSON/],
    ["an input that is not UTF-8", ["map", "f.ts#double", "--input", "latin1.jsonl"], /latin1\.jsonl: it is not UTF-8/],
    [
      "a .json input without an array",
      ["map", "f.ts#double", "--input", "object.json"],
      /holds no array[\s\S]*\.jsonl/,
    ],
    ["a .json input cut short", ["map", "f.ts#double", "--input", "broken.json"], /broken\.json is not JSON/],
    ["an input module that is not there", ["map", "f.ts#double", "--input", "none.ts#list"], /none\.ts/],
    [
      "an input module without the export",
      ["map", "f.ts#double", "--input", "gen.ts#lists"],
      /no export "lists"[\s\S]*list/,
    ],
    ["an input export that gives none", ["map", "f.ts#double", "--input", "gen.ts#three"], /gives no inputs/],
    ["an input module that does not compile", ["map", "f.ts#double", "--input", "broken.ts#fine"], /broken\.ts:3:10/],
    [
      "an input module that throws",
      ["map", "f.ts#double", "--input", "throws.ts#f"],
      /at import[\s\S]*\(throws\.ts:1:7\)\n +> 1 \|/,
    ],
    ["zero replicas", map("--replicas", "0"), /--replicas is "0"[\s\S]*whole number/],
    ["half a replica", map("--replicas", "1.5"), /--replicas is "1\.5"/],
    ["more replicas than there can be", map("--replicas", "5000"), /replicas/],
    ["a concurrency of a word", map("--concurrency", "many"), /--concurrency is "many"/],
    ["a negative number of retries", map("--retries=-1"), /--retries is "-1"/],
    ["a timeout without a unit", map("--timeout", "30"), /--timeout is "30"[\s\S]*30s/],
    ["a timeout of nothing", map("--timeout", "0s"), /--timeout is "0s"/],
    ["a timeout longer than a timer", ["run", "f.ts#double", "[1]", "--timeout", "1000h"], /--timeout is "1000h"/],
    ["an unknown --on-error", map("--on-error", "ignore"), /--on-error is "ignore"[\s\S]*collect or stop/],
    ["a --max-cost of a word", map("--max-cost", "free"), /--max-cost is "free"/],
    ["a --var without a value", map("--var", "NAME"), /--var is "NAME"/],
    ["a --var without a name", map("--var", "=value"), /--var is "=value"/],
    ["a --var with a space in its name", map("--var", "A B=1"), /"A B" is not allowed/],
    ["an env file that is not there", map("--env", "none.json"), /Cannot read the env from none\.json/],
    ["an env file that is no JSON", map("--env", "f.ts"), /Cannot read the env from f\.ts/],
    ["an env file with an unknown field", map("--env", "unknown.json"), /replica/],
    ["an unknown cluster", map("--on", "mars"), /no cluster "mars"[\s\S]*local/],
    ["a cluster name with a slash", map("--on", "../local"), /is not allowed/],
    ["an unknown cluster for status", ["status", "mars"], /no cluster "mars"/],
    ["an unknown cluster for down", ["down", "mars"], /no cluster "mars"/],
    ["down without a name", ["down"], /One cluster is needed/],
    ["a run id that is none", ["results", "../../etc/passwd"], /is not the id of a run/],
    ["no run id", ["logs"], /One run is needed/],
    ["a --resume id that is none", map("--resume", "yesterday"), /"yesterday" is not the id of a run/],
    ["a --limit of zero", ["runs", "--limit", "0"], /--limit is "0"/],
  ])("%s", async (_what, args, stderr) => {
    const outcome = await home.cli(args);
    expect(outcome.stderr).toMatch(stderr);
    expect(outcome).toMatchObject({ status: 2, stdout: "" });
    expect(outcome.stderr).not.toMatch(/^\s+at .*(dist|node:)/m);
    expect(home.agentPid()).toBeUndefined();
  });
});

describe("refused before a run begins:", () => {
  test.each<[string, string[], RegExp]>([
    ["a file that is not there", ["run", "none.ts#f"], /bundle\.file-missing.*none\.ts/],
    ["an export that is not there", ["run", "f.ts#dubble"], /no export "dubble"[\s\S]*Did you mean double\?/],
    ["an export that is no function", ["run", "f.ts#version"], /"version".*not a function[\s\S]*double/],
    ["an inherited name", ["run", "f.ts#toString"], /no export "toString"/],
    ["a syntax error", ["run", "broken.ts#broken"], /broken\.ts:3:10/],
    ["an import that is not found", ["run", "lost.ts#f"], /lost\.ts:1:22[\s\S]*gone/],
    ["a module that throws", ["run", "throws.ts#f"], /at import/],
    ["the same for a map", ["map", "f.ts#dubble", "--input", "one.jsonl"], /Did you mean double\?/],
    ["an output that cannot be written", map("--output", "no/such/folder.jsonl"), /Cannot write to no\/such\/folder/],
    ["an output that is a folder", map("--output", "."), /Cannot write to \./],
    ["a run that is not there", ["results", "0mwscjl21-0000000"], /run\.unknown/],
    ["a run that cannot be cancelled as it is not there", ["cancel", "0mwscjl21-0000000"], /run\.unknown/],
  ])("%s", async (_what, args, stderr) => {
    const outcome = await home.cli(args);
    expect(outcome.stderr).toMatch(stderr);
    expect(outcome).toMatchObject({ status: 2, stdout: "" });
    expect(await home.cli(["runs", "--json"])).toMatchObject({ status: 0, stdout: "[]\n" });
  });

  test("an input function that throws", async () => {
    const { status, stderr } = await home.cli(["map", "f.ts#double", "--input", "gen.ts#throws"]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^TypeError: no inputs today\n +at .*gen\.ts:3:/m);
    expect(home.agentPid() === undefined || (await home.cli(["runs", "--json"])).stdout === "[]\n").toBe(true);
  });

  test("a bad line of standard input, which ends the run that began with the lines before it", async () => {
    const { status, stderr } = await home.cli(["map", "f.ts#double", "--input", "-"], { input: "1\n2\nthree\n" });
    expect(status).toBe(2);
    expect(stderr).toContain("standard input:3 is not JSON");
    const records = JSON.parse((await home.cli(["runs", "--json"])).stdout) as { state: string }[];
    expect(records.every(({ state }) => state === "cancelled")).toBe(true);
  });
});

/** Whether this machine lets the test mount a file system of its own. */
const canMount =
  process.platform === "linux" &&
  process.getuid?.() === 0 &&
  (() => {
    const folder = mkdtempSync(join(tmpdir(), "farcall-mount-"));
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "none", folder]).status === 0;
    if (mounted) spawnSync("umount", [folder]);
    rmdirSync(folder);
    return mounted;
  })();

/** A home on a file system of its own, which is gone with it. */
async function mountedHome(options: string): Promise<TestHome> {
  const mounted = await TestHome.create();
  mkdirSync(mounted.path);
  execFileSync("mount", ["-t", "tmpfs", "-o", `mode=700,${options}`, "none", mounted.path]);
  const dispose = mounted[Symbol.asyncDispose].bind(mounted);
  mounted[Symbol.asyncDispose] = async () => {
    // Lazily, as the agent still has files open there; it is ended right behind.
    execFileSync("umount", ["--lazy", mounted.path]);
    await dispose();
  };
  await mounted.write("f.ts", "export const double = (x: number) => 2 * x;\n");
  await mounted.write("one.jsonl", "1\n");
  return mounted;
}

describe("a FARCALL_HOME", () => {
  test("that is a file is refused in words", async () => {
    await using fresh = await TestHome.create();
    await fresh.write("f.ts", "export const f = () => 1;");
    writeFileSync(fresh.path, "not a folder");
    const { status, stderr } = await fresh.cli(["run", "f.ts#f"]);
    expect(status).toBe(2);
    expect(stderr).toContain(`home.unusable: Cannot use the folder ${fresh.path}`);
    expect(stderr).toContain("Set FARCALL_HOME");
    expect(fresh.leftovers()).toEqual([]);
  });

  test.skipIf(!canMount)("that is read-only is refused in words", async () => {
    await using fresh = await mountedHome("ro,size=1m");
    const { status, stderr } = await fresh.cli(["run", "f.ts#double", "[1]"]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/home\.unusable: .*(read-only|EROFS)/i);
    expect(stderr).toContain("Set FARCALL_HOME");
    expect(fresh.leftovers()).toEqual([]);
  });

  test.skipIf(!canMount)("with a full disk ends a map in words, and serves again when there is room", async () => {
    await using fresh = await mountedHome("size=24m");
    await fresh.write(
      "wide.ts",
      `export function* rows() { for (let i = 0; i < 200_000; i++) yield "x".repeat(400) + i; }
       export function same(text: string) { return text; }`,
    );
    const ballast = join(fresh.path, "ballast");
    expect(await fresh.cli(["run", "f.ts#double", "[1]"])).toMatchObject({ status: 0, stdout: "2\n" });
    // More than the log of the queue can hold, which goes into its file first.
    writeFileSync(ballast, Buffer.alloc(10 * 1024 * 1024));
    const { status, stderr } = await fresh.cli(
      ["map", "wide.ts#same", "--input", "wide.ts#rows", "--output", "out.jsonl"],
      {
        timeoutMs: 40_000,
      },
    );
    expect(stderr).toMatch(/error disk\.full: .*(full|space)/i);
    expect(status).toBe(2);
    await rm(ballast);
    // The inputs that were stored are still being worked, which may take the room again for a moment.
    const served = await until(
      () => fresh.cli(["map", "f.ts#double", "--input", "one.jsonl"]),
      ({ status: now }) => now === 0,
      30_000,
    );
    expect(served).toMatchObject({ status: 0, stdout: '{"index":0,"value":2}\n' });
    expect(existsSync(ballast)).toBe(false);
  });

  test.skipIf(!canMount)("with a disk that is full from the start is refused in words", async () => {
    await using fresh = await mountedHome("size=1m");
    writeFileSync(join(fresh.path, "ballast"), Buffer.alloc(1024 * 1024));
    const { status, stderr } = await fresh.cli(["run", "f.ts#double", "[1]"], { timeoutMs: 40_000 });
    expect(status).toBe(2);
    // Where not even the agent's log can be written, nobody can say more.
    expect(stderr).toMatch(/error (disk\.full|home\.unusable|agent\.start-failed): /);
    expect(fresh.leftovers()).toEqual([]);
  });
});
