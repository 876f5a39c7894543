import { mkdir, symlink } from "node:fs/promises";
import { expect, test } from "vitest";
import { parseRequirement, resolveInstall } from "../../runtime/bundle/requirements.ts";
import { FarcallError } from "../../runtime/spec/errors.ts";
import { emptyProject, lockedProject } from "../support/lockedProject.ts";

test("a requirement is a name, or a name and a range or tag", () => {
  const good: [text: string, name: string, range?: string][] = [
    ["sharp", "sharp"],
    [" sharp ", "sharp"],
    ["@img/sharp", "@img/sharp"],
    ["sharp@0.34", "sharp", "0.34"],
    ["@img/sharp@^1.2.3-beta.1", "@img/sharp", "^1.2.3-beta.1"],
    ["JSONStream@1.x", "JSONStream", "1.x"],
    ["sharp@>= 1.2.3 <2 || ~3.1", "sharp", ">= 1.2.3 <2 || ~3.1"],
    ["sharp@1.2.3 - 2.3.4", "sharp", "1.2.3 - 2.3.4"],
    ["sharp@*", "sharp", "*"],
    ["sharp@next", "sharp", "next"],
  ];
  for (const [text, name, range] of good) {
    expect(parseRequirement(text)).toEqual(range === undefined ? { name } : { name, range });
  }
});

test("a requirement that is no package of a registry, or hostile, is refused", () => {
  const elsewhere = [
    "../x",
    "./x",
    "/etc/passwd",
    "~/x",
    "C:\\x",
    "file:../x",
    "a@file:../x",
    "a@link:../x",
    "a@workspace:*",
    "a@npm:b@1",
    "https://x/y.tgz",
    "a@https://x/y.tgz",
    "git+ssh://x/y",
    "a@git+https://x/y",
    "a@github:u/r",
    "u/r",
    "u/r#main",
    "a@u/r",
  ];
  const malformed = [
    "",
    "@",
    "a@",
    "@a",
    "@a/",
    "a b",
    "a;id",
    "$(id)",
    "`id`",
    "a@$(id)",
    "a@1;id",
    "a@1\n2",
    "a\0",
    "a\nb",
    "a@1\0",
    "--registry=x",
    "-g",
    "a@--global",
    "__proto__",
    "node_modules",
    "_a",
    ".a",
    "node:fs",
    "é",
    "a@1.2.3.4",
    "a@^^1",
    "a@1 -",
    "a".repeat(300),
    `a@${"1".repeat(400)}`,
    `a@${"1 ".repeat(100_000)}x`,
    `a@${" ".repeat(100_000)}|`,
  ];
  for (const text of [...elsewhere, ...malformed]) {
    expect(() => parseRequirement(text), JSON.stringify(text.slice(0, 50))).toThrow(FarcallError);
    expect(() => parseRequirement(text)).toThrow(expect.objectContaining({ code: "spec.invalid" }));
  }
  for (const text of elsewhere) expect(() => parseRequirement(text)).toThrow(/npm registry/);
});

test("without a lockfile the range of the nearest package.json that declares the package counts", async () => {
  await using project = await emptyProject();
  await project.write("package.json", {
    dependencies: { ms: "^1.0.0", debug: "~2.0.0" },
    optionalDependencies: { opt: "npm:other@^3" },
  });
  await project.write("inner/package.json", { devDependencies: { ms: "^2.0.0" } });
  await project.write("inner/src/package.json", { type: "module" });
  const packages = ["ms", "debug", "opt"].map((name) => ({ name, installedVersion: "9.9.9" }));
  const request = await resolveInstall(project.file("inner/src/x.ts"), packages, ["debug"]);
  expect(request).toEqual({
    dependencies: { ms: "^2.0.0", debug: "~2.0.0", opt: "npm:other@^3" },
    overrides: {},
    integrity: {},
    allowScripts: ["debug"],
  });
});

test("a package that nothing declares is installed as on disk, and without that as the latest", async () => {
  await using project = await emptyProject();
  await project.write("package.json", { dependencies: { "from-catalog": "catalog:" } });
  const packages = [
    { name: "ms", installedVersion: "2.0.0" },
    { name: "debug" },
    { name: "from-catalog", installedVersion: "1.0.0" },
  ];
  const { dependencies } = await resolveInstall(project.file("x.ts"), packages, false);
  expect(dependencies).toEqual({ ms: "2.0.0", debug: "latest", "from-catalog": "1.0.0" });
});

test("a range the user wrote wins over the lockfile, and nothing binds what that package needs", async () => {
  await using project = await lockedProject("npm3");
  const packages = [{ name: "ms", range: "^1.0.0" }, { name: "debug" }];
  const request = await resolveInstall(project.file("x.ts"), packages, false);
  expect(request.dependencies).toEqual({ ms: "^1.0.0", debug: "2.6.9" });
  // Pinned by version alone; and no rule for ms, which npm would refuse beside the range.
  expect(request.overrides).toEqual({ "debug@2.6.9": "2.6.9" });
});

test("a lockfile that cannot be read does not matter when every version is written", async () => {
  await using project = await emptyProject();
  await project.write("package-lock.json", "{");
  const { dependencies } = await resolveInstall(project.file("x.ts"), [{ name: "ms", range: "2" }], false);
  expect(dependencies).toEqual({ ms: "2" });
});

test("a package linked to a folder of the project is refused, since a registry may hold a stranger of that name", async () => {
  await using project = await emptyProject();
  await project.write("libs/mine/package.json", { name: "mine" });
  await project.write("package.json", { dependencies: { mine: "1.0.0", other: "file:../other" } });
  await mkdir(project.file("node_modules"));
  await symlink(project.file("libs/mine"), project.file("node_modules/mine"));
  for (const name of ["mine", "other"]) {
    const promise = resolveInstall(project.file("x.ts"), [{ name }], false);
    await expect(promise).rejects.toThrow(expect.objectContaining({ code: "spec.invalid" }));
  }
});

test("names that npm would not take are refused wherever they come from", async () => {
  await using project = await emptyProject();
  for (const name of ["__proto__", "../x", "a b", "--global"]) {
    const refused = expect.objectContaining({ code: "spec.invalid" });
    await expect(resolveInstall(project.file("x.ts"), [{ name }], false)).rejects.toThrow(refused);
    await expect(resolveInstall(project.file("x.ts"), [], [name])).rejects.toThrow(refused);
  }
});
