import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, dirname } from "node:path";
import { cacheFolder, withLock } from "../../scripts/packaging/cache.ts";

/** Does nothing where there is no dpkg: what is missing there shows itself in what it is needed for. */
export async function ensureDebianPackages(names: readonly string[], purpose: string): Promise<void> {
  if (!existsSync("/etc/debian_version")) return;
  await withLock(cacheFolder("packages.lock"), async () => {
    const missing = names.filter((name) => !isInstalled(name));
    if (missing.length > 0) await installDebianPackages(missing, purpose);
  });
}

async function installDebianPackages(missing: readonly string[], purpose: string): Promise<void> {
  const install = `apt-get install -y --no-install-recommends ${missing.join(" ")}`;
  if (process.getuid?.() !== 0)
    throw new Error(`To ${purpose}, these packages are needed: ${missing.join(" ")}. Run: sudo ${install}`);
  say(`Installing Debian's ${missing.join(", ")} to ${purpose} (once)…`);
  await runQuietly(["apt-get", "update", "-q"], "/");
  await runQuietly(install.split(" ") as [string, ...string[]], "/");
}

function isInstalled(name: string): boolean {
  const { stdout } = spawnSync("dpkg-query", ["-W", "-f", "${Status}", name], { encoding: "utf8" });
  return stdout === "install ok installed";
}

/** Runs a command under the Node that runs this, and shows what it printed only when it fails. */
export function runQuietly([command, ...args]: [string, ...string[]], cwd: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const path = `${dirname(process.execPath)}${delimiter}${process.env["PATH"]}`;
    // What npm says of itself names the Node that npm test was started with, and install scripts believe it.
    const { npm_config_user_agent: _, ...env } = process.env;
    const child = spawn(command, args, {
      cwd,
      env: { ...env, PATH: path, DEBIAN_FRONTEND: "noninteractive" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let printed = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => (printed = (printed + text).slice(-20_000)));
    child.on("error", (cause) => reject(new Error(`${command} could not be started: ${cause.message}`, { cause })));
    child.on("close", (status) => {
      if (status === 0) resolve();
      else reject(new Error(`\`${[command, ...args].join(" ")}\` in ${cwd} failed with ${status}:\n${printed}`));
    });
  });
}

export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
