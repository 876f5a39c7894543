import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findProject, readProject } from "../../runtime/client/project.ts";
import { envSchema } from "../../runtime/spec/env.ts";
import { FarcallError } from "../../runtime/spec/errors.ts";
import { checkProject, projectEnv, projectSchema } from "../../runtime/spec/project.ts";
import { type JsonSchema, matches } from "../support/jsonSchema.ts";

const schema = JSON.parse(
  await readFile(join(import.meta.dirname, "../../media/farcall.schema.json"), "utf8"),
) as JsonSchema & { properties: JsonSchema; definitions: { env: { properties: Record<string, JsonSchema> } } };

const env = (fields: unknown) => ({ envs: { default: fields } });

const good: unknown[] = [
  {},
  { $schema: "x", envs: {} },
  env({}),
  { envs: { default: {}, "gpu-2": { replicas: 1 } } },
  env({ reqs: ["sharp", "@scope/name@1"], vars: { A_1: "", _b: "€" }, allowScripts: true }),
  env({ allowScripts: ["sharp"], compute: {} }),
  env({ replicas: 4096, concurrency: 10_000, compute: { cpus: 0.01, memoryMiB: 64 * 1024 * 1024, gpus: 0 } }),
  env({ compute: { gpus: 0.5 }, vars: {} }),
  JSON.parse('{"envs":{"default":{}}}'),
];

const bad: [document: unknown, names: string][] = [
  [[], "Expected Object but received Array"],
  [null, "Expected Object but received null"],
  ["text", 'Expected Object but received "text"'],
  [{ env: {} }, "env"],
  [{ $schema: 1 }, "$schema"],
  [{ envs: [] }, "envs"],
  [{ envs: { Default: {} } }, "envs.Default"],
  [{ envs: { "": {} } }, "envs."],
  [{ envs: { a_b: {} } }, "envs.a_b"],
  [{ envs: { [`a${"b".repeat(41)}`]: {} } }, "envs.ab"],
  [JSON.parse('{"envs":{"__proto__":{}}}'), "envs.__proto__"],
  [env(null), "envs.default"],
  [env([]), "envs.default"],
  [env({ vars: [] }), "envs.default.vars"],
  [env({ compute: [] }), "envs.default.compute"],
  [env({ name: "x" }), "envs.default.name"],
  [env({ replica: 1 }), "envs.default.replica"],
  [env({ reqs: "sharp" }), "envs.default.reqs"],
  [env({ reqs: [1] }), "envs.default.reqs.0"],
  [env({ vars: { A: 1 } }), "envs.default.vars.A"],
  [env({ vars: { "A B": "" } }), "A B"],
  [env({ vars: { A: "\0" } }), "A of the env"],
  [env(JSON.parse('{"vars":{"constructor":1}}')), "constructor"],
  [env({ replicas: 0 }), "envs.default.replicas"],
  [env({ replicas: 1.5 }), "envs.default.replicas"],
  [env({ replicas: "2" }), "envs.default.replicas"],
  [env({ replicas: 4097 }), "envs.default.replicas"],
  [env({ concurrency: 10_001 }), "envs.default.concurrency"],
  [env({ allowScripts: "all" }), "envs.default.allowScripts"],
  [env({ allowScripts: [true] }), "envs.default.allowScripts"],
  [env({ compute: { cpus: 0 } }), "envs.default.compute.cpus"],
  [env({ compute: { memoryMiB: 0.5 } }), "envs.default.compute.memoryMiB"],
  [env({ compute: { memoryMiB: 64 * 1024 * 1024 + 1 } }), "envs.default.compute.memoryMiB"],
  [env({ compute: { gpus: -1 } }), "envs.default.compute.gpus"],
  [env({ compute: { memory: 1 } }), "envs.default.compute.memory"],
];

describe("farcall.json", () => {
  it.each(good.map((document) => [JSON.stringify(document), document]))("may be %s", (_text, document) => {
    expect(checkProject(document)).toEqual(document);
    expect(matches(schema, document)).toBe(true);
  });

  it.each(bad.map(([document, names]) => [JSON.stringify(document), document, names]))(
    "may not be %s, and the field is named",
    (_text, document, names) => {
      expect(() => checkProject(document)).toThrow(FarcallError);
      expect(() => checkProject(document)).toThrow(expect.objectContaining({ code: "spec.invalid" }));
      expect(() => checkProject(document)).toThrow("The project is not valid: ");
      expect(() => checkProject(document)).toThrow(names);
      expect(matches(schema, document)).toBe(false);
    },
  );

  it("has the same fields in its JSON schema as in ours, each described with an example", () => {
    const names = (entries: object) => Object.keys(entries).sort();
    const { env: jsonEnv } = schema.definitions;
    expect(names(schema.properties)).toEqual(names(projectSchema.entries));
    expect([...names(jsonEnv.properties), "name"].sort()).toEqual(names(envSchema.entries));
    const compute = jsonEnv.properties["compute"]!["properties"] as Record<string, JsonSchema>;
    expect(names(compute)).toEqual(names(envSchema.entries.compute.wrapped.entries));
    const all = [schema, schema.properties, jsonEnv, jsonEnv.properties, compute].flatMap((each) =>
      "description" in each ? [each] : Object.values(each as Record<string, JsonSchema>),
    );
    for (const each of all) {
      expect(each).toMatchObject({ title: expect.any(String), description: expect.any(String) });
      expect((each as { examples?: unknown[] }).examples?.length).toBeGreaterThan(0);
    }
  });

  it("has examples in its JSON schema that are valid", () => {
    for (const example of schema["examples"] as unknown[]) expect(checkProject(example)).toEqual(example);
    for (const [name, { examples }] of Object.entries(schema.definitions.env.properties)) {
      for (const example of examples as unknown[]) expect(checkProject(env({ [name]: example }))).toBeDefined();
    }
  });

  it("gives an env by its name only", () => {
    const project = checkProject({ envs: { gpu: { replicas: 2 } } });
    expect(projectEnv(project, "gpu")).toEqual({ name: "gpu", replicas: 2 });
    expect(projectEnv(project, "default")).toBeUndefined();
    expect(projectEnv(project, "toString")).toBeUndefined();
    expect(projectEnv({}, "gpu")).toBeUndefined();
  });
});

describe("the project of a folder", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "farcall-project-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function write(name: string, text: string): Promise<string> {
    const file = join(folder, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    return file;
  }

  it("is the nearest upward", async () => {
    const outer = await write("farcall.json", '{"envs":{"outer":{}}}');
    const inner = await write("a/b/farcall.json", '\ufeff{"envs":{"inner":{}}}');
    await mkdir(join(folder, "a/b/c/farcall.json"), { recursive: true });
    expect(await readProject(outer)).toEqual({ envs: { outer: {} } });
    await expect(readProject(join(folder, "none.json"))).rejects.toMatchObject({ code: "spec.invalid" });
    expect(await findProject(join(folder, "a"))).toEqual({ file: outer, project: { envs: { outer: {} } } });
    expect(await findProject(join(folder, "a/b/c"))).toEqual({ file: inner, project: { envs: { inner: {} } } });
    expect(await findProject(join(folder, "not/there"))).toMatchObject({ file: outer });
  });

  it("is none where there is no such file", async () => {
    expect(await findProject(folder)).toBeUndefined();
  });

  it.each([
    ["{", /It is not JSON: /],
    ["[]", /: The project is not valid: /],
    ['{"envs":{"gpu":{"replicas":"many"}}}', /: envs\.gpu\.replicas: /],
    ['{"envs":{"GPU":{}}}', /: envs\.GPU: /],
  ])("is refused with its file when it is %s", async (text, message) => {
    const file = await write("farcall.json", text);
    const error = await findProject(folder).then(
      () => undefined,
      (thrown: unknown) => thrown as FarcallError,
    );
    expect(error).toMatchObject({ code: "spec.invalid" });
    expect(error?.message).toMatch(message);
    expect(error?.message.startsWith(`${file}: `)).toBe(true);
  });
});
