import { describe, expect, it } from "vitest";
import { until } from "../support/home.ts";
import { useLab } from "./support/useLab.ts";

/** Lines that failed runs threw from. */

const files = {
  "fails.ts": `export function first(): number {
  throw new RangeError("first went wrong");
}

export function second(): number {
  throw new RangeError("second went wrong");
}
`,
};

describe("a failed run", () => {
  const opened = useLab({ files });

  it("is marked without a panel, beside the marks of other functions, and a later window leaves it alone", async () => {
    const { lab, window } = opened;
    await window.changeSettings({ "farcall.afterLaunch": "notification" });
    await window.openFile("fails.ts");
    await window.clickLens("Run remotely", { line: 1 });
    const problems = async (containing: RegExp) => (await window.problems(containing)).join("\n");
    expect(await problems(/first went wrong/)).not.toContain("second");
    await window.clickLens("Run remotely", { line: 5 });
    expect(await problems(/second went wrong/)).toContain("first went wrong");
    // The older of the two runs again: the other stays marked meanwhile and after.
    await window.openFile("fails.ts");
    await window.clickLens("Run remotely", { line: 1 });
    expect(await problems(/first went wrong/)).toContain("second went wrong");
    const other = await lab.open();
    await other.openFile("fails.ts");
    await other.showContainer("Farcall");
    await until(
      () => other.view("Runs").rows(),
      (rows) => rows.length === 3,
    );
    await other.view("Runs").click(/first/);
    await other.runCommand("Problems: Focus on Problems View");
    await other.page.getByText("No problems have been detected in the workspace.").waitFor();
    await other.page.close();
  });
});
