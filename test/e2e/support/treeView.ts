import type { Locator, Page } from "playwright-core";
import { until } from "../../support/home.ts";
import { escaped } from "./quickInput.ts";

/** A view with a tree in the side bar or the panel, by the name in its header. */
export class TreeView {
  readonly pane: Locator;
  readonly #page: Page;

  constructor(page: Page, name: string) {
    this.#page = page;
    this.pane = page.locator(".pane").filter({ has: page.locator(`.pane-header[aria-label^="${name}"]`) });
  }

  /** The row with exactly this label. */
  row(label: string | RegExp): Locator {
    const exact = typeof label === "string" ? new RegExp(`^\\s*${escaped(label)}\\s*$`) : label;
    return this.pane
      .getByRole("treeitem")
      .filter({ has: this.#page.locator(".label-name").filter({ hasText: exact }) })
      .first();
  }

  /** Every row in sight, with its description after its label. */
  async rows(): Promise<string[]> {
    const rows = await this.pane.locator(".monaco-list-row .monaco-icon-label-container").all();
    const texts = rows.map((row) => row.locator(".label-name, .label-description").allInnerTexts());
    return (await Promise.all(texts)).map((parts) => parts.join(" ").trim());
  }

  async click(label: string | RegExp): Promise<void> {
    await this.row(label).click();
  }

  /** Opens the children of a row that is closed. */
  async expand(label: string | RegExp): Promise<void> {
    const row = this.row(label);
    await row.waitFor();
    if ((await row.getAttribute("aria-expanded")) === "false") await row.locator(".monaco-tl-twistie").click();
  }

  /** Presses a button that shows while the pointer is on the row. */
  async inlineAction(label: string | RegExp, action: string): Promise<void> {
    const row = this.row(label);
    await row.hover();
    await row.locator(`.actions a.action-label[aria-label^="${action}"]`).click();
  }

  /** Chooses from the menu of the right mouse button. */
  async contextAction(label: string | RegExp, action: string): Promise<void> {
    await this.row(label).click({ button: "right" });
    await chooseFromMenu(this.#page, action);
  }

  /** Presses a button in the view's header. */
  async headerAction(action: string): Promise<void> {
    await this.pane.locator(".pane-header").hover();
    // A view that is alone in its container shows its buttons in the title of that.
    const own = this.pane.locator(`.pane-header a.action-label[aria-label^="${action}"]`);
    const title = this.#page.locator(`.composite.title a.action-label[aria-label^="${action}"]`);
    await own.or(title).locator("visible=true").first().click();
  }
}

/** Chooses from the menu that is open, which ignores the mouse for a moment after it came. */
export async function chooseFromMenu(page: Page, action: string): Promise<void> {
  const items = page.locator(".monaco-menu .action-item:not(.disabled)");
  const wanted = new RegExp(`^\\s*${escaped(action)}\\s*$`);
  const item = items.filter({ has: page.locator(".action-label").filter({ hasText: wanted }) }).first();
  await item.click();
  const isGone = await until(async () => {
    if (!(await item.isVisible())) return true;
    await item.click({ timeout: 500 }).catch(() => undefined);
    return false;
  }, Boolean).catch(() => false);
  if (!isGone) throw new Error(`The menu stayed open after a click on "${action}".`);
}
