import { execFileSync } from "node:child_process";
import { globSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { scanExports } from "../../extension/lenses/scanExports.ts";
import { installedExtension } from "../e2e/support/installedExtension.ts";
import { Lab } from "../e2e/support/lab.ts";

/** What the extension costs the editor. */

const root = join(import.meta.dirname, "../..");
const activations = 5;
const scans = 15;
const scannedLines = 5_000;

/** Bytes of the main file and of every chunk that it imports at once. */
export function mainBundleBytes(): number {
  const seen = new Set<string>();
  const read = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    const text = readFileSync(join(root, "dist", name), "utf8");
    for (const [, chunk] of text.matchAll(/^(?:import|export)\b[^;]*?"\.\/(chunk-[^"]+\.js)";/gm)) read(chunk!);
  };
  read("extension.js");
  return [...seen].reduce((sum, name) => sum + statSync(join(root, "dist", name)).size, 0);
}

/** Milliseconds of warm scans of 5,000 lines of this project's own code. */
export function scanTimesMs(): number[] {
  const files = globSync("runtime/**/*.ts", { cwd: root }).sort();
  const lines = files.flatMap((file) => readFileSync(join(root, file), "utf8").split("\n")).slice(0, scannedLines);
  // Names stand in several files, which a single one may not declare twice: errors that the parser takes.
  const text = lines.join("\n");
  const times: number[] = [];
  for (let i = 0; i < scans; i++) {
    const beganAtMs = performance.now();
    scanExports(text, "typescript");
    times.push(performance.now() - beganAtMs);
  }
  return times.slice(5);
}

export interface TableTime {
  name: string;
  /** Until the first page is there. */
  ms: number;
  grownMiB: number;
  /** The longest time in which no other extension could run. */
  blockedMs: number;
}

/** The table of results over a real map of so many inputs, in orders that read all of them. */
export function tableTimes(count: number): TableTime[] {
  const file = join(import.meta.dirname, "panelMany.ts");
  return JSON.parse(execFileSync(process.execPath, [file, String(count)], { encoding: "utf8" })) as TableTime[];
}

/** What a real VS Code says that loading and activating the extension took, window by window. */
export async function activationTimesMs(): Promise<number[]> {
  const extensions = await installedExtension(join(root, ".cache/bench"));
  await using lab = await Lab.start({ extensions, files: { "f.ts": "export const f = (n: number) => n;\n" } });
  const times: number[] = [];
  for (let i = 0; i < activations; i++) {
    const window = await lab.open();
    await window.openFile("f.ts");
    await window.waitForLens("Run remotely");
    await window.runCommand("Developer: Show Running Extensions");
    const row = window.page.locator(".runtime-extensions-editor .extension").filter({ hasText: "Farcall" }).first();
    const text = await row.locator(".activation-time").innerText();
    times.push(Number(/(\d+)\s*ms/.exec(text)?.[1]));
    await window.page.close();
  }
  return times;
}
