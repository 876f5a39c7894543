import { describe, expect, it } from "vitest";
import { asCommand, asScript, type RunRequest } from "../../extension/runs/repeat.ts";

const folder = "/home/me/project";
const call = (more: Partial<RunRequest> = {}): RunRequest => ({
  kind: "call",
  file: `${folder}/src/words.ts`,
  export: "wordCounts",
  env: { name: "default" },
  args: ["a"],
  ...more,
});
const map = (more: Partial<RunRequest> = {}): RunRequest => ({
  ...call({ args: undefined }),
  kind: "map",
  input: "data/urls.jsonl",
  ...more,
});
const secret = "hunter2";

describe("a run as a command", () => {
  const command = (request: RunRequest, windows = false) => asCommand(request, { folder, windows });

  it("is a call with its arguments", () => {
    expect(command(call())).toBe(`farcall run 'src/words.ts#wordCounts' '["a"]'`);
    expect(command(call({ args: [] }))).toBe(`farcall run 'src/words.ts#wordCounts'`);
    expect(command(call({ file: "/home/me/other/x.ts", args: [] }))).toBe(`farcall run '../other/x.ts#wordCounts'`);
    expect(command(call({ file: `${folder}/-x.ts`, args: [] }))).toBe(`farcall run './-x.ts#wordCounts'`);
  });

  it("names a cluster that is not the local one", () => {
    expect(command(call({ cluster: "local", args: [] }))).toBe(`farcall run 'src/words.ts#wordCounts'`);
    expect(command(call({ cluster: "lab", args: [], timeoutMs: 30_000 }))).toBe(
      `farcall run 'src/words.ts#wordCounts' --on lab --timeout 30s`,
    );
    expect(command(map({ cluster: "lab" }))).toContain("--on lab");
    expect(command(map({ guests: ["lab", "big"] }))).toContain("--on 'local,lab,big'");
    expect(command(map({ cluster: "lab", guests: ["local"] }))).toContain("--on 'lab,local'");
  });

  it("has the env, with variables by name only", () => {
    const env = { reqs: ["sharp@^0.34", "cheerio"], vars: { TOKEN: secret, B: "2" }, allowScripts: true };
    expect(command(call({ env, args: [], timeoutMs: 30_000 }))).toBe(
      `farcall run 'src/words.ts#wordCounts' --reqs 'sharp@^0.34,cheerio' --var TOKEN="$TOKEN" --var B="$B" --allow-scripts --timeout 30s`,
    );
    const more = {
      name: "gpu",
      replicas: 2,
      compute: { memoryMiB: 512 },
      allowScripts: ["sharp"],
      vars: { A: secret },
    };
    const written = command(call({ env: more, args: [] }));
    expect(written).toBe(
      `farcall run 'src/words.ts#wordCounts' --env '{"name":"gpu","replicas":2,"compute":{"memoryMiB":512},"allowScripts":["sharp"]}' --var A="$A"`,
    );
  });

  it("names an env of farcall.json, and the default there not at all", () => {
    const env = { name: "gpu", vars: { TOKEN: secret }, replicas: 3 };
    expect(command(call({ env, envFromProject: true, args: [] }))).toBe(
      "farcall run 'src/words.ts#wordCounts' --env gpu",
    );
    expect(command(call({ env: { ...env, name: "default" }, envFromProject: true, args: [] }))).toBe(
      "farcall run 'src/words.ts#wordCounts'",
    );
  });

  it("is a map with its options", () => {
    const options = { replicas: 2, concurrency: 8, retries: 1, timeoutMs: 90_500, cache: true, maxCostUsd: 2.5 };
    expect(command(map({ options }))).toBe(
      "farcall map 'src/words.ts#wordCounts' --input data/urls.jsonl --replicas 2 --concurrency 8 --retries 1 --timeout 90500ms --on-error stop --cache --max-cost 2.5",
    );
    expect(command(map({ options: { onError: "collect" } }))).toBe(
      "farcall map 'src/words.ts#wordCounts' --input data/urls.jsonl",
    );
  });

  it.each([
    ["-", "-"],
    [`${folder}/data/urls.jsonl`, "data/urls.jsonl"],
    ["/tmp/urls.csv", "/tmp/urls.csv"],
    ["glob:docs/**/*.md", "'glob:docs/**/*.md'"],
    [`glob:${folder}/docs/*.md`, "'glob:docs/*.md'"],
    [`${folder}/gen.ts#urls`, "'gen.ts#urls'"],
    ["it's.jsonl", String.raw`'it'\''s.jsonl'`],
    ["-x.jsonl", "./-x.jsonl"],
  ])("takes the input %s as %s", (input, word) => {
    expect(command(map({ input, options: { onError: "collect" } }))).toBe(
      `farcall map 'src/words.ts#wordCounts' --input ${word}`,
    );
  });

  it("has a word to be replaced for what is not known", () => {
    expect(command(call({ args: undefined }))).toBe("farcall run 'src/words.ts#wordCounts' ARGS");
    expect(command(map({ input: undefined }))).toContain("--input INPUT");
  });

  it.each<[string, unknown[], string]>([
    ["a Map", ["a", { m: new Map() }], "args[1].m is an instance of Map"],
    ["undefined", [undefined], "args[0] is undefined"],
    ["a bigint", [1n], "args[0] is a bigint"],
  ])("cannot be had for %s, and copying as a script is named", (_what, args, message) => {
    const error = expect.objectContaining({
      code: "value.unserializable",
      message: expect.stringContaining(message) as string,
      hint: "Copy the run as a script instead.",
    });
    expect(() => command(call({ args }))).toThrow(error);
  });

  it("cannot be had for more than a command line takes", () => {
    expect(() => command(call({ args: ["x".repeat(200_000)] }))).toThrow(
      expect.objectContaining({ code: "value.too-large" }),
    );
  });

  it("is written for PowerShell on Windows", () => {
    const request = call({ args: ['it\'s "a" \u2019b', "$x"], env: { vars: { TOKEN: secret } } });
    expect(command(request, true)).toBe(
      `farcall run 'src/words.ts#wordCounts' '["it''s \\"a\\" \u2019\u2019b","$x"]' --var "TOKEN=\${env:TOKEN}"`,
    );
  });
});

describe("a run as a script", () => {
  const script = (request: RunRequest) => asScript(request, { folder });

  it("names a cluster that is not the local one", () => {
    const written = script(call({ cluster: "big-lab" }));
    expect(written).toContain('await using there = cluster("big-lab");');
    expect(written).toContain("await there.import<");
    expect(written).not.toContain("local");
  });

  it("is a call", () => {
    expect(script(call({ generator: false, timeoutMs: 500, env: { reqs: ["sharp"], vars: { TOKEN: secret } } })))
      .toBe(`import { cluster } from "farcall";

await using local = cluster("local");
// The values of variables are not written here: set them in the environment of this program.
const remote = await local.import<typeof import("./src/words.js")>("./src/words.ts", {
  from: import.meta.url,
  env: { reqs: ["sharp"], vars: { TOKEN: process.env["TOKEN"]! } },
});

const result = await remote.wordCounts.with({ timeoutMs: 500 })("a");
console.dir(result, { depth: null });
`);
  });

  it("is a map", () => {
    expect(script(map({ input: "gen.ts#urls", options: { onError: "collect", concurrency: 4 } })))
      .toBe(`import { cluster } from "farcall";
import { urls as source } from "./gen.ts";

await using local = cluster("local");
const remote = await local.import<typeof import("./src/words.js")>("./src/words.ts", { from: import.meta.url });

const given: unknown = typeof source === "function" ? await (source as () => unknown)() : source;
const inputs = given as Iterable<never> | AsyncIterable<never>;
const run = remote.wordCounts.map(inputs, { onError: "collect", concurrency: 4 });
for await (const outcome of run) {
  if ("error" in outcome) process.exitCode = 1;
  console.dir(outcome, { depth: null });
}
`);
  });

  it("names the other clusters of a map", () => {
    const guests = ["lab", "big"];
    expect(script(map({ guests }))).toContain('.map(inputs, { on: ["lab", "big"] });');
    const written = script(map({ cluster: "lab", guests: ["local"], options: { retries: 1 } }));
    expect(written).toContain('cluster("lab")');
    expect(written).toContain('.map(inputs, { on: ["local"], retries: 1 });');
  });

  it("says why something is not known and leaves a place for it", () => {
    expect(script(call({ args: undefined }))).toMatch(
      /not known here, as it was too large to be kept[^]*wordCounts\(\/\* … \*\/\)/,
    );
    expect(script(map({ input: undefined }))).toMatch(/came from a program[^]*const inputs = \[\/\* … \*\/\];/);
  });

  it("holds no value of a variable", () => {
    const env = { name: "gpu", vars: { TOKEN: secret, "odd name": secret }, replicas: 2, compute: { memoryMiB: 64 } };
    for (const envFromProject of [true, false]) {
      for (const request of [call({ env, envFromProject }), map({ env, envFromProject })]) {
        expect(script(request)).not.toContain(secret);
        expect(asCommand(request, { folder })).not.toContain(secret);
      }
    }
  });

  it.each([
    ["x.ts", "./x.js"],
    ["a/x.mts", "./a/x.mjs"],
    ["x.cts", "./x.cjs"],
    ["x.tsx", "./x.js"],
    ["x.jsx", "./x.jsx"],
    ["x.cjs", "./x.cjs"],
    ['it"s#.ts', './it"s#.js'],
  ])("imports %s with the types of %s", (file, types) => {
    const written = script(call({ file: `${folder}/${file}` }));
    expect(written).toContain(
      `local.import<typeof import(${JSON.stringify(types)})>(${JSON.stringify(`./${file}`)}, {`,
    );
  });
});
