/** `npm run verify`: every check there is, in the order in which they fail fastest. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const bin = join(root, "node_modules/.bin");

const checks: [name: string, command: string, ...args: string[]][] = [
  ["format", join(bin, "oxfmt"), "--check", "."],
  ["lint", join(bin, "oxlint"), "--type-aware", "--deny-warnings"],
  ["types", join(bin, "tsc"), "-p", "."],
  ["types of pages", join(bin, "tsc"), "-p", "webview"],
  ["unused", join(bin, "knip")],
  ["build", process.execPath, join(root, "scripts/build.ts"), "--types"],
  ["test", join(bin, "vitest"), "run"],
];

for (const [name, command, ...args] of checks) {
  const beganAtMs = performance.now();
  process.stdout.write(`\n— ${name}\n`);
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) {
    process.stdout.write(`\n${name} failed.\n`);
    process.exit(1);
  }
  process.stdout.write(`— ${name}: ${((performance.now() - beganAtMs) / 1_000).toFixed(1)} s\n`);
}
process.stdout.write("\nAll checks passed.\n");
