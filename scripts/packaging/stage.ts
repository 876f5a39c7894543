import { existsSync } from "node:fs";
import { chmod, cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { esbuildPackage } from "./esbuildPackage.ts";
import { esbuildPlatforms, esbuildProgram, type Target } from "./targets.ts";

const here = join(import.meta.dirname, "../..");

/** Parts of package.json that concern npm and the checkout only. */
const npmFields = [
  "scripts",
  "devDependencies",
  "dependencies",
  "overrides",
  "allowScripts",
  "bin",
  "exports",
  "files",
  "types",
];

/**
 * Lays out what the extension for `target` consists of in `folder`, which is emptied first. `root` is the folder with
 * the built extension, by default this checkout; esbuild always comes from this one.
 */
export async function stage(target: Target, folder: string, root: string = here): Promise<void> {
  if (!existsSync(join(root, "dist/extension.js")))
    throw new Error(`${join(root, "dist/extension.js")} is missing: build the extension first (npm run build).`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await Promise.all([
    stageManifest(root, folder),
    cp(join(root, "dist"), join(folder, "dist"), {
      recursive: true,
      filter: (path) => isShipped(relative(join(root, "dist"), path)),
    }),
    ...["media", "l10n"].map((name) => copyIfThere(join(root, name), join(folder, name))),
    ...(await topLevelFiles(root)).map((name) => stageText(join(root, name), join(folder, name))),
  ]);
  await stageEsbuild(target, join(folder, "dist/node_modules"));
}

async function stageManifest(root: string, folder: string): Promise<void> {
  const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as Record<string, unknown>;
  for (const field of npmFields) delete manifest[field];
  await writeFile(join(folder, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
}

async function topLevelFiles(root: string): Promise<string[]> {
  const names = await readdir(root);
  return [
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    ...names.filter((name) => /^package\.nls(\.[\w-]+)?\.json$/.test(name)),
  ];
}

/**
 * Of a text that is shown beside the extension, pictures and links into the checkout are left out: they are not in the
 * package, and there is no public address that they could be led to.
 */
async function stageText(from: string, to: string): Promise<void> {
  if (!from.endsWith(".md")) return cp(from, to);
  await writeFile(to, withoutLocalLinks(await readFile(from, "utf8")));
}

const publicAddress = "(?:https?:|mailto:|#)";

export function withoutLocalLinks(markdown: string): string {
  return markdown
    .replaceAll(new RegExp(`!\\[[^\\]]*\\]\\((?!${publicAddress})[^)]*\\)\\n*`, "g"), "")
    .replaceAll(new RegExp(`(?<!!)\\[([^\\]]*)\\]\\((?!${publicAddress})[^)]*\\)`, "g"), "$1");
}

/** Of what is below `dist`. */
function isShipped(path: string): boolean {
  return !/^(types|node_modules|\.built)([\\/]|$)|\.map$/.test(path);
}

async function copyIfThere(from: string, to: string): Promise<void> {
  if (!existsSync(from)) return;
  const filter = (path: string) => basename(path) !== "screenshots" && !basename(path).startsWith(".");
  await cp(from, to, { recursive: true, filter });
}

/**
 * esbuild is found as a package by `import("esbuild")` from `dist`. It comes without its install script, which
 * only looks for what lies here already.
 */
async function stageEsbuild(target: Target, folder: string): Promise<void> {
  const main = join(here, "node_modules/esbuild");
  const platform = await esbuildPackage(target);
  const program = esbuildProgram(target);
  const [own, theirs] = [join(folder, "esbuild"), join(folder, "@esbuild", esbuildPlatforms[target])];
  await stagePackage(main, own, ["name", "version", "license", "main"]);
  await stagePackage(platform, theirs, ["name", "version", "license", "os", "cpu"]);
  await mkdir(dirname(join(theirs, program)), { recursive: true });
  await Promise.all([
    cp(join(main, "lib/main.js"), join(own, "lib/main.js")),
    cp(join(main, "LICENSE.md"), join(own, "LICENSE.md")),
    cp(join(platform, program), join(theirs, program)).then(() => chmod(join(theirs, program), 0o755)),
  ]);
}

async function stagePackage(from: string, to: string, fields: readonly string[]): Promise<void> {
  const manifest = JSON.parse(await readFile(join(from, "package.json"), "utf8")) as Record<string, unknown>;
  await mkdir(to, { recursive: true });
  const kept = Object.fromEntries(fields.map((field) => [field, manifest[field]]));
  await writeFile(join(to, "package.json"), `${JSON.stringify(kept, undefined, 2)}\n`);
}
