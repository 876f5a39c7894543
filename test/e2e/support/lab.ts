import { cp, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type BrowserContext, chromium } from "playwright-core";
import { TestHome } from "../../support/home.ts";
import { CodeServer, type CodeServerOptions } from "./codeServer.ts";
import { ensureChromium } from "./install.ts";
import { EditorWindow } from "./window.ts";

export interface LabOptions {
  /** The folder with the extension as it was installed, of which this lab has a copy. */
  extensions: string;
  /** The project's files, by path. */
  files?: Record<string, string>;
  /** Whether the project is trusted. Default true. */
  trust?: boolean;
  /** The user's. */
  settings?: Record<string, unknown>;
  /** Variables of everything that the editor starts. */
  variables?: Record<string, string>;
  /** Pixels of the screen for each of the page. Default 1. */
  scale?: number;
}

const browserArgs = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * The extension as a person has it: packed, installed into a real VS Code in a browser, with a Farcall and a project
 * of its own. When it is disposed of, nothing that it started may be left.
 */
export class Lab implements AsyncDisposable {
  readonly home: TestHome;
  readonly server: CodeServer;
  readonly #context: BrowserContext;
  readonly #opened: AsyncDisposableStack;

  private constructor(home: TestHome, server: CodeServer, context: BrowserContext, opened: AsyncDisposableStack) {
    this.home = home;
    this.server = server;
    this.#context = context;
    this.#opened = opened;
  }

  static async start({
    extensions,
    files = {},
    trust = true,
    settings,
    variables,
    scale = 1,
  }: LabOptions): Promise<Lab> {
    await using opened = new AsyncDisposableStack();
    const home = opened.use(await TestHome.create());
    for (const [name, text] of Object.entries(files)) await home.write(name, text);
    // Beside the home, so that whatever runs on them counts as left over.
    const editor = join(dirname(home.path), "editor");
    const options: CodeServerOptions = {
      extensionsDir: join(editor, "extensions"),
      userDataDir: join(editor, "user"),
      home: home.path,
      trust,
      // A run of tests that is killed takes its browser along, but not this process.
      idleTimeoutSeconds: 90,
      ...(settings && { settings }),
      ...(variables && { variables }),
    };
    await cp(extensions, options.extensionsDir, { recursive: true });
    const server = opened.use(await CodeServer.start(options));
    const browser = await chromium.launch({
      executablePath: await ensureChromium(),
      args: browserArgs,
      chromiumSandbox: process.getuid?.() !== 0,
      env: { ...(process.env as Record<string, string>), FARCALL_HOME: home.path },
    });
    opened.defer(() => browser.close());
    const context = await browser.newContext({
      viewport: { width: 1280, height: 800 },
      deviceScaleFactor: scale,
      permissions: ["clipboard-read", "clipboard-write"],
    });
    return new Lab(home, server, context, opened.move());
  }

  /** Opens a window on the project, or on a folder or `.code-workspace` file of your own. */
  open(path: string = this.home.project): Promise<EditorWindow> {
    return EditorWindow.open(this.#context, this.server.addressOf(path), (changed) => this.changeSettings(changed));
  }

  /** Changes settings of the project. Windows follow these, unlike the user's, of which code-server has no watch. */
  async changeSettings(changed: Record<string, unknown>): Promise<void> {
    const name = ".vscode/settings.json";
    const before = await readFile(join(this.home.project, name), "utf8").catch(() => "{}");
    const settings = { ...(JSON.parse(before) as Record<string, unknown>), ...changed };
    await this.home.write(name, JSON.stringify(settings, undefined, 2));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#opened.disposeAsync();
  }
}
