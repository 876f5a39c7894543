import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { outcomeOf, TestHome, until } from "../support/home.ts";
import { cliFile, onTerminal, replay } from "../support/terminal.ts";

let home: TestHome;

const source = `import { context } from "farcall";
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
export const echo = (x: unknown) => x;
export const double = (x: number) => 2 * x;
export const odd = (x: number) => { if (x % 2) throw new TypeError("odd " + x); return x; };
export const flaky = (x: number) => { if (context().attempt < 3) throw new Error("not yet"); return context().attempt; };
export const late = async (x: number) => { await sleep(x === 0 ? 400 : 1); return x; };
export const hang = (x: number) => x === 1 ? new Promise(() => {}) : x;
export const slow = async (x: number) => { console.log("at " + x); await sleep(30); return x; };
let active = 0;
export const overlap = async () => { active++; await sleep(60); const seen = active; active--; return [process.pid, seen]; };
export const spin = (x: number) => { console.log("spinning"); for (;;); };
export const cyclic = (x: number) => { const value: Record<string, unknown> = { x }; if (x === 1) value.self = value; return value; };
`;

const generators = `import { load } from "cheerio";
import { unit } from "./unit.ts";
enum Kind { Small = 1, Large = 10 }
export const list = [Kind.Small, Kind.Large, unit];
export const record = { no: "inputs" };
export function* counted() { console.log("printed while generating"); for (let i = 0; i < 3; i++) yield i * Kind.Large; }
export async function* parsed() {
  for (const text of ["<b>one</b>", "<b>two</b>"]) { await null; yield load(text)("b").text(); }
  yield (await import("./unit.ts")).unit;
}
export async function* failing() { yield 1; yield 2; throw new RangeError("no third"); }
export async function* endless() { for (let i = 0; ; i++) { yield i; await new Promise((resolve) => setTimeout(resolve, 5)); } }
export const never = () => new Promise(() => { console.log("never"); setInterval(() => {}, 1_000); });
`;

beforeAll(async () => {
  home = await TestHome.create();
  await home.write("f.ts", source);
  await home.write("gen.ts", generators);
  await home.write("unit.ts", "export const unit: number = 7;\n");
  await home.write("ten.jsonl", lines(range(10)));
  // Packages are found as in any project: in the node_modules above.
  await mkdir(join(home.project, "node_modules"), { recursive: true });
  for (const name of ["cheerio"]) {
    await symlink(join(import.meta.dirname, "../../node_modules", name), join(home.project, "node_modules", name));
  }
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

interface Line {
  index: number;
  value?: unknown;
  error?: { name: string; message: string; code?: string; stack: string; attempts: number };
}
interface Record_ {
  id: string;
  state: string;
  accepted: number;
  done: number;
  total: number | null;
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);
const lines = (values: readonly unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join("");
const parse = (text: string) =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
const values = (text: string) => parse(text).map(({ value }) => value);
const records = async (limit = 1) =>
  JSON.parse((await home.cli(["runs", "--json", "--limit", String(limit)])).stdout) as Record_[];

/** Resolves when the process has said `text` on standard error. */
function says(child: ChildProcess, text: string): Promise<void> {
  let said = "";
  return new Promise((resolve, reject) => {
    child.stderr?.on("data", (chunk: string) => (said += chunk).includes(text) && resolve());
    child.on("close", () => reject(new Error(`It ended without saying ${text}:\n${said}`)));
  });
}

describe("the inputs of farcall map", () => {
  test("are the lines of a file, blank ones left out, whatever ends them", async () => {
    await home.write("in.jsonl", '\ufeff"a\u2028b"\n\n2\r\n  \n{"x":[1]}');
    const { status, stdout, stderr } = await home.cli(["map", "f.ts#echo", "--input", "in.jsonl"]);
    expect(status).toBe(0);
    expect(parse(stdout)).toEqual([
      { index: 0, value: "a\u2028b" },
      { index: 1, value: 2 },
      { index: 2, value: { x: [1] } },
    ]);
    expect(stderr).toMatch(/^3 done, in .*\(run [a-z0-9-]+\)$/m);
  });

  test("are the lines of standard input", async () => {
    const { status, stdout } = await home.cli(["map", "f.ts#double", "--input", "-"], { input: "1\n2\n3" });
    expect({ status, values: values(stdout) }).toEqual({ status: 0, values: [2, 4, 6] });
  });

  test("are the elements of a .json array", async () => {
    await home.write("in.json", "[1,\n 2]\n");
    const { status, stdout } = await home.cli(["map", "f.ts#double", "--input", "in.json"]);
    expect({ status, values: values(stdout) }).toEqual({ status: 0, values: [2, 4] });
  });

  test.each([
    ["an array", "list", [1, 10, 7]],
    ["a generator", "counted", [0, 10, 20]],
    ["an async generator that imports as it goes", "parsed", ["one", "two", 7]],
  ])("are what a module exports: %s", async (_what, name, expected) => {
    const { status, stdout, stderr } = await home.cli(["map", "f.ts#echo", "--input", `gen.ts#${name}`]);
    expect({ status, values: values(stdout) }).toEqual({ status: 0, values: expected });
    if (name === "counted") expect(stderr).toContain("printed while generating");
  });

  test("end the run with their error when they throw", async () => {
    const { status, stderr } = await home.cli(["map", "f.ts#echo", "--input", "gen.ts#failing"]);
    expect(status).not.toBe(0);
    expect(stderr).toContain("RangeError: no third");
    expect(stderr).toMatch(/at failing \(gen\.ts:11:\d+\)/);
    expect(stderr).toContain("> 11 | export async function* failing()");
    expect(await records()).toMatchObject([{ state: "cancelled" }]);
  });

  test("may be 20,000, of which every one has its outcome once and in order", async () => {
    await home.write("many.jsonl", lines(range(20_000)));
    const { status } = await home.cli(["map", "f.ts#double", "--input", "many.jsonl", "--output", "many.out"]);
    expect(status).toBe(0);
    const outcomes = parse(await readFile(join(home.project, "many.out"), "utf8"));
    expect(outcomes.length).toBe(20_000);
    expect(outcomes.every(({ index, value }, i) => index === i && value === 2 * i)).toBe(true);
  });

  test("of a file that is empty make no outcomes and no error", async () => {
    await home.write("empty.jsonl", "");
    expect(await home.cli(["map", "f.ts#echo", "--input", "empty.jsonl"])).toMatchObject({ status: 0, stdout: "" });
  });
});

describe("the outcomes of farcall map", () => {
  test("go to the file that --output names, and nothing to standard output", async () => {
    const args = ["map", "f.ts#double", "--input", "ten.jsonl", "--output", "out.jsonl"];
    expect(await home.cli(args)).toMatchObject({ status: 0, stdout: "" });
    expect(values(await readFile(join(home.project, "out.jsonl"), "utf8"))).toEqual(range(10).map((x) => 2 * x));
  });

  test("hold the errors of inputs that failed, and the exit status is 1", async () => {
    const { status, stdout, stderr } = await home.cli(["map", "f.ts#odd", "--input", "ten.jsonl"]);
    expect(status).toBe(1);
    const outcomes = parse(stdout);
    expect(outcomes.map(({ index }) => index)).toEqual(range(10));
    expect(outcomes.filter(({ error }) => error).map(({ index }) => index)).toEqual([1, 3, 5, 7, 9]);
    expect(outcomes[3]!.error).toMatchObject({ name: "TypeError", message: "odd 3", attempts: 1 });
    expect(outcomes[3]!.error!.stack).toContain(`${home.project}/f.ts:5:`);
    expect(stderr).toContain("10 done, 5 failed");
  });

  test("hold an error for a value that JSON cannot say, and all others", async () => {
    const { status, stdout } = await home.cli(["map", "f.ts#cyclic", "--input", "-"], { input: "0\n1\n2\n" });
    expect(status).toBe(1);
    const codes = parse(stdout).map(({ error }) => error?.code);
    expect(codes).toEqual([undefined, "value.unserializable", undefined]);
  });

  test("come as they are there with --unordered, and in input order without", async () => {
    await home.write("forty.jsonl", lines(range(40)));
    const order = async (...more: string[]) => {
      const args = ["map", "f.ts#late", "--input", "forty.jsonl", "--replicas", "2", ...more];
      return parse((await home.cli(args)).stdout).map(({ index }) => index);
    };
    const unordered = await order("--unordered");
    expect(unordered[0]).not.toBe(0);
    expect(unordered.toSorted((a, b) => a - b)).toEqual(range(40));
    expect(await order()).toEqual(range(40));
  });
});

describe("farcall map", () => {
  test("stops at the first input that fails with --on-error stop", async () => {
    await home.write("thousands.jsonl", lines(range(5_000)));
    const args = ["map", "f.ts#odd", "--input", "thousands.jsonl", "--on-error", "stop", "--replicas", "1"];
    const { status, stdout, stderr } = await home.cli(args);
    expect({ status, values: values(stdout) }).toEqual({ status: 1, values: [0] });
    expect(stderr).toContain("TypeError: odd 1 (input 1");
    expect(stderr).toMatch(/> 5 \|/);
    expect(await records()).toMatchObject([{ state: "failed" }]);
  });

  test("does not wait for more of its input when it stopped", async () => {
    const child = home.spawnCli(["map", "f.ts#odd", "--input", "-", "--on-error", "stop"]);
    child.stdin?.write("1\n");
    expect(await outcomeOf(child, 20_000)).toMatchObject({ status: 1, signal: null });
  });

  test("tries again as often as --retries says", async () => {
    const run = (...more: string[]) => home.cli(["map", "f.ts#flaky", "--input", "-", ...more], { input: "0\n" });
    expect(await run("--retries", "2")).toMatchObject({ status: 0, stdout: '{"index":0,"value":3}\n' });
    const { status, stdout } = await run("--retries", "1");
    expect(status).toBe(1);
    expect(parse(stdout)[0]!.error).toMatchObject({ message: "not yet", attempts: 2 });
  });

  test("gives up an input after --timeout, and no other", async () => {
    const args = ["map", "f.ts#hang", "--input", "-", "--timeout", "250ms"];
    const { status, stdout } = await home.cli(args, { input: "0\n1\n2\n" });
    expect(status).toBe(1);
    expect(parse(stdout).map(({ error }) => error?.code)).toEqual([undefined, "item.timeout", undefined]);
  });

  test("uses as many replicas, and as many inputs at a time in each, as it is told", async () => {
    const seen = async (...more: string[]) =>
      values((await home.cli(["map", "f.ts#overlap", "--input", "ten.jsonl", ...more])).stdout) as [number, number][];
    const two = await seen("--replicas", "2", "--concurrency", "1");
    expect(new Set(two.map(([pid]) => pid)).size).toBe(2);
    expect(Math.max(...two.map(([, active]) => active))).toBe(1);
    const one = await seen("--replicas", "1", "--concurrency", "5");
    expect(new Set(one.map(([pid]) => pid)).size).toBe(1);
    expect(Math.max(...one.map(([, active]) => active))).toBe(5);
  });
});

describe("a run that nobody waits for", () => {
  test("goes on, and its outcomes, logs and record are there for everyone", async () => {
    const began = await home.cli(["map", "f.ts#slow", "--input", "ten.jsonl", "--detach"]);
    expect(began.status).toBe(0);
    const id = began.stdout.trim();
    const [results, logs] = await Promise.all([
      home.cli(["results", id, "--follow"]),
      home.cli(["logs", id, "--follow"]),
    ]);
    expect(results).toMatchObject({ status: 0 });
    expect(parse(results.stdout)).toEqual(range(10).map((index) => ({ index, value: index })));
    expect(logs.stdout.split("\n").filter((line) => /^\[\d+ #\d\] at \d$/.test(line)).length).toBe(10);
    expect(await records()).toMatchObject([{ id, state: "done", done: 10, total: 10 }]);
    expect((await home.cli(["runs"])).stdout).toMatch(new RegExp(`^${id} +map +f\\.ts#slow +done +10/10 `, "m"));
    const asJson = (await home.cli(["logs", id, "--json"])).stdout.trim().split("\n");
    expect(JSON.parse(asJson[0]!)).toMatchObject({ stream: "stdout", text: expect.stringMatching(/^at \d$/) });
    const tail = (await home.cli(["logs", id, "--json", "--tail", "3"])).stdout.trim().split("\n");
    expect(tail).toEqual(asJson.slice(-3));
    expect((await home.cli(["logs", id, "--tail", "0"])).stdout).toBe("");
    expect(await home.cli(["results", id, "--output", "again.jsonl"])).toMatchObject({ status: 0, stdout: "" });
    expect(await readFile(join(home.project, "again.jsonl"), "utf8")).toBe(results.stdout);
  });

  test("gives its errors alone when only they are asked for", async () => {
    const { stdout } = await home.cli(["map", "f.ts#odd", "--input", "ten.jsonl", "--detach", "--json"]);
    const { run } = JSON.parse(stdout) as { run: string };
    const all = await home.cli(["results", run, "--follow", "--errors-only"]);
    expect(all.status).toBe(1);
    expect(parse(all.stdout).map(({ index }) => index)).toEqual([1, 3, 5, 7, 9]);
  });

  test("is ended by cancel, and keeps the outcomes it has", async () => {
    await home.write("hundreds.jsonl", lines(range(2_000)));
    const id = (await home.cli(["map", "f.ts#slow", "--input", "hundreds.jsonl", "--detach"])).stdout.trim();
    await until(
      () => records(),
      ([record]) => record!.done > 3,
    );
    expect(await home.cli(["cancel", id])).toMatchObject({ status: 0, stderr: `${id} is cancelled.\n` });
    const kept = parse((await home.cli(["results", id])).stdout);
    expect(kept.length).toBeGreaterThan(3);
    expect(kept.length).toBeLessThan(2_000);
    expect(kept.every(({ index, value }) => index === value)).toBe(true);
  });

  test("keeps its cluster from being ended, unless that is forced", async () => {
    await using fresh = await TestHome.create();
    await fresh.write("f.ts", source);
    await fresh.write("many.jsonl", lines(range(5_000)));
    const clusters = async () => JSON.parse((await fresh.cli(["clusters", "--json"])).stdout) as object[];
    expect(await clusters()).toMatchObject([{ name: "local", state: "down" }]);
    expect((await fresh.cli(["status"])).stdout).toContain("local is down");
    expect(await fresh.cli(["down", "local"])).toMatchObject({ status: 0, stderr: "local was not up.\n" });
    expect(fresh.agentPid()).toBeUndefined();

    expect(await fresh.cli(["map", "f.ts#slow", "--input", "many.jsonl", "--detach"])).toMatchObject({ status: 0 });
    expect(await clusters()).toMatchObject([{ name: "local", state: "up", activeRuns: 1 }]);
    const status = await fresh.cli(["status", "local"]);
    expect(status.stdout).toContain(`pid ${fresh.agentPid()}`);
    expect(status.stdout).toMatch(/REPLICA +PID +ENV/);
    const refused = await fresh.cli(["down", "local"]);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain("--force");
    expect(fresh.agentPid()).toBeDefined();
    expect(await fresh.cli(["down", "local", "--force"])).toMatchObject({ status: 0, stderr: "local is down.\n" });
    expect(
      await until(
        () => fresh.leftovers(),
        (left) => left.length === 0,
      ),
    ).toEqual([]);
  });
});

test("a run whose client was killed while it sent its inputs is resumed, and every input has one outcome", async () => {
  const inputs = range(600);
  await home.write("whole.jsonl", lines(inputs));
  const child = home.spawnCli(["map", "f.ts#double", "--input", "-"]);
  const outcome = outcomeOf(child);
  for (const n of inputs.slice(0, 150)) child.stdin?.write(`${n}\n`);
  const [before] = await until(
    () => records(),
    ([record]) => record?.accepted === 150,
  );
  expect(before).toMatchObject({ accepted: 150, total: null, state: "running" });
  child.kill("SIGKILL");
  expect((await outcome).signal).toBe("SIGKILL");

  const { id } = before!;
  const edited = await home.cli(["map", "f.ts#echo", "--input", "whole.jsonl", "--resume", id]);
  expect(edited.status).toBe(2);
  expect(edited.stderr).toContain("run.mismatch");
  const args = ["map", "f.ts#double", "--input", "whole.jsonl", "--resume", id, "--output", "resumed.out"];
  expect(await home.cli(args)).toMatchObject({ status: 0 });
  const outcomes = parse(await readFile(join(home.project, "resumed.out"), "utf8"));
  expect(outcomes).toEqual(inputs.map((index) => ({ index, value: 2 * index })));
  expect(await records()).toMatchObject([{ id, state: "done", done: 600, total: 600 }]);
});

describe("Ctrl-C", () => {
  test.each([
    ["a file", "hundreds.jsonl"],
    ["standard input that stays open", "-"],
    ["a generator without end", "gen.ts#endless"],
  ])("cancels a map whose input is %s, and ends with 130", async (_what, input) => {
    await home.write("hundreds.jsonl", lines(range(2_000)));
    const child = home.spawnCli(["map", "f.ts#slow", "--input", input]);
    child.stdin?.write(lines(range(500)));
    const outcome = outcomeOf(child, 20_000);
    await says(child, "at 3");
    child.kill("SIGINT");
    const { status, stdout, stderr } = await outcome;
    expect({ status, stderr: stderr.split("\n").slice(-2) }).toEqual({ status: 130, stderr: ["cancelled", ""] });
    expect(parse(stdout).every(({ index, value }) => index === value)).toBe(true);
    expect(await records()).toMatchObject([{ state: "cancelled" }]);
  });

  test("cancels a map whose function never looks up, and its worker is ended", async () => {
    const child = home.spawnCli(["map", "f.ts#spin", "--input", "ten.jsonl", "--replicas", "1"]);
    const outcome = outcomeOf(child, 20_000);
    await says(child, "spinning");
    child.kill("SIGINT");
    expect((await outcome).status).toBe(130);
    expect(await records()).toMatchObject([{ state: "cancelled" }]);
    expect(await home.cli(["run", "f.ts#double", "[4]"])).toMatchObject({ status: 0, stdout: "8\n" });
  });

  test("twice ends the process at once, whatever it waits for", async () => {
    const child = home.spawnCli(["map", "f.ts#echo", "--input", "gen.ts#never"]);
    const outcome = outcomeOf(child, 20_000);
    await says(child, "never");
    child.kill("SIGINT");
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(child.exitCode).toBeNull();
    child.kill("SIGINT");
    expect(await outcome).toMatchObject({ status: 130, signal: null });
  });
});

test("a reader that has had enough is no error", async () => {
  await home.write("twenty-thousand.jsonl", lines(range(20_000)));
  const began = await home.cli(["map", "f.ts#double", "--input", "twenty-thousand.jsonl", "--detach"]);
  const id = began.stdout.trim();
  const script = '"$0" "$1" results "$2" --follow | head -n 1; echo "status ${PIPESTATUS[0]}"';
  const child = spawn("bash", ["-c", script, process.execPath, cliFile, id], { env: home.environment() });
  expect(await outcomeOf(child)).toMatchObject({ stdout: '{"index":0,"value":0}\nstatus 0\n', stderr: "" });
});

test.skipIf(process.platform !== "linux")(
  "on a terminal, progress stays on the last line and leaves nothing",
  async () => {
    await home.write("eighty.jsonl", lines(range(80)));
    const args = ["map", "f.ts#slow", "--input", "eighty.jsonl", "--replicas", "2"];
    const { status, stdout: raw } = await onTerminal(home, args, { redirect: "> terminal.out" });
    expect(status).toBe(0);
    expect(values(await readFile(join(home.project, "terminal.out"), "utf8"))).toEqual(range(80));
    const { drawn, screen } = replay(raw);
    expect(drawn.some((line) => /^[█░]{20} \d+\/80 · [\d.,]+\/s · /.test(line))).toBe(true);
    const printed = screen.filter((line) => line !== "");
    expect(printed.at(-1)).toMatch(/^80 done, in .*\/s \(run .*\)$/);
    expect(printed.filter((line) => /^\[\d+ #\d+\] at \d+$/.test(line)).length).toBe(80);
    expect(screen.join("\n")).not.toMatch(/[█░]/);
    // Nothing is left of the line that was drawn over: the cursor stands at the start of an empty one.
    expect(screen.at(-1)).toBe("");
  },
);
