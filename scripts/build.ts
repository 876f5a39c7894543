/** Builds `dist`: the library, the command line, the agent and the worker, and the library's types. */
import { spawnSync } from "node:child_process";
import { chmod, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build, type BuildOptions } from "esbuild";
import { ssh2Build } from "./ssh2Build.ts";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");
// Built aside and put in place whole: a command line that is running reads its chunks when it needs them.
const outdir = `${dist}.${process.pid}.tmp`;

const common = {
  absWorkingDir: root,
  outdir,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node24",
  sourcemap: "linked",
  sourcesContent: false,
  legalComments: "none",
  logLevel: "warning",
  // esbuild is a program of its own with a file for each platform, so it stays a package; VS Code gives the other.
  external: ["esbuild", "vscode"],
  // Packages written as CommonJS ask for Node's own modules with `require`.
  banner: {
    js: 'import { createRequire as farcallCreateRequire } from "node:module"; const require = farcallCreateRequire(import.meta.url);',
  },
} satisfies BuildOptions;

await rm(outdir, { recursive: true, force: true });
await Promise.all([
  // What the client loads is split, so that `farcall --help` and starting the editor read little.
  build({
    ...common,
    entryPoints: { index: "runtime/index.ts", cli: "runtime/cli/main.ts", extension: "extension/main.ts" },
    splitting: true,
    plugins: [ssh2Build],
    // Beside the agent, which code in a chunk looks for beside itself.
    chunkNames: "chunk-[hash]",
  }),
  // What goes to nodes is one file each.
  build({ ...common, entryPoints: { agent: "runtime/agent/main.ts" }, minify: true, keepNames: true }),
  build({ ...common, entryPoints: { worker: "runtime/worker/main.ts" }, minify: true, keepNames: true }),
  // Run there by `node -e`, before anything else is there.
  build({
    ...common,
    entryPoints: { setup: "runtime/setup/main.ts" },
    format: "cjs",
    outExtension: { ".js": ".cjs" },
    banner: {},
    minify: true,
    sourcemap: false,
  }),
  // The pages of the editor's panels: VS Code's own browser runs them.
  build({
    ...common,
    outdir: join(outdir, "webview"),
    entryPoints: {
      run: "webview/run/main.tsx",
      launch: "webview/launch/main.tsx",
      cluster: "webview/cluster/main.tsx",
    },
    platform: "browser",
    target: "chrome120",
    external: [],
    banner: {},
    jsx: "automatic",
    jsxImportSource: "preact",
    minify: true,
    loader: { ".ttf": "file" },
    assetNames: "[name]",
  }),
]);
await chmod(join(outdir, "cli.js"), 0o755);

if (process.argv.includes("--types")) {
  const { status } = spawnSync(
    process.execPath,
    [
      join(root, "node_modules/typescript/bin/tsc"),
      "-p",
      join(root, "tsconfig.types.json"),
      "--outDir",
      join(outdir, "types"),
    ],
    { cwd: root, stdio: "inherit" },
  );
  if (status !== 0) process.exit(1);
}
await writeFile(join(outdir, ".built"), "");
const old = `${dist}.${process.pid}.old`;
await rename(dist, old).catch(() => undefined);
await rename(outdir, dist);
await rm(old, { recursive: true, force: true });
