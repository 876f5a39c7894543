import { defineConfig } from "vitest/config";

/** `npm run test:faults`: clusters of several machines whose parts die at random. Two at a time: most of it is waiting. */
export default defineConfig({
  test: {
    name: "faults",
    include: ["test/faults/**/*.test.ts"],
    globalSetup: "./test/lab/globalSetup.ts",
    reporters: ["default", "./test/support/closingLine.ts"],
    pool: "forks",
    maxWorkers: 2,
    // Longer than all that the invariants wait for, so that a failure says which of it did not come.
    testTimeout: 300_000,
    // Where nobody can try again by hand. What passed only then is named at the end.
    retry: process.env["CI"] ? 2 : 0,
    hookTimeout: 60_000,
  },
});
