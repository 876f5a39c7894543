/**
 * `npm run package`: the extension as one `.vsix` for each platform. `--target linux-x64` (repeatable) packs only
 * that one, `--out FOLDER` puts it elsewhere than `.cache/vsix`.
 */
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { isTarget, targets } from "./packaging/targets.ts";
import { packageVsix } from "./packaging/vsix.ts";

const root = join(import.meta.dirname, "..");
const { values } = parseArgs({ options: { target: { type: "string", multiple: true }, out: { type: "string" } } });
const unknown = values.target?.filter((name) => !isTarget(name)) ?? [];
if (unknown.length > 0) {
  process.stderr.write(`There is no target ${unknown.join(", ")}. Targets are ${targets.join(", ")}.\n`);
  process.exit(2);
}

const out = values.out ? resolve(process.env["INIT_CWD"] ?? process.cwd(), values.out) : join(root, ".cache/vsix");
for (const target of values.target?.filter(isTarget) ?? targets) {
  const { path, sizeBytes } = await packageVsix(target, out);
  const size = `${(sizeBytes / 1024 / 1024).toFixed(2)} MiB`;
  process.stdout.write(`${target.padEnd(13)} ${size.padStart(9)}  ${relative(process.cwd(), path)}\n`);
}
