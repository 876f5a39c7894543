import { afterAll, beforeAll, describe } from "vitest";
import { Lab } from "./lab.ts";
import { unusable } from "./tools.ts";

/**
 * Tests on simulated machines, with a lab of their own. Where there can be none they are left out and say why; in CI
 * that is a failure.
 */
export function describeInLab(name: string, tests: (lab: () => Lab) => void): void {
  const reason = unusable();
  if (reason !== undefined) {
    if (process.env["CI"]) throw new Error(`There can be no simulated machines: ${reason}.`);
    describe.skip(`${name} (left out, as there can be no simulated machines: ${reason})`, () => tests(notThere));
    return;
  }
  describe(name, () => {
    let lab: Lab | undefined;
    beforeAll(async () => {
      lab = await Lab.start();
    });
    afterAll(() => lab?.[Symbol.asyncDispose]());
    tests(() => lab ?? notThere());
  });
}

function notThere(): never {
  throw new Error("The lab is there while tests run, not while they are collected.");
}
