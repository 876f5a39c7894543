import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { BrowserContext, Frame, Locator, Page } from "playwright-core";
import { until } from "../../support/home.ts";
import { documentWithin, findLens, findWebview, type LensPlace } from "./editorParts.ts";
import { QuickInput } from "./quickInput.ts";
import { TreeView } from "./treeView.ts";

/** The four themes that everything has to be legible in: their labels, and the class that VS Code marks each with. */
export const themes = {
  "Default Dark Modern": { label: "Dark Modern", mark: "dark_modern-json" },
  "Default Light Modern": { label: "Light Modern", mark: "light_modern-json" },
  "Default High Contrast": { label: "Dark High Contrast", mark: "hc_black-json" },
  "Default High Contrast Light": { label: "Light High Contrast", mark: "hc_light-json" },
} as const;

export type Theme = keyof typeof themes;

const waitMs = 45_000;
const answerMs = 3_000;

/** A window of VS Code in a browser, for tests that do what a person does. Everything waits for what it needs. */
export class EditorWindow {
  readonly page: Page;
  readonly quickInput: QuickInput;
  readonly #settings: (changed: Record<string, unknown>) => Promise<void>;

  /** `settings` changes settings of the project. */
  private constructor(page: Page, settings: (changed: Record<string, unknown>) => Promise<void>) {
    this.page = page;
    this.quickInput = new QuickInput(page);
    this.#settings = settings;
  }

  static async open(
    context: BrowserContext,
    address: string,
    settings: (changed: Record<string, unknown>) => Promise<void>,
  ): Promise<EditorWindow> {
    const page = await context.newPage();
    page.setDefaultTimeout(waitMs);
    const window = new EditorWindow(page, settings);
    await page.goto(address);
    await window.#ready();
    return window;
  }

  async #ready(): Promise<void> {
    await this.page.locator(".monaco-workbench .part.editor").waitFor({ timeout: 60_000 });
    await this.page.locator(".explorer-folders-view, .part.sidebar").first().waitFor();
  }

  /** Loads the window again. */
  async reload(): Promise<void> {
    await Promise.all([this.page.waitForEvent("load"), this.runCommand("Developer: Reload Window")]);
    await this.#ready();
  }

  /** Opens a file by its path in the project. */
  async openFile(path: string): Promise<void> {
    const name = path.split("/").at(-1) ?? path;
    await this.quickInput.choose(path, name);
    await this.page.locator(`.editor-group-container.active .tab.active[data-resource-name="${name}"]`).waitFor();
    await this.page.locator(".editor-group-container.active .view-lines").first().waitFor();
  }

  /** Runs a command by exactly the title that the palette shows, category included. */
  async runCommand(title: string): Promise<void> {
    await this.quickInput.choose(`>${title}`, title);
  }

  /** The titles that the palette offers for what was typed, none included. */
  async offered(text: string): Promise<string[]> {
    await this.quickInput.open(`>${text}`);
    await this.quickInput.item(/./).first().waitFor();
    const titles = await this.quickInput.labels();
    await this.page.keyboard.press("Escape");
    return titles;
  }

  /** The titles that the palette offers for what was typed, once one of them contains it. */
  async commandsFor(text: string): Promise<string[]> {
    const titles = await until(
      async () => {
        await this.quickInput.open(`>${text}`);
        await this.quickInput.item(/./).first().waitFor();
        return this.quickInput.labels();
      },
      (labels) => labels.some((label) => label.includes(text)),
    );
    await this.page.keyboard.press("Escape");
    return titles;
  }

  async waitForLens(title: string, place?: LensPlace): Promise<void> {
    await findLens(this.page, title, place);
  }

  async clickLens(title: string, place?: LensPlace): Promise<void> {
    await (await findLens(this.page, title, place)).click();
  }

  /** The titles of the lenses in sight, from the top. */
  async lenses(): Promise<string[]> {
    return this.page.locator(".editor-group-container.active .codelens-decoration a").allInnerTexts();
  }

  /** Gives editors the room of problems and terminals. */
  async hidePanel(): Promise<void> {
    if (await this.page.locator(".part.panel").isVisible()) await this.runCommand("View: Hide Panel");
  }

  /** Shows the container with this title from the activity bar. */
  async showContainer(title: string): Promise<void> {
    const tab = this.page
      .locator(".activitybar [role=tab]")
      .filter({ has: this.page.locator(`a[aria-label^="${title}"]`) })
      .first();
    await tab.waitFor();
    const isSelected = async () => (await tab.getAttribute("aria-selected")) === "true";
    // A window that was just loaded may be about to show it, and a click then hides it.
    await until(async () => {
      if (await isSelected()) return true;
      await tab.click();
      return until(isSelected, Boolean, answerMs).catch(() => false);
    }, Boolean);
  }

  view(name: string): TreeView {
    return new TreeView(this.page, name);
  }

  /** The document of a webview panel, brought to the front. */
  webview(title: string): Promise<Frame> {
    return findWebview(this.page, title);
  }

  /** The document of a webview that is a view of the side bar or the panel. */
  async webviewView(name: string): Promise<Frame> {
    const found = await until(() => documentWithin(this.page, this.view(name).pane), Boolean, waitMs).catch(
      () => undefined,
    );
    if (!found) throw new Error(`The view "${name}" showed no document.`);
    return found;
  }

  /** The notification that contains `text`. */
  notification(text: string | RegExp): Locator {
    return this.page.locator(".notification-toast").filter({ hasText: text }).first();
  }

  async waitForNotification(text: string | RegExp): Promise<string> {
    const notification = this.notification(text);
    await notification.waitFor();
    return (await notification.locator(".notification-list-item-message").innerText()).trim();
  }

  async notifications(): Promise<string[]> {
    return this.page.locator(".notification-toast .notification-list-item-message").allInnerTexts();
  }

  /** A click can fall beside one that moves because another goes away. */
  async answerNotification(text: string | RegExp, button: string): Promise<void> {
    const notification = this.notification(text);
    await notification.waitFor();
    const isAnswered = async () => {
      await notification.getByRole("button", { name: button, exact: true }).click({ timeout: answerMs });
      await notification.waitFor({ state: "hidden", timeout: answerMs });
      return true;
    };
    await until(() => isAnswered().catch(() => notification.isHidden()), Boolean);
  }

  /** The dialog in the middle of the window, which waits for an answer. */
  get dialog(): Locator {
    return this.page.locator(".monaco-dialog-box");
  }

  async answerDialog(button: string | RegExp): Promise<void> {
    await this.dialog.getByRole("button", { name: button }).click();
    await this.dialog.waitFor({ state: "hidden" });
  }

  /** The item of the status bar that contains `text`. */
  statusBar(text: string | RegExp): Locator {
    return this.page.locator(".part.statusbar .statusbar-item").filter({ hasText: text }).first();
  }

  /** The lines of the active editor in sight. */
  async editorText(): Promise<string> {
    const lines = this.page.locator(".editor-group-container.active .view-lines .view-line");
    const placed = await lines.evaluateAll((found) =>
      found.map((line) => ({ top: line.getBoundingClientRect().top, text: line.textContent ?? "" })),
    );
    return placed
      .sort((a, b) => a.top - b.top)
      .map(({ text }) => text.replaceAll("\u00a0", " "))
      .join("\n");
  }

  /** The line and the name of the file that the cursor is in. */
  async cursor(): Promise<{ file: string; line: number }> {
    const place = await this.statusBar(/Ln \d+, Col \d+/).innerText();
    const file = await this.page
      .locator(".editor-group-container.active .tab.active")
      .first()
      .getAttribute("data-resource-name");
    return { file: file ?? "", line: Number(/Ln (\d+)/.exec(place)?.[1]) };
  }

  /** What the Problems view lists, files and problems, once it lists anything that matches. */
  async problems(containing: string | RegExp): Promise<string[]> {
    await this.runCommand("Problems: Focus on Problems View");
    const rows = this.page.locator(".markers-panel [role=treeitem]");
    await rows.filter({ hasText: containing }).first().waitFor();
    return (await rows.allInnerTexts()).map((text) => text.replaceAll(/\s+/g, " ").trim());
  }

  async setTheme(theme: Theme): Promise<void> {
    const { label, mark } = themes[theme];
    await this.runCommand("Preferences: Color Theme");
    await this.quickInput.type(label, { accept: false });
    await this.quickInput.pick(label);
    await this.page.locator(`.monaco-workbench[class*="${mark}"]`).waitFor();
    await this.quickInput.box.waitFor({ state: "hidden" });
  }

  /** Changes settings of the project, which apply at once. */
  changeSettings(changed: Record<string, unknown>): Promise<void> {
    return this.#settings(changed);
  }

  async screenshot(path: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true });
    await this.page.screenshot({ path, animations: "disabled", caret: "hide" });
  }
}
