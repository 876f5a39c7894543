/**
 * `npm run screenshots`: every scene in every theme, in a real VS Code. Those of the README go to
 * `media/screenshots`, the rest to `.cache/screenshots`. Names of scenes as arguments make only those.
 */
import { join, relative } from "node:path";
import { Lab as Machines } from "../test/lab/lab.ts";
import { unusable } from "../test/lab/tools.ts";
import { installedExtension } from "../test/e2e/support/installedExtension.ts";
import { Lab } from "../test/e2e/support/lab.ts";
import { sceneFiles } from "../test/e2e/support/sceneProject.ts";
import { machineScenes, passingScenes, readmeScenes, scenes as ownScenes } from "../test/e2e/support/scenes.ts";
import { type Theme, themes } from "../test/e2e/support/window.ts";
import { natsServerProgram } from "../test/support/natsProgram.ts";

const root = join(import.meta.dirname, "..");
const readmeThemes: ReadonlySet<string> = new Set(["Default Dark Modern", "Default Light Modern"]);

/** Curves need some samples, of which there is one each few seconds. */
const workSeconds = 60;

const busySource = `export async function busy(n: number) {
  const untilMs = performance.now() + 20 + (n % 7) * 5;
  while (performance.now() < untilMs) Math.sqrt(n);
  await new Promise((resolve) => setTimeout(resolve, 40));
  return n;
}
`;

const why = unusable();
if (why !== undefined) process.stderr.write(`No pictures with simulated machines: ${why}.\n`);
const scenes = { ...ownScenes, ...(why === undefined ? machineScenes : {}) };
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

const extensions = await installedExtension(join(root, ".cache/screenshots"));
// Each scene goes on where the one before it stopped, so all of them are played, whichever are wanted.
await using machines = why === undefined ? await Machines.start() : undefined;
const variables: Record<string, string> = machines
  ? { FARCALL_SSH_CONFIG: machines.sshConfigFile, FARCALL_NATS_SERVER: await natsServerProgram() }
  : {};
await using lab = await Lab.start({ extensions, files: sceneFiles, scale: 2, variables });
const window = await lab.open();
let shown: Theme = "Default Dark Modern";
let isWorking = false;
for (const [name, show] of Object.entries(scenes)) {
  if (machines && name in machineScenes && !isWorking) await bringUp(machines);
  isWorking ||= name in machineScenes;
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

/** Makes the cluster `lab` and has it work for a while; the scenes before show none. */
async function bringUp(on: Machines): Promise<void> {
  const hosts = await Promise.all(["forge", "mill"].map((name) => on.machine({ name })));
  await farcall(["up", "lab", ...hosts.flatMap(({ name }) => ["--host", name])]);
  const source = await lab.home.write("busy.ts", busySource);
  const inputs = Array.from({ length: workSeconds * 40 }, (_, at) => at).join("\n");
  await farcall(["map", `${source}#busy`, "--on", "lab", "--input", "-", "--replicas", "4"], inputs);
}

async function farcall(args: string[], input = ""): Promise<void> {
  const { status, stderr } = await lab.home.cli(args, { env: variables, input, timeoutMs: 3 * workSeconds * 1_000 });
  if (status !== 0) throw new Error(`farcall ${args.join(" ")} failed:\n${stderr}`);
}
