import { defineConfig } from "vitest/config";

/** `npm run test:faults`: clusters of several machines whose parts die at random. One at a time, as each fills both cores. */
export default defineConfig({
  test: {
    name: "faults",
    include: ["test/faults/**/*.test.ts"],
    globalSetup: "./test/lab/globalSetup.ts",
    reporters: ["default", "./test/support/closingLine.ts"],
    pool: "forks",
    maxWorkers: 1,
    testTimeout: 120_000,
    hookTimeout: 60_000,
  },
});
