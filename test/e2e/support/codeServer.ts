import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { outcomeOf } from "../../support/home.ts";
import { ensureCodeServer } from "./install.ts";

export interface CodeServerOptions {
  extensionsDir: string;
  userDataDir: string;
  /** The `FARCALL_HOME` of everything that the editor starts. */
  home: string;
  /** Whether every folder is trusted unasked. */
  trust: boolean;
  /** The user's settings, over those that keep the window quiet. */
  settings?: Record<string, unknown>;
  /** Variables of everything that the editor starts. */
  variables?: Record<string, string>;
  /** Default: a free one. */
  port?: number;
  /** Ends the server when no window was open for so long, more than 60 s. Default: never. */
  idleTimeoutSeconds?: number;
}

const quiet = {
  "workbench.startupEditor": "none",
  "workbench.colorTheme": "Dark Modern",
  "workbench.tips.enabled": false,
  "workbench.welcomePage.walkthroughs.openOnInstall": false,
  "workbench.enableExperiments": false,
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "chat.disableAIFeatures": true,
  "telemetry.telemetryLevel": "off",
  "update.showReleaseNotes": false,
  "extensions.autoCheckUpdates": false,
  "extensions.autoUpdate": "off",
  "extensions.ignoreRecommendations": true,
  "security.workspace.trust.startupPrompt": "never",
  "security.workspace.trust.banner": "never",
  "security.workspace.trust.untrustedFiles": "open",
  "git.enabled": false,
  "git.openRepositoryInParentFolders": "never",
  "files.hotExit": "off",
  "window.confirmBeforeClose": "never",
  "typescript.surveys.enabled": false,
};
const startTimeoutMs = 60_000;
const stopGraceMs = 3_000;

/** A code-server of a test's own, on a loopback port, without a password. */
export class CodeServer implements AsyncDisposable {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #printed: string[];
  readonly #temporary: string;

  private constructor(url: string, child: ChildProcess, printed: string[], temporary: string) {
    this.url = url;
    this.#child = child;
    this.#printed = printed;
    this.#temporary = temporary;
  }

  /** Installs a packed extension into a profile, before a server uses it. */
  static async installExtension(vsix: string, options: Omit<CodeServerOptions, "trust">): Promise<void> {
    const child = spawn(
      process.execPath,
      [await ensureCodeServer(), ...profile(options), "--install-extension", vsix, "--force"],
      { env: environment(options), stdio: ["ignore", "pipe", "pipe"] },
    );
    const { status, stdout, stderr } = await outcomeOf(child);
    if (status !== 0 || !/successfully installed/.test(stdout))
      throw new Error(`code-server did not install ${vsix}:\n${stdout}${stderr}`);
  }

  /** Starts a server and waits until it listens. Throws with its log when it does not. */
  static async start(options: CodeServerOptions): Promise<CodeServer> {
    const settings = join(options.userDataDir, "User/settings.json");
    await mkdir(join(settings, ".."), { recursive: true });
    await writeFile(settings, JSON.stringify({ ...quiet, ...options.settings }, undefined, 2));
    const args = [
      await ensureCodeServer(),
      ...profile(options),
      "--auth=none",
      `--bind-addr=127.0.0.1:${options.port ?? 0}`,
      "--disable-telemetry",
      "--disable-update-check",
      "--disable-getting-started-override",
      ...(options.trust ? ["--disable-workspace-trust"] : []),
      ...(options.idleTimeoutSeconds ? [`--idle-timeout-seconds=${options.idleTimeoutSeconds}`] : []),
    ];
    // It leaves sockets behind, whose paths have to be short.
    const temporary = await mkdtemp(join(tmpdir(), "farcall-vscode-"));
    // A process group of its own, so that its children can be ended with it.
    const child = spawn(process.execPath, args, {
      env: { ...environment(options), TMPDIR: temporary },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const printed: string[] = [];
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => printed.push(text));
    try {
      return new CodeServer(await listening(child, printed), child, printed, temporary);
    } catch (error) {
      await end(child);
      await rm(temporary, { recursive: true, force: true });
      throw error;
    }
  }

  /** What it printed so far. */
  get log(): string {
    return this.#printed.join("");
  }

  /** The address of a window on a folder or a `.code-workspace` file. */
  addressOf(path: string): string {
    const query = new URLSearchParams({ [path.endsWith(".code-workspace") ? "workspace" : "folder"]: path });
    return `${this.url}/?${query.toString()}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#child);
    await rm(this.#temporary, { recursive: true, force: true });
  }
}

function profile({ userDataDir, extensionsDir }: Pick<CodeServerOptions, "userDataDir" | "extensionsDir">): string[] {
  return [
    `--config=${join(userDataDir, "config.yaml")}`,
    `--user-data-dir=${userDataDir}`,
    `--extensions-dir=${extensionsDir}`,
  ];
}

/** Without what a surrounding editor, test or Farcall has set; its own files go into the profile. */
function environment({ home, userDataDir, variables }: Omit<CodeServerOptions, "trust">): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) =>
      !/^(VITEST|FARCALL|VSCODE|CODE_SERVER|NODE_OPTIONS|NODE_ENV|PASSWORD|HASHED_PASSWORD|PORT|npm_)/.test(name),
  );
  return {
    ...Object.fromEntries(inherited),
    FARCALL_HOME: home,
    XDG_DATA_HOME: join(userDataDir, "share"),
    XDG_CONFIG_HOME: join(userDataDir, "config"),
    ...variables,
  };
}

async function listening(child: ChildProcess, printed: readonly string[]): Promise<string> {
  const deadlineMs = Date.now() + startTimeoutMs;
  for (;;) {
    const url = /HTTP server listening on (http:\/\/[\d.]+:\d+)/.exec(printed.join(""))?.[1];
    if (url) return url;
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadlineMs)
      throw new Error(`code-server did not start:\n${printed.join("")}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return;
  const exited = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
  signalGroup(child.pid, "SIGTERM");
  const timer = setTimeout(() => signalGroup(child.pid, "SIGKILL"), stopGraceMs);
  await exited;
  clearTimeout(timer);
  signalGroup(child.pid, "SIGKILL");
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
