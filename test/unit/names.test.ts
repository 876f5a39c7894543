import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkEnvSpec, envSpecOf, resolveEnv } from "../../runtime/spec/env.ts";
import { FarcallError } from "../../runtime/spec/errors.ts";
import { checkMapOptions } from "../../runtime/spec/map.ts";
import { checkName, checkVariableName, isRunId, newRunId } from "../../runtime/spec/names.ts";

const hostile = [
  "",
  " ",
  ".",
  "..",
  "../x",
  "a/b",
  "a\\b",
  "a b",
  "a\n",
  "\na",
  "a\0b",
  "a'b",
  'a"b',
  "a;b",
  "$(id)",
  "`id`",
  "a|b",
  "-rf",
  "--force",
  "a=b",
  "é",
  "\u0430dmin",
  "a\u202eb",
  "a\u0301",
  "__proto__\n",
  "%2e%2e",
  "a:b",
  "a*",
  "~",
  "\u{1F600}",
  "x".repeat(10_000),
];

/** The code of the refusal, or undefined. Any other class of error fails the test. */
function refusal(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof FarcallError)) throw thrown;
    return thrown.code;
  }
}

describe("the name of a cluster or env", () => {
  test.each(["local", "a", "words-4x2", "x".repeat(41), "a-"])("may be %s", (name) => {
    expect(checkName("env", name)).toBe(name);
  });

  test.each([...hostile, "A", "1a", "-a", "x".repeat(42), "constructor.prototype", "a_b"])("may not be %j", (name) => {
    expect(refusal(() => checkName("cluster", name))).toBe("name.invalid");
  });

  test("is of the letters that are safe in files and hosts, whatever is accepted", () => {
    const letter = fc.oneof(
      fc.constantFrom("a", "z", "0", "9", "-", "_", ".", "\n"),
      fc.nat(0xffff).map((code) => String.fromCharCode(code)),
    );
    fc.assert(
      fc.property(fc.string({ unit: letter, maxLength: 5 }), (name) => {
        const safe = /^[a-z][a-z0-9-]*$/.test(name) && !name.endsWith("\n");
        expect(refusal(() => checkName("env", name))).toBe(safe ? undefined : "name.invalid");
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("the name of a variable", () => {
  test.each(["A", "_", "PATH", "a1", "npm_config_x"])("may be %s", (name) => {
    expect(checkVariableName(name)).toBe(name);
  });

  test.each([...hostile.filter((name) => !/^x+$/.test(name)), "1A", "A-B", "A.B", "BASH_FUNC_x%%"])(
    "may not be %j",
    (name) => {
      expect(refusal(() => checkVariableName(name))).toBe("name.invalid");
    },
  );
});

describe("a run id", () => {
  test("that is new is one, and later ones sort behind it", () => {
    const ids = [0, 1, 1_000, Date.now(), Date.now() + 1, 8e12].map((timeMs) => newRunId(timeMs));
    for (const id of ids) expect(isRunId(id)).toBe(true);
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(Array.from({ length: 1_000 }, () => newRunId(5))).size).toBe(1_000);
  });

  test.each([...hostile, "abcdef", "abcdef-", "-abcd", "ABCDEF-abcd", "abcdef-abcd/..", "abcdef-abcd\n"])(
    "is not %j",
    (text) => {
      expect(isRunId(text)).toBe(false);
    },
  );
});

describe("an env", () => {
  test("is given its name and keeps what was written", () => {
    const spec = {
      reqs: ["sharp@0.34"],
      vars: { A: "" },
      replicas: 4096,
      concurrency: 1,
      allowScripts: ["sharp"],
      compute: { cpus: 0.5, memoryMiB: 1, gpus: 0 },
    };
    expect(checkEnvSpec(spec)).toEqual({ ...spec, name: "default" });
    expect(checkEnvSpec({})).toEqual({ name: "default" });
  });

  test("can be had back as it was written once its defaults are settled", () => {
    const install = { dependencies: { sharp: "0.34.0" }, overrides: {}, integrity: {}, allowScripts: false };
    const full = {
      name: "full",
      reqs: ["sharp@0.34"],
      vars: { A: "" },
      replicas: 3,
      concurrency: 2,
      allowScripts: ["sharp"],
      compute: { cpus: 0.5, memoryMiB: 1, gpus: 0 },
    };
    expect(envSpecOf(resolveEnv(full, install))).toEqual(full);
    expect(envSpecOf(resolveEnv({ name: "default" }, install))).toEqual({ name: "default" });
  });

  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["a text", "default"],
    ["a number", 3],
    ["an unknown field", { replica: 2 }],
    ["a number as its name", { name: 3 }],
    ["requirements that are a text", { reqs: "sharp" }],
    ["a requirement that is a number", { reqs: [3] }],
    ["a variable that is a number", { vars: { A: 3 } }],
    ["a variable with NUL", { vars: { A: "a\0b" } }],
    ["variables that are a text", { vars: "A=B" }],
    ["no replicas", { replicas: 0 }],
    ["half a replica", { replicas: 1.5 }],
    ["NaN replicas", { replicas: Number.NaN }],
    ["endless replicas", { replicas: Number.POSITIVE_INFINITY }],
    ["replicas as a text", { replicas: "2" }],
    ["too many replicas", { replicas: 4097 }],
    ["a negative concurrency", { concurrency: -1 }],
    ["no cores", { compute: { cpus: 0 } }],
    ["an unknown kind of compute", { compute: { ram: 4 } }],
    ["negative GPUs", { compute: { gpus: -1 } }],
    ["scripts allowed by a text", { allowScripts: "yes" }],
  ])("cannot be %s", (_what, spec) => {
    expect(refusal(() => checkEnvSpec(spec))).toBe("spec.invalid");
  });

  test.each(hostile)("cannot have the name or a variable %j", (name) => {
    expect(refusal(() => checkEnvSpec({ name }))).toBe("name.invalid");
    if (!/^x+$/.test(name)) expect(refusal(() => checkEnvSpec({ vars: { [name]: "value" } }))).toBe("name.invalid");
  });

  test("is accepted or refused in words, whatever it is", () => {
    const codes = [undefined, "spec.invalid", "name.invalid"];
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true, withBigInt: true }), (value) => {
        expect(codes).toContain(refusal(() => checkEnvSpec(value)));
        expect(codes).toContain(refusal(() => checkEnvSpec({ vars: value, compute: value })));
        expect(codes).toContain(refusal(() => checkMapOptions(value)));
      }),
    );
  });
});

describe("map options", () => {
  test("are kept as they were written, up to their limits", () => {
    const options = {
      replicas: 4096,
      concurrency: 10_000,
      retries: 100,
      timeoutMs: 2 ** 31 - 1,
      onError: "collect",
      cache: true,
      maxCostUsd: 0,
    };
    expect(checkMapOptions(options)).toEqual(options);
    expect(checkMapOptions({})).toEqual({});
  });

  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["an unknown field", { retry: 1 }],
    ["a negative number of retries", { retries: -1 }],
    ["too many retries", { retries: 101 }],
    ["no time", { timeoutMs: 0 }],
    ["a time longer than a timer", { timeoutMs: 2 ** 31 }],
    ["half a millisecond", { timeoutMs: 0.5 }],
    ["an unknown way with errors", { onError: "ignore" }],
    ["a negative cost", { maxCostUsd: -1 }],
    ["a cost that is no number", { maxCostUsd: Number.NaN }],
    ["a cache that is a text", { cache: "yes" }],
  ])("cannot be %s", (_what, options) => {
    expect(refusal(() => checkMapOptions(options))).toBe("spec.invalid");
  });
});
