import { existsSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { build } from "esbuild";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import * as v from "valibot";
import { pageHtml } from "../../extension/panels/pageHtml.ts";
import { toExtension, type ToExtension } from "../../webview/messages/toExtension.ts";
import type { ToPage } from "../../webview/messages/toPage.ts";
import { type ThemeName, themes } from "./themes.ts";

/**
 * A panel's page in a real browser, under the policy that it has in the editor. The test is the extension: it says
 * what the page is sent, and sees everything the page sends, which has to fit the schema.
 */
const root = join(import.meta.dirname, "../..");
const chromiumFile = "/usr/bin/chromium";
const waitMs = 15_000;
/** The library of controls tries an empty style element, to learn whether the browser knows `:focus-visible`. */
const emptyStyleHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

type PageName = "run" | "launch" | "cluster";

/** Files of the pages by name, built once for each test file. */
async function bundle(): Promise<Map<string, Uint8Array>> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: {
      run: "webview/run/main.tsx",
      launch: "webview/launch/main.tsx",
      cluster: "webview/cluster/main.tsx",
    },
    outdir: "/",
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "chrome120",
    jsx: "automatic",
    jsxImportSource: "preact",
    loader: { ".ttf": "file" },
    logLevel: "warning",
  });
  return new Map(outputFiles.map(({ path, contents }) => [path, contents]));
}

const types: Record<string, string> = { js: "text/javascript", css: "text/css", ttf: "font/ttf" };

function themeStyles(name: ThemeName): string {
  const variables = Object.entries(themes[name].variables).map(([key, value]) => `${key}: ${value};`);
  // What the editor gives every page, below what the page says itself.
  const defaults = `@layer vscode-default { body { padding: 0 20px; color: var(--vscode-editor-foreground); } }`;
  return `:root { ${variables.join(" ")} }\n${defaults}`;
}

function html(name: PageName, theme: ThemeName, origin: string): string {
  const { className, kind } = themes[theme];
  const files = { source: origin, style: `/${name}.css`, script: `/${name}.js`, nonce: "n1", language: "en" };
  // What the editor adds to every page.
  return pageHtml(files)
    .replace("<link", `<link id="theme" rel="stylesheet" href="/theme/${theme}.css"><link`)
    .replace("<body", `<body class="${className}" data-vscode-theme-kind="${kind}"`);
}

export class PageLab implements AsyncDisposable {
  readonly #server: Server;
  readonly #browser: Browser;
  /** Of all pages: in one of its own each would be compiled anew, and none of them keeps anything in it. */
  readonly #context: BrowserContext;
  readonly origin: string;

  private constructor(server: Server, browser: Browser, context: BrowserContext) {
    this.#server = server;
    this.#browser = browser;
    this.#context = context;
    this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async create(): Promise<PageLab> {
    if (!existsSync(chromiumFile)) {
      throw new Error(`The pages are tested in Chromium, and ${chromiumFile} is not there: install "chromium".`);
    }
    const files = await bundle();
    const server = createServer((request, response) => {
      const path = (request.url ?? "/").split("?")[0] ?? "/";
      const [, folder, name = ""] = /^\/(?:(page|theme)\/)?([^/]*)$/.exec(path) ?? [];
      const origin = `http://${request.headers.host}`;
      if (folder === "page") {
        const [page, theme] = name.split("-") as [PageName, ThemeName];
        response.writeHead(200, { "content-type": "text/html" }).end(html(page, theme, origin));
      } else if (folder === "theme") {
        response.writeHead(200, { "content-type": "text/css" });
        response.end(themeStyles(name.replace(".css", "") as ThemeName));
      } else {
        const file = files.get(path);
        // Browsers ask for an icon by themselves.
        response.writeHead(file ? 200 : path === "/favicon.ico" ? 204 : 404, {
          "content-type": types[path.split(".").at(-1) ?? ""] ?? "text/plain",
        });
        response.end(file);
      }
    });
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const browser = await chromium.launch({
      executablePath: chromiumFile,
      args: ["--no-sandbox", "--disable-gpu"],
    });
    const context = await browser.newContext({ locale: "en-US", timezoneId: "UTC", reducedMotion: "reduce" });
    return new PageLab(server, browser, context);
  }

  async open(name: PageName, options: PanelOptions = {}): Promise<Panel> {
    const { theme = "dark", width = 1_000, height = 700 } = options;
    const page = await this.#context.newPage();
    await page.setViewportSize({ width, height });
    page.setDefaultTimeout(waitMs);
    const panel = new Panel(page, this.origin, options);
    await panel.load(`${this.origin}/page/${name}-${theme}`);
    return panel;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    this.#server.closeAllConnections();
    await new Promise((resolve) => void this.#server.close(resolve));
  }
}

export interface PanelOptions {
  theme?: ThemeName;
  width?: number;
  height?: number;
  /** What the page kept from an earlier life. */
  state?: unknown;
  /** Answers to what the page asks, sent at once. */
  answer?: (message: ToExtension) => ToPage[];
}

/** What a stub of the editor puts into the page. */
interface PageWindow {
  keptState: unknown;
  postMessage(message: unknown, target: string): void;
}

export class Panel implements AsyncDisposable {
  readonly page: Page;
  readonly sent: ToExtension[] = [];
  /** Errors, warnings and breaches of the policy. */
  readonly complaints: string[] = [];
  /** Requests to anywhere but the page's own files. */
  readonly strayRequests: string[] = [];
  readonly #options: PanelOptions;
  readonly #waiters = new Set<() => void>();

  constructor(page: Page, origin: string, options: PanelOptions) {
    this.page = page;
    this.#options = options;
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("console", (message) => {
      const isKnown = message.text().includes(emptyStyleHash);
      if (["error", "warning"].includes(message.type()) && !isKnown) this.complaints.push(message.text());
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(`${origin}/`)) this.strayRequests.push(request.url());
    });
  }

  async load(url: string): Promise<void> {
    await this.page.exposeFunction("toTest", (given: unknown) => {
      const message = v.parse(toExtension, given);
      this.sent.push(message);
      for (const waiter of this.#waiters) waiter();
      const answers = this.#options.answer?.(message) ?? [];
      this.send(...answers).catch((error: unknown) => {
        // The test may be over by now.
        if (!this.page.isClosed()) throw error;
      });
    });
    await this.page.addInitScript(`
      globalThis.keptState = ${JSON.stringify(this.#options.state ?? null)};
      globalThis.acquireVsCodeApi = () => {
        delete globalThis.acquireVsCodeApi;
        return {
          postMessage: (message) => void globalThis.toTest(message),
          getState: () => globalThis.keptState,
          setState: (state) => { globalThis.keptState = structuredClone(state); },
        };
      };
    `);
    await this.page.goto(url);
    await this.next("ready");
  }

  /** Sends messages as the extension does; anything at all may be sent. */
  async send(...messages: unknown[]): Promise<void> {
    for (const message of messages) {
      await this.page.evaluate((given) => (globalThis as unknown as PageWindow).postMessage(given, "*"), message);
    }
  }

  /** The first message of a type that fits, from number `after` on. */
  async next<Type extends ToExtension["type"]>(
    type: Type,
    fits: (message: Extract<ToExtension, { type: Type }>) => boolean = () => true,
    after = 0,
  ): Promise<Extract<ToExtension, { type: Type }>> {
    type Message = Extract<ToExtension, { type: Type }>;
    const find = () =>
      this.sent.slice(after).find((message): message is Message => message.type === type && fits(message as Message));
    const deadline = Date.now() + waitMs;
    for (;;) {
      const found = find();
      if (found) return found;
      if (Date.now() > deadline) {
        const seen = this.sent.map((message) => JSON.stringify(message).slice(0, 200)).join("\n");
        throw new Error(`No message ${type} that fits came within ${waitMs} ms, but:\n${seen}`);
      }
      await new Promise<void>((resolve) => {
        const done = () => {
          this.#waiters.delete(done);
          clearTimeout(timer);
          resolve();
        };
        const timer = setTimeout(done, 200);
        this.#waiters.add(done);
      });
    }
  }

  async keptState(): Promise<unknown> {
    return this.page.evaluate(() => (globalThis as unknown as PageWindow).keptState);
  }

  /** How many elements fit a selector; shadow trees are not looked into. */
  async count(selector: string): Promise<number> {
    return this.page.evaluate<number>(`document.querySelectorAll(${JSON.stringify(selector)}).length`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.close();
  }
}
