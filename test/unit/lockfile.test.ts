import { expect, test } from "vitest";
import { resolveInstall } from "../../runtime/bundle/requirements.ts";
import { compareVersions } from "../../runtime/bundle/overrides.ts";
import { FarcallError } from "../../runtime/spec/errors.ts";
import { emptyProject, lockedProject, lockFormats } from "../support/lockedProject.ts";

const need = (...names: string[]) => names.map((name) => ({ name }));

async function failure(promise: Promise<unknown>): Promise<FarcallError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(FarcallError);
  return error as FarcallError;
}

/** What the lockfiles of the fixtures hold for the needs of package a, as overrides of npm. */
const pins = {
  "@isaacs/cliui": "8.0.2",
  "ansi-regex@6.0.1": "6.0.1",
  "ansi-regex@5.0.1": "5.0.1",
  "ansi-styles@6.2.0": "6.2.0",
  "ansi-styles@4.3.0": "4.3.0",
  "color-convert": "2.0.1",
  "color-name": "1.1.4",
  eastasianwidth: "0.2.0",
  "emoji-regex@9.2.2": "9.2.2",
  "emoji-regex@8.0.0": "8.0.0",
  "is-fullwidth-code-point": "3.0.0",
  "string-width@5.1.2": "5.1.2",
  "string-width@4.2.3": "4.2.3",
  "string-width-cjs": "npm:string-width@4.2.3",
  "strip-ansi@7.0.1": "7.0.1",
  "strip-ansi@6.0.1": "6.0.1",
  "strip-ansi-cjs": "npm:strip-ansi@6.0.1",
  "wrap-ansi": "8.1.0",
  "wrap-ansi-cjs": "npm:wrap-ansi@7.0.0",
};
/** yarn 1 applied fewer of the pins with which the lockfiles were made. */
const newer: Record<string, string> = { "7.0.1": "7.2.0", "6.0.1": "6.6.0", "6.2.0": "6.2.3" };
const yarn1Pins = Object.entries(pins).flatMap(([key, spec]): [string, string][] => {
  const version = newer[spec];
  if (key === "strip-ansi@7.0.1") return [["strip-ansi@7.2.0", "7.2.0"]];
  return version === undefined || key === "strip-ansi@6.0.1" ? [[key, spec]] : [[key.replace(spec, version), version]];
});

for (const format of lockFormats) {
  test(`a lockfile of ${format} pins a package and all it needs, aliases and several versions included`, async () => {
    await using project = await lockedProject(format);
    const request = await resolveInstall(project.file("packages/a/src/deep/x.ts"), need("@isaacs/cliui"), false);
    expect(request.dependencies).toEqual({ "@isaacs/cliui": "8.0.2" });
    // As lists, because the order of the keys counts.
    expect(Object.entries(request.overrides)).toEqual(format === "yarn1" ? yarn1Pins : Object.entries(pins));
  });

  test(`a lockfile of ${format} gives each package of a workspace its own version`, async () => {
    await using project = await lockedProject(format);
    const versionFor = async (file: string) =>
      (await resolveInstall(project.file(file), need("ms"), false)).dependencies;
    expect(await versionFor("packages/a/x.ts")).toEqual({ ms: "2.0.0" });
    expect(await versionFor("packages/b/x.ts")).toEqual({ ms: "2.1.3" });
    expect(await versionFor("x.ts")).toEqual({ ms: "2.1.3" });
  });

  test(`a lockfile of ${format} resolves an aliased package to the one it stands for`, async () => {
    await using project = await lockedProject(format);
    const request = await resolveInstall(project.file("packages/a/x.ts"), need("tiny"), false);
    expect(request.dependencies).toEqual({ tiny: "npm:is-number@6.0.0" });
  });

  test(`a lockfile of ${format} pins optional and development dependencies too`, async () => {
    await using project = await lockedProject(format);
    const request = await resolveInstall(
      project.file("packages/b/x.ts"),
      need("@node-rs/xxhash", "supports-color"),
      false,
    );
    expect(request.dependencies).toEqual({ "@node-rs/xxhash": "1.7.8", "supports-color": "7.2.0" });
    expect(request.overrides).toMatchObject({ "@node-rs/xxhash-linux-x64-gnu": "1.7.8", "has-flag": "4.0.0" });
  });

  test(`a package that only other packages declare is found in a lockfile of ${format} by its installed version`, async () => {
    await using project = await lockedProject(format);
    const found = await resolveInstall(
      project.file("x.ts"),
      [{ name: "emoji-regex", installedVersion: "8.0.0" }],
      false,
    );
    expect(found.dependencies).toEqual({ "emoji-regex": "8.0.0" });
    const only = await resolveInstall(project.file("x.ts"), need("eastasianwidth"), false);
    expect(only.dependencies).toEqual({ eastasianwidth: "0.2.0" });
  });

  test(`the integrity in a lockfile of ${format} is taken over where it is one of npm's`, async () => {
    await using project = await lockedProject(format);
    const { integrity } = await resolveInstall(project.file("packages/a/x.ts"), need("@isaacs/cliui", "tiny"), false);
    // yarn 4 records checksums of its own archives.
    if (format === "yarn4") return expect(integrity).toEqual({});
    expect(Object.keys(integrity)).toHaveLength(18);
    expect(integrity["is-number@6.0.0"]).toBe(
      "sha512-Wu1VHeILBK8KAWJUAiSZQX94GmOE45Rg6/538fKwiloUu21KncEkYGPqob2oSZ5mUT73vLGrHQjKw3KMPwfDzg==",
    );
  });
}

for (const format of lockFormats.filter((name) => name !== "yarn1")) {
  test(`a package of the workspace is refused with a lockfile of ${format}, since a registry may hold a stranger`, async () => {
    await using project = await lockedProject(format);
    const error = await failure(resolveInstall(project.file("packages/b/x.ts"), need("a"), false));
    expect(error.code).toBe("spec.invalid");
    expect(error.message).toContain("a folder of the project");
  });
}

test("the nearest folder with a lockfile counts, and packageManager where a folder has several", async () => {
  await using project = await lockedProject("npm3");
  const dependency = (version: string) => ({
    lockfileVersion: 3,
    packages: { "": { dependencies: { ms: "*" } }, "node_modules/ms": { version } },
  });
  await project.write("inner/package.json", { dependencies: { ms: "*" }, packageManager: "pnpm@11.1.0" });
  await project.write("inner/package-lock.json", dependency("1.0.0"));
  const resolved = async () =>
    (await resolveInstall(project.file("inner/src/x.ts"), need("ms"), false)).dependencies["ms"];
  expect(await resolved()).toBe("1.0.0");
  await project.write("inner/npm-shrinkwrap.json", dependency("1.1.0"));
  expect(await resolved()).toBe("1.1.0");
  await project.write(
    "inner/pnpm-lock.yaml",
    "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      ms:\n        specifier: '*'\n        version: 1.2.0\nsnapshots:\n  ms@1.2.0: {}\n",
  );
  expect(await resolved()).toBe("1.2.0");
});

test("a lockfile of pnpm with a document about pnpm itself is read from its last document", async () => {
  await using project = await lockedProject("pnpm9");
  const { readFile } = await import("node:fs/promises");
  const text = await readFile(project.file("pnpm-lock.yaml"), "utf8");
  await project.write("pnpm-lock.yaml", `---\nlockfileVersion: '9.0'\nimporters: {}\n---\n${text}`);
  const request = await resolveInstall(project.file("packages/a/x.ts"), need("ms"), false);
  expect(request.dependencies).toEqual({ ms: "2.0.0" });
});

test("a lockfile that cannot be read is named with the line where reading stopped", async () => {
  const broken: [name: string, text: string, line: number][] = [
    ["package-lock.json", '{\n  "lockfileVersion": 3,\n<<<<<<< HEAD\n}', 3],
    ["pnpm-lock.yaml", "lockfileVersion: '9.0'\nimporters:\n  .: {\n", 4],
    ["yarn.lock", '# yarn lockfile v1\n\n"a@^1":\n  version "1.0.0"\n   odd\n', 5],
    ["yarn.lock", '__metadata:\n  version: 8\n"a@npm:^1": {\n', 4],
  ];
  for (const [name, text, line] of broken) {
    await using project = await emptyProject();
    await project.write(name, text);
    const error = await failure(resolveInstall(project.file("x.ts"), need("ms"), false));
    expect(error.code).toBe("env.lockfile-invalid");
    expect(error.message).toContain(`${project.file(name)}, line ${line}:`);
  }
});

test("a lockfile of another kind than its name says is refused", async () => {
  const wrong: [name: string, text: string][] = [
    ["package-lock.json", "[]"],
    ["package-lock.json", "null"],
    ["pnpm-lock.yaml", "lockfileVersion: 5.4\n"],
    ["pnpm-lock.yaml", "- a\n"],
    ["yarn.lock", "hello: world\n"],
  ];
  for (const [name, text] of wrong) {
    await using project = await emptyProject();
    await project.write(name, text);
    expect((await failure(resolveInstall(project.file("x.ts"), need("ms"), false))).code).toBe("env.lockfile-invalid");
  }
});

test("hostile keys in a lockfile reach nothing", async () => {
  const entry = '{"version":"6.6.6","dependencies":{"__proto__":"1","constructor":"1"}}';
  const hostile: [name: string, text: string][] = [
    [
      "package-lock.json",
      `{"lockfileVersion":3,"__proto__":{"packages":{}},"packages":{"":{},"__proto__":${entry},"node_modules/__proto__":${entry},
        "node_modules/ms":{"version":"2.0.0","dependencies":{"__proto__":"1"}}}}`,
    ],
    [
      "package-lock.json",
      `{"lockfileVersion":1,"dependencies":{"__proto__":${entry},"ms":{"version":"2.0.0","requires":{"__proto__":"1"}}}}`,
    ],
    [
      "pnpm-lock.yaml",
      "lockfileVersion: '9.0'\n__proto__:\n  polluted: yes\nimporters:\n  .:\n    dependencies:\n      __proto__:\n        version: 6.6.6\n      ms:\n        version: 2.0.0\nsnapshots:\n  __proto__@6.6.6: {}\n  ms@2.0.0:\n    dependencies:\n      __proto__: 6.6.6\n",
    ],
    [
      "yarn.lock",
      '# yarn lockfile v1\n\n"__proto__@^1":\n  version "6.6.6"\n\nms@*:\n  version "2.0.0"\n  dependencies:\n    "__proto__" "^1"\n',
    ],
  ];
  for (const [name, text] of hostile) {
    await using project = await emptyProject();
    await project.write("package.json", { dependencies: { ms: "*" } });
    await project.write(name, text);
    const request = await resolveInstall(project.file("x.ts"), need("ms"), false);
    expect(JSON.stringify([request.dependencies, request.overrides])).toBe('[{"ms":"2.0.0"},{"ms":"2.0.0"}]');
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  }
});

test("packages from git and from files are refused when asked for, and left to npm when another package needs them", async () => {
  await using project = await emptyProject();
  await project.write("package.json", { dependencies: { forked: "github:someone/forked", plain: "^1.0.0" } });
  await project.write("package-lock.json", {
    lockfileVersion: 3,
    packages: {
      "": { dependencies: { forked: "github:someone/forked", plain: "^1.0.0" } },
      "node_modules/forked": { version: "1.0.0", resolved: "git+ssh://git@github.com/someone/forked.git#0123456789" },
      "node_modules/plain": {
        version: "1.0.0",
        dependencies: { forked: "github:someone/forked", inside: "^1.0.0", far: "^1.0.0" },
      },
      "node_modules/plain/node_modules/inside": { version: "1.0.0", inBundle: true },
      "node_modules/far": { version: "1.5.0" },
    },
  });
  const error = await failure(resolveInstall(project.file("x.ts"), need("forked"), false));
  expect([error.code, error.message.includes("git")]).toEqual(["spec.invalid", true]);
  const request = await resolveInstall(project.file("x.ts"), need("plain"), false);
  expect(request.overrides).toEqual({ plain: "1.0.0", far: "1.5.0" });
});

test("versions are ordered as semver says", () => {
  const ordered = [
    "1.0.0-1",
    "1.0.0-2",
    "1.0.0-10",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-beta",
    "1.0.0",
    "1.2.0",
    "1.10.0",
    "10.0.0",
  ];
  expect(ordered.toReversed().toSorted(compareVersions)).toEqual(ordered);
  expect(compareVersions("1.0.0+a", "1.0.0+b")).toBe(0);
});
