/** What every queue behind the `MapQueue` port must do, whatever engine holds it. */
import { describe } from "vitest";
import { queueClaimTests } from "./queueClaimTests.ts";
import type { OpenQueue } from "./queueFixture.ts";
import { queueJobTests } from "./queueJobTests.ts";
import { queueOutcomeTests } from "./queueOutcomeTests.ts";
import { queueSettleTests, type SettleTestOptions } from "./queueSettleTests.ts";

export function queueConformance(engine: string, open: OpenQueue, options?: SettleTestOptions): void {
  describe(`the ${engine} queue`, () => {
    queueJobTests(open);
    queueClaimTests(open);
    queueSettleTests(open, options);
    queueOutcomeTests(open);
  });
}
