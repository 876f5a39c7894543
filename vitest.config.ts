import { defineConfig } from "vitest/config";

const common = { testTimeout: 60_000, hookTimeout: 60_000, pool: "forks" } as const;
/** Where nobody can try again by hand. What passed only then is named at the end. */
const retry = process.env["CI"] ? 1 : 0;

export default defineConfig({
  test: {
    reporters: ["default", "./test/support/closingLine.ts"],
    projects: [
      {
        test: {
          ...common,
          name: "runtime",
          retry,
          include: ["test/unit/**/*.test.ts", "test/integration/**/*.test.ts"],
          globalSetup: "./test/lab/globalSetup.ts",
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // The pages of the extension's panels in a real browser.
        test: {
          ...common,
          name: "webview",
          retry,
          include: ["test/webview/**/*.test.ts"],
          globalSetup: "./test/webview/globalSetup.ts",
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // The extension in a real VS Code. Last and one at a time: a browser and an editor want both cores.
        test: {
          ...common,
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          globalSetup: "./test/e2e/support/globalSetup.ts",
          // A click can miss what a busy editor moves at that moment.
          retry: 2,
          testTimeout: 240_000,
          hookTimeout: 120_000,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
