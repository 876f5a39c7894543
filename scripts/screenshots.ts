/**
 * `npm run screenshots`: every scene in every theme, in a real VS Code. Those of the README go to
 * `media/screenshots`, the rest to `.cache/screenshots`. Names of scenes as arguments make only those.
 */
import { join, relative } from "node:path";
import { Lab } from "../test/e2e/support/lab.ts";
import { sceneFiles } from "../test/e2e/support/sceneProject.ts";
import { passingScenes, readmeScenes, scenes } from "../test/e2e/support/scenes.ts";
import { type Theme, themes } from "../test/e2e/support/window.ts";
import { currentTarget } from "./packaging/targets.ts";
import { packageVsix } from "./packaging/vsix.ts";

const root = join(import.meta.dirname, "..");
const readmeThemes: ReadonlySet<string> = new Set(["Default Dark Modern", "Default Light Modern"]);

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(scenes, name));
if (unknown.length > 0) {
  process.stderr.write(`There is no scene ${unknown.join(", ")}. Scenes are ${Object.keys(scenes).join(", ")}.\n`);
  process.exit(2);
}

function fileFor(scene: string, theme: Theme): string {
  const isKept = readmeScenes.has(scene) && readmeThemes.has(theme);
  const name = theme.replace("Default ", "").replace(" Modern", "").replaceAll(" ", "-").toLowerCase();
  return join(root, isKept ? "media/screenshots" : ".cache/screenshots", `${scene}-${name}.png`);
}

const { path: vsix } = await packageVsix(currentTarget(), join(root, ".cache/screenshots"));
// Each scene goes on where the one before it stopped, so all of them are played, whichever are wanted.
await using lab = await Lab.start({ vsix, files: sceneFiles, scale: 2 });
const window = await lab.open();
let shown: Theme = "Default Dark Modern";
for (const [name, show] of Object.entries(scenes)) {
  await show(window);
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  for (const theme of Object.keys(themes) as Theme[]) {
    if (theme !== shown) {
      await window.setTheme(theme);
      if (passingScenes.has(name)) await show(window);
    }
    shown = theme;
    const file = fileFor(name, theme);
    await window.screenshot(file);
    process.stdout.write(`${relative(root, file)}\n`);
  }
}
