import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, FarcallError, originOf } from "farcall";
import { isAlive, TestHome, until } from "../support/home.ts";

let home: TestHome;
let local: Cluster;

beforeAll(async () => {
  home = await TestHome.create();
  local = home.cluster();
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

type Anything = Record<string, never>;
// oxlint-disable-next-line typescript/no-explicit-any -- the functions under test are written as text
type Functions = Record<string, any>;

async function load(name: string, text: string, options: object = {}): Promise<Functions> {
  return await local.import<Anything>(await home.write(name, text), options);
}

describe("a call", () => {
  test("gives what the function returns, whatever kind of function it is", async () => {
    const f = await load(
      "kinds.ts",
      `export function plain(a: number, b: number) { return a + b; }
       export async function later(a: number) { await null; return [a, a]; }
       export const arrow = (a: string) => a.toUpperCase();
       export default function (x: unknown) { return { x }; }
       export class Tools { static twice(n: number) { return 2 * n; } }
       export { plain as renamed };
       export const constant = 3;`,
    );
    expect(Object.keys(f).sort()).toEqual(["Tools", "arrow", "default", "later", "plain", "renamed"]);
    expect(await f["plain"](2, 3)).toBe(5);
    expect(await f["later"](7)).toEqual([7, 7]);
    expect(await f["arrow"]("a")).toBe("A");
    expect(await f["default"]("y")).toEqual({ x: "y" });
    expect(await f["Tools"].twice(4)).toBe(8);
    expect(await f["renamed"](1, 1)).toBe(2);
  });

  test("carries values that JSON cannot", async () => {
    const { echo } = await load("echo.ts", "export const echo = (value: unknown) => value;");
    const cyclic: Record<string, unknown> = { name: "loop" };
    cyclic["self"] = cyclic;
    const values = [
      undefined,
      null,
      Number.NaN,
      -0,
      10n ** 30n,
      new Date(0),
      new Map([["a", new Set([1])]]),
      new URL("https://example.org/x"),
      new Uint8Array([1, 2, 3]),
      Buffer.from("bytes"),
      new Float64Array(10_000).fill(0.5),
      Object.assign([1], { 2: 3 }),
      "\ud800",
    ];
    for (const value of values) expect(await echo(value)).toEqual(value);
    const back = (await echo(cyclic)) as Record<string, unknown>;
    expect(back["self"]).toBe(back);
  });

  test("leaves optional and rest parameters alone", async () => {
    const f = await load(
      "rest.ts",
      `export const count = (...all: unknown[]) => all.length;
       export const greet = (name: string, greeting = "Hello") => greeting + " " + name;`,
    );
    expect(await f["count"]()).toBe(0);
    expect(await f["count"](1, undefined, 3)).toBe(3);
    expect(await f["greet"]("Ada")).toBe("Hello Ada");
  });

  test("rejects with the error of the function: class, fields, cause, and a stack in the user's file", async () => {
    const { fail } = await load(
      "fail.ts",
      `function inner(): never {
  throw Object.assign(new RangeError("too far", { cause: new Error("because") }), { limit: 3 });
}
export function fail() {
  inner();
}`,
    );
    const error = (await fail().catch((thrown: unknown) => thrown)) as RangeError & { limit: number };
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toBe("too far");
    expect(error.limit).toBe(3);
    expect((error.cause as Error).message).toBe("because");
    expect(error.stack).toContain(`${home.project}/fail.ts:2:`);
    expect(error.stack).toContain(`${home.project}/fail.ts:5:`);
    expect(error.stack).not.toContain("worker.js");
    expect(originOf(error)?.replica).toBeGreaterThan(0);
  });

  test.each([
    ["a string", "throw 'plain text'", "plain text"],
    ["undefined", "return Promise.reject(undefined)", "undefined"],
    ["null", "throw null", "null"],
  ])("that throws %s rejects with an Error all the same", async (_what, body, expected) => {
    const { f } = await load("thrown.ts", `export async function f() { ${body}; }`);
    const error = (await f().catch((thrown: unknown) => thrown)) as Error;
    expect(error).toBeInstanceOf(Error);
    expect(error.message).toContain(expected);
  });

  test("refuses to return what cannot be sent, naming the place", async () => {
    const { f } = await load("fn.ts", "export const f = () => ({ rows: [{ callback() {} }] });");
    await expect(f()).rejects.toMatchObject({
      code: "value.unserializable",
      message: expect.stringContaining("$.rows[0].callback"),
    });
  });

  test("refuses arguments that cannot be sent, before anything is", async () => {
    const { f } = await load("fn2.ts", "export const f = (x: unknown) => x;");
    await expect(f(() => 1)).rejects.toMatchObject({ code: "value.unserializable" });
  });

  test("returns 100 MB", async () => {
    const { big } = await load("big.ts", 'export const big = () => "x".repeat(100 * 1024 * 1024);');
    expect(((await big()) as string).length).toBe(100 * 1024 * 1024);
  });

  test("streams what a generator yields, and stops it when the reader leaves", async () => {
    const f = await load(
      "gen.ts",
      `export const state = { ended: false };
       export async function* naturals() { try { for (let i = 0; ; i++) yield i; } finally { state.ended = true; } }
       export function* three() { yield 1; yield 2; yield 3; return "end"; }
       export const ended = () => state.ended;`,
      { env: { name: "gen", replicas: 1 } },
    );
    const all: number[] = [];
    for await (const value of f["three"]()) all.push(value as number);
    expect(all).toEqual([1, 2, 3]);
    for await (const value of f["naturals"]()) if (value === 50) break;
    expect(await f["ended"]()).toBe(true);
  });

  test("tells the function of an abort, and rejects", async () => {
    const f = await load(
      "abort.ts",
      `import { context } from "farcall";
       let aborted = "";
       export async function wait() {
         await new Promise((_, reject) => context().signal.addEventListener("abort", () => { aborted = "yes"; reject(new Error("stopped")); }));
       }
       export const seen = () => aborted;`,
      { env: { name: "abort", replicas: 1 } },
    );
    const stop = new AbortController();
    const call = f["wait"].with({ signal: stop.signal })();
    setTimeout(() => stop.abort(new Error("enough")), 100);
    await expect(call).rejects.toThrow("enough");
    expect(await f["seen"]()).toBe("yes");
  });

  test("that takes too long is given up, also in an endless loop", async () => {
    const f = await load(
      "slow.ts",
      `export const sleep = () => new Promise((resolve) => setTimeout(resolve, 60_000));
       export const spin = () => { for (;;); };
       export const fine = () => "fine";`,
      { env: { name: "slow", replicas: 1 } },
    );
    await expect(f["sleep"].with({ timeoutMs: 100 })()).rejects.toMatchObject({ code: "item.timeout" });
    await expect(f["spin"].with({ timeoutMs: 100 })()).rejects.toMatchObject({ code: "item.timeout" });
    expect(await f["fine"]()).toBe("fine");
  });

  test("knows its context at any depth, and none outside", async () => {
    const f = await load(
      "context.ts",
      `import { context } from "farcall";
       export async function deep() { await null; return (() => [context().index, context().attempt, context().signal.aborted])(); }`,
    );
    expect(await f["deep"]()).toEqual([0, 1, false]);
  });

  test("runs in as many replicas as the env has", async () => {
    const { pid } = await load(
      "pid.ts",
      "export async function pid() { await new Promise((r) => setTimeout(r, 150)); return process.pid; }",
      {
        env: { name: "three", replicas: 3 },
      },
    );
    const pids = new Set(await Promise.all(Array.from({ length: 9 }, () => pid())));
    expect(pids.size).toBe(3);
  });

  test("sees the variables of its env, byte for byte, and no others of the client", async () => {
    process.env["FARCALL_TEST_SECRET"] = "canary";
    const hostile = "a'b\"c\n$(touch /tmp/x);`id`\\ é\u{1F600}";
    const { read } = await load("vars.ts", "export const read = () => ({ ...process.env });", {
      env: { name: "vars", vars: { HOSTILE: hostile } },
    });
    const seen = (await read()) as Record<string, string>;
    delete process.env["FARCALL_TEST_SECRET"];
    expect(seen["HOSTILE"]).toBe(hostile);
    expect(JSON.stringify(seen)).not.toContain("canary");
  });

  test.each([
    ["a name with a quote", { name: "a'b" }, "name.invalid"],
    ["a variable with a space", { vars: { "A B": "1" } }, "name.invalid"],
    ["a variable holding NUL", { vars: { A: "x\0y" } }, "spec.invalid"],
    ["a requirement that is a path", { reqs: ["../evil"] }, "spec.invalid"],
    ["no replicas", { replicas: 0 }, "spec.invalid"],
    ["an unknown field", { replica: 2 }, "spec.invalid"],
  ])("refuses an env with %s", async (_what, env, code) => {
    await expect(load("ok.ts", "export const f = () => 1;", { env })).rejects.toMatchObject({ code });
  });
});

describe("an import", () => {
  test("says whether the code was new, updated or reused, and never runs stale code", async () => {
    const said: string[] = [];
    const onProgress = (line: string) => said.push(line);
    const first = await load("edit.ts", "export const f = () => 'one';", { onProgress });
    expect(await first["f"]()).toBe("one");
    await load("edit.ts", "export const f = () => 'one';", { onProgress });
    const second = await load("edit.ts", "export const f = () => 'two';", { onProgress });
    expect(await second["f"]()).toBe("two");
    expect(said[0]).toContain("new");
    expect(said[1]).toContain("reused");
    expect(said[2]).toMatch(/new|updated/);
  });

  test.each([
    ["a file that is not there", undefined, "bundle.file-missing"],
    ["a syntax error", "export const = 3;", "bundle.compile"],
    ["an import that cannot be resolved", 'import "not-a-package"; export const f = 1;', "bundle.compile"],
    ["a module that throws", 'throw new Error("at import"); export const f = 1;', "bundle.import-failed"],
  ])("fails on %s", async (_what, text, code) => {
    const file = text === undefined ? `${home.project}/none.ts` : await home.write("broken.ts", text);
    const error = (await local.import(file).catch((thrown: unknown) => thrown)) as FarcallError;
    expect(error).toBeInstanceOf(FarcallError);
    expect(error.code).toBe(code);
    if (code === "bundle.compile") expect(error.message).toMatch(/broken\.ts:1:\d+/);
  });

  test("reads CommonJS modules", async () => {
    const f = await load("common.cjs", "exports.twice = (n) => 2 * n; exports.n = 3;");
    expect(await f["twice"](4)).toBe(8);
  });

  test("goes on working when the agent was killed in between", async () => {
    const { f } = await load("again.ts", "export const f = (x: number) => x + 1;");
    expect(await f(1)).toBe(2);
    const agent = home.agentPid()!;
    process.kill(agent, "SIGKILL");
    await until(
      () => isAlive(agent),
      (alive) => !alive,
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await f(2)).toBe(3);
  });
});
