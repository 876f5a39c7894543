import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { farcallVersion } from "../../runtime/spec/version.ts";

test("the version in the code is that of the package", () => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  expect(farcallVersion).toBe(version);
});
