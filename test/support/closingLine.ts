import type { Reporter, TestModule } from "vitest/node";

/**
 * Ends a run with how many tests passed, failed and were skipped, alone on a line, for people and scripts alike. Those
 * that passed only when they were tried again are named before: each is a race, in a test or in what it tests.
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const count = { passed: 0, failed: errors.length, skipped: 0 };
    const again: string[] = [];
    for (const module of modules) {
      if (module.errors().length > 0) count.failed++;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "pending") count.failed++;
        else count[state]++;
        const retries = test.diagnostic()?.retryCount ?? 0;
        if (state === "passed" && retries > 0)
          again.push(`${module.relativeModuleId}: ${test.fullName} (try ${retries + 1})`);
      }
    }
    // The summary of the default reporter comes first.
    setImmediate(() => {
      if (again.length > 0) process.stdout.write(`\nPassed only when tried again:\n${again.join("\n")}\n`);
      process.stdout.write(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`);
    });
  }
}
