import type { Locator, Page } from "playwright-core";

const askAgainMs = 3_000;
const openWithinMs = 20_000;

/** The box at the top of the window: commands, files, and what extensions ask there. */
export class QuickInput {
  readonly box: Locator;
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
    this.box = page.locator(".quick-input-widget");
  }

  /** Opens it with `text` in it: a file's name, or `>` and a command. */
  async open(text: string): Promise<void> {
    const untilMs = Date.now() + openWithinMs;
    for (;;) {
      await this.#page.keyboard.press("Escape");
      await this.#page.keyboard.press("F1");
      // A box that was open goes away a moment later, and takes what was typed with it.
      const isFilled = await this.field.fill(text, { timeout: 2_000 }).then(
        () => true,
        () => false,
      );
      if (isFilled || Date.now() > untilMs) return;
    }
  }

  /**
   * Opens it with `text` and picks the item with this label. Asks again while there is none, as what an extension
   * adds comes late and the list does not follow.
   */
  async choose(text: string, label: string, withinMs = 30_000): Promise<void> {
    const deadlineMs = Date.now() + withinMs;
    for (;;) {
      await this.open(text);
      const item = this.item(label).first();
      const isThere = await item.waitFor({ timeout: askAgainMs }).then(
        () => true,
        () => false,
      );
      const isPicked =
        isThere &&
        (await item.click({ timeout: askAgainMs }).then(
          () => true,
          () => false,
        ));
      if (isPicked) return;
      if (Date.now() > deadlineMs)
        throw new Error(`"${text}" offered no "${label}", only ${JSON.stringify(await this.labels())}.`);
    }
  }

  get field(): Locator {
    return this.box
      .locator("input[type=text]:visible, input[type=password]:visible, .quick-input-filter input:visible")
      .first();
  }

  /** Waits until it asks what its title, prompt or placeholder says. */
  async waitFor(text: string): Promise<void> {
    const placeholder = this.box.locator(`input[placeholder*="${text}"]:visible`);
    await this.box.getByText(text).or(placeholder).first().waitFor();
  }

  /** Types over what stands in the field; `accept` (default) also presses Enter. */
  async type(text: string, { accept = true }: { accept?: boolean } = {}): Promise<void> {
    await this.field.waitFor();
    await this.field.fill(text);
    if (accept) await this.field.press("Enter");
  }

  /** Picks the item with exactly this label, or the first one that matches. */
  async pick(label: string | RegExp): Promise<void> {
    await this.item(label).first().click();
  }

  item(label: string | RegExp): Locator {
    const exact = typeof label === "string" ? new RegExp(`^\\s*${escaped(label)}\\s*$`) : label;
    return this.box.locator(".monaco-list-row").filter({
      has: this.#page.locator(".label-name").filter({ hasText: exact }),
    });
  }

  /** The labels of the items in sight. */
  async labels(): Promise<string[]> {
    const texts = await this.box.locator(".monaco-list-row .label-name").allInnerTexts();
    return texts.map((text) => text.trim());
  }

  /** What it says below the field: a prompt, or why what was typed will not do. */
  async message(): Promise<string> {
    return (await this.box.locator(".quick-input-message").innerText()).trim();
  }
}

export function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
