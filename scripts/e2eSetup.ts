/** `node scripts/e2eSetup.ts`: installs what the tests of the extension need beside the checkout, where it is missing. */
import { ensureChromium, ensureCodeServer } from "../test/e2e/support/install.ts";

process.stdout.write(`Browser: ${await ensureChromium()}\n`);
process.stdout.write(`Editor:  ${await ensureCodeServer()}\n`);
