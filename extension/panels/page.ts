import { randomBytes } from "node:crypto";
import * as v from "valibot";
import * as vscode from "vscode";
import { toExtension, type ToExtension } from "../../webview/messages/toExtension.ts";
import type { ToPage } from "../../webview/messages/toPage.ts";
import type { Farcall } from "../farcall.ts";
import { pageHtml } from "./pageHtml.ts";

/**
 * A page in a webview: its HTML, and messages that are checked on arrival. Messages to a page that is not there (hidden, or still loading) are dropped; when
 * it says `ready`, `onReady` sends everything anew.
 */
export type PageKind = "run" | "launch" | "cluster";

export class Page implements vscode.Disposable {
  readonly panel: vscode.WebviewPanel;
  readonly #farcall: Farcall;
  readonly #listening: vscode.Disposable;
  #isReady = false;

  constructor(
    farcall: Farcall,
    panel: vscode.WebviewPanel,
    kind: PageKind,
    handle: { onReady: () => void; onMessage: (message: ToExtension) => unknown },
  ) {
    this.#farcall = farcall;
    this.panel = panel;
    const folder = pageFolder(farcall);
    panel.webview.options = { enableScripts: true, localResourceRoots: [folder] };
    const media = vscode.Uri.joinPath(farcall.context.extensionUri, "media");
    panel.iconPath = {
      light: vscode.Uri.joinPath(media, "farcall-light.svg"),
      dark: vscode.Uri.joinPath(media, "farcall-dark.svg"),
    };
    this.#listening = vscode.Disposable.from(
      panel.webview.onDidReceiveMessage((given: unknown) => {
        const parsed = v.safeParse(toExtension, given);
        if (!parsed.success) {
          farcall.log.warn(`A message of the ${kind} page was not understood: ${parsed.issues[0].message}`);
          return;
        }
        if (parsed.output.type === "ready") {
          this.#isReady = true;
          this.post({ type: "start", locale: vscode.env.language, strings: strings() });
          handle.onReady();
        } else handle.onMessage(parsed.output);
      }),
      panel.onDidChangeViewState(() => {
        if (!panel.visible) this.#isReady = false;
      }),
    );
    panel.webview.html = html(panel.webview, folder, kind);
  }

  get isShown(): boolean {
    return this.#isReady;
  }

  post(message: ToPage): void {
    void this.deliver(message);
  }

  /** Resolves when the page has been handed the message, at once when there is no page. */
  async deliver(message: ToPage): Promise<void> {
    if (!this.#isReady) return;
    try {
      await this.panel.webview.postMessage(message);
    } catch (error) {
      this.#farcall.log.debug(`A message was not taken: ${String(error)}`);
    }
  }

  dispose(): void {
    this.#listening.dispose();
  }
}

function pageFolder(farcall: Farcall): vscode.Uri {
  return vscode.Uri.joinPath(farcall.context.extensionUri, "dist", "webview");
}

function strings(): Extract<ToPage, { type: "start" }>["strings"] {
  return vscode.l10n.bundle ?? null;
}

function html(webview: vscode.Webview, folder: vscode.Uri, kind: PageKind): string {
  const at = (name: string) => webview.asWebviewUri(vscode.Uri.joinPath(folder, name)).toString();
  return pageHtml({
    source: webview.cspSource,
    style: at(`${kind}.css`),
    script: at(`${kind}.js`),
    nonce: randomBytes(18).toString("base64"),
    language: vscode.env.language,
  });
}
