import { ensureChromium } from "../e2e/support/install.ts";

/** The browser is there before the first test wants it. */
export default async function setUp(): Promise<void> {
  await ensureChromium();
}
