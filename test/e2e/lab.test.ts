import { describe, expect, it } from "vitest";
import { useLab } from "./support/useLab.ts";

const lab = useLab({
  files: {
    "src/words.ts": "/** Doubles. */\nexport function double(x: number): number {\n  return 2 * x;\n}\n",
  },
});

describe("the packed extension in VS Code", () => {
  it("is installed and offers to run an exported function", async () => {
    await lab.window.openFile("src/words.ts");
    await lab.window.waitForLens("Run remotely", { line: 2 });
    expect(await lab.window.lenses()).toContain("Run remotely");
    expect(await lab.window.notifications()).toEqual([]);
  });
});
