import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { onTestFinished } from "vitest";
import type { Bundle } from "../../runtime/bundle/bundle.ts";

const installed = fileURLToPath(new URL("../../node_modules/", import.meta.url));

/** A folder of its own for the running test. */
export function temporaryFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "farcall-bundle-")));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export type Files = Record<string, string | Uint8Array>;

/** Writes a project and returns its folder. `links` names packages to link from this repository's node_modules. */
export function project(files: Files, links: string[] = [], folder = temporaryFolder()): string {
  write(folder, { "package.json": `{"name":"project","type":"module"}`, ...files });
  for (const name of links) {
    mkdirSync(dirname(join(folder, "node_modules", name)), { recursive: true });
    symlinkSync(join(installed, name), join(folder, "node_modules", name));
  }
  return folder;
}

export function write(folder: string, files: Files): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
}

/** Writes a bundle out, as an agent would, and returns its folder. */
export function unpack({ manifest, contents }: Bundle, folder = temporaryFolder()): string {
  for (const { path, hash } of manifest.files) write(folder, { [path]: contents.get(hash)! });
  return folder;
}

/** Runs the bundle in a Node process and returns what `expression`, over the exports `m`, resolves to, as JSON. */
export async function run(bundle: Bundle, expression: string, folder = unpack(bundle)): Promise<unknown> {
  const entry = join(folder, bundle.manifest.entry);
  const program = `
    import { createRequire } from "node:module";
    globalThis.require = createRequire(${JSON.stringify(entry)});
    const loaded = await import(${JSON.stringify(pathToFileURL(entry).href)});
    const m = ${bundle.manifest.commonJs} ? loaded.default : loaded;
    process.stdout.write(JSON.stringify(await (async () => (${expression}))()) ?? "null");`;
  const options = { cwd: folder, env: { PATH: process.env["PATH"] } };
  const child = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], options);
  return JSON.parse(child.stdout);
}

export function fileHashes(bundle: Bundle, ...kinds: string[]): Record<string, string> {
  const files = bundle.manifest.files.filter(({ kind }) => kinds.length === 0 || kinds.includes(kind));
  return Object.fromEntries(files.map(({ path, hash }) => [path, hash]));
}

export function textOf({ manifest, contents }: Bundle, path: string): string {
  return Buffer.from(contents.get(manifest.files.find((file) => file.path === path)!.hash)!).toString();
}
