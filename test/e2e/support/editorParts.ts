import type { Frame, Locator, Page } from "playwright-core";
import { until } from "../../support/home.ts";

/** Parts of the window that take some finding: lenses by their line, and the document inside a webview. */
interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** The first webview of a window takes long on a busy machine. */
const waitMs = 90_000;
/** For what is looked at again and again: it may have gone since it was found, and would be waited for. */
const glanceMs = 1_000;

export interface LensPlace {
  /** The line that the lens stands above. */
  line?: number;
  /** Which of several, from the top of what is in sight. Default 0. */
  nth?: number;
}

/** Waits for a lens in the active editor. */
export async function findLens(page: Page, title: string, { line, nth = 0 }: LensPlace = {}): Promise<Locator> {
  const all = page.locator(".editor-group-container.active .codelens-decoration a", { hasText: title });
  if (line === undefined) {
    const lens = all.nth(nth);
    await lens.waitFor({ timeout: waitMs });
    return lens;
  }
  const found = await until(() => lensAbove(page, all, line), Boolean, waitMs).catch(() => undefined);
  if (!found) throw new Error(`No lens "${title}" came above line ${line}.`);
  return found;
}

async function lensAbove(page: Page, lenses: Locator, line: number): Promise<Locator | undefined> {
  const number = page
    .locator(".editor-group-container.active .margin-view-overlays .line-numbers")
    .filter({ hasText: new RegExp(`^${line}$`) })
    .first();
  const at = await boxOf(number);
  if (!at) return undefined;
  for (const lens of await lenses.all()) {
    const box = await boxOf(lens);
    if (box && box.y < at.y && at.y - box.y < 2 * at.height) return lens;
  }
  return undefined;
}

/** Waits for the document of the webview whose tab has this title, and which is in sight. */
export async function findWebview(page: Page, title: string): Promise<Frame> {
  // Behind a comma stands the group, where there are several.
  const labelled = (tab: string) => page.locator(`${tab}[aria-label="${title}"], ${tab}[aria-label^="${title},"]`);
  const tab = labelled(".tab").first();
  await tab.waitFor({ timeout: waitMs });
  await tab.click();
  const group = page.locator(".editor-group-container").filter({ has: labelled(".tab.active") });
  const area = group.locator(".editor-container").first();
  const found = await until(() => documentWithin(page, area), Boolean, waitMs).catch(() => undefined);
  if (!found) throw new Error(`The webview "${title}" showed no document.`);
  return found;
}

/** Webviews lie over the window, not in the editor they belong to. Undefined also for one that goes while it is looked at. */
export function documentWithin(page: Page, area: Locator): Promise<Frame | undefined> {
  return findDocument(page, area).catch(() => undefined);
}

async function findDocument(page: Page, area: Locator): Promise<Frame | undefined> {
  const outside = await boxOf(area);
  if (!outside) return undefined;
  for (const frame of await page.locator("iframe.webview:visible").all()) {
    const box = await boxOf(frame);
    if (!box || !within(outside, box)) continue;
    const outer = await (await frame.elementHandle({ timeout: glanceMs }))?.contentFrame();
    const inner = await (await outer?.$("#active-frame"))?.contentFrame();
    if (inner && (await inner.evaluate<string>("document.readyState").catch(() => "")) === "complete") return inner;
  }
  return undefined;
}

function within(outside: Box, inside: Box): boolean {
  const [x, y] = [inside.x + inside.width / 2, inside.y + inside.height / 2];
  return x > outside.x && x < outside.x + outside.width && y > outside.y && y < outside.y + outside.height;
}

function boxOf(locator: Locator): Promise<Box | null> {
  return locator.boundingBox({ timeout: glanceMs }).catch(() => null);
}
