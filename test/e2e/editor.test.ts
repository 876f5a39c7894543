import { describe, expect, it } from "vitest";
import { until } from "../support/home.ts";
import { RunPanel } from "./support/panels.ts";
import { useLab } from "./support/useLab.ts";

/**
 * What stands in editors: lenses and what stands for them in menus and the palette, over files good and bad, and the
 * marks of failed runs.
 */

const manyLines = Array.from(
  { length: 5_000 },
  (_, i) => `export function f${i}(n: number) {\n  // ${i}\n  return n;\n}\n`,
).join("");

const files = {
  "forms.ts": `export const arrow = (a: string) => a;
const local = async (b: number) => b;
export { local as renamed };
export default function () {}
export class Tools {
  static make(x: number) { return x; }
  other() {}
}
export type Only = string;
export const value = 3;
`,
  "view.tsx": "export function View(props: { title: string }) {\n  return <h1>{props.title}</h1>;\n}\n",
  "plain.cjs": "module.exports.old = function (a) { return a; };\n",
  "broken.ts": "export function good(a: number) {\n  return a;\n}\n\nexport function bad(b: number {\n",
  "types.d.ts": "export declare function none(a: string): void;\n",
  "huge.ts": manyLines,
  "min.js": `export function m(a){return a}${";m(1)".repeat(20_000)}\n`,
  "none.ts": "const inner = () => 1;\ninner();\n",
  "src/words.ts": "/** Doubles. */\nexport function double(x: number): number {\n  return 2 * x;\n}\n",
  "fails.ts": `export function first(): number {
  throw new RangeError("first went wrong");
}

export function second(): number {
  throw new RangeError("second went wrong");
}
`,
};

const opened = useLab({ files, settings: { "farcall.afterLaunch": "notification" } });

describe("lenses", () => {
  it("are there once the packed extension is installed", async () => {
    const { window } = opened;
    await window.openFile("src/words.ts");
    await window.waitForLens("Run remotely", { line: 2 });
    expect(await window.lenses()).toContain("Run remotely");
    expect(await window.notifications()).toEqual([]);
  });

  it("stand above every form of exported function, with a map where there is something to map", async () => {
    const { window } = opened;
    await window.openFile("forms.ts");
    await window.waitForLens("Map in parallel", { line: 1 });
    await window.waitForLens("Map in parallel", { line: 2 });
    await window.waitForLens("Run remotely", { line: 4 });
    await window.waitForLens("Map in parallel", { line: 6 });
    const titles = await window.lenses();
    expect(titles.filter((title) => title.includes("Run remotely"))).toHaveLength(4);
    expect(titles.filter((title) => title.includes("Map in parallel"))).toHaveLength(3);
  });

  it("are there in TSX and CommonJS", async () => {
    const { window } = opened;
    await window.openFile("view.tsx");
    await window.waitForLens("Run remotely", { line: 1 });
    await window.openFile("plain.cjs");
    await window.waitForLens("Run remotely", { line: 1 });
  });

  it("stay while the text has errors, and follow what is typed", async () => {
    const { window } = opened;
    await window.openFile("broken.ts");
    await window.waitForLens("Run remotely", { line: 1 });
    await window.page.keyboard.press("Control+Home");
    await window.page.keyboard.type("// one more line\n");
    await window.waitForLens("Run remotely", { line: 2 });
    await window.page.keyboard.press("Control+Z");
  });

  it("are left away from declarations, minified files and files that export no function", async () => {
    const { window } = opened;
    await window.openFile("forms.ts");
    await window.waitForLens("Run remotely");
    for (const name of ["types.d.ts", "min.js", "none.ts"]) {
      await window.openFile(name);
      // Nothing can be waited for: the lenses of another file have come and gone by the time this one is asked.
      await window.page.waitForTimeout(1_000);
      expect(await window.lenses(), name).toEqual([]);
    }
  });

  it("come for 20,000 lines", async () => {
    const { window } = opened;
    await window.openFile("huge.ts");
    await window.waitForLens("Run remotely", { line: 1 });
  });

  it("can be turned off, and the palette lists the functions of the file all the same", async () => {
    const { window } = opened;
    await window.openFile("forms.ts");
    await window.waitForLens("Run remotely");
    await window.changeSettings({ "farcall.codeLens.enabled": false });
    expect(
      await until(
        () => window.lenses(),
        (titles) => titles.length === 0,
      ),
    ).toEqual([]);
    await window.runCommand("Farcall: Run Function Remotely…");
    await window.quickInput.waitFor("Run which function?");
    expect(await window.quickInput.labels()).toEqual(["arrow", "renamed", "default", "Tools.make"]);
    await window.page.keyboard.press("Escape");
    await window.changeSettings({ "farcall.codeLens.enabled": true });
    await window.waitForLens("Run remotely");
  });

  it("have the same actions in the menu of the editor's title and of the right mouse button", async () => {
    const { window } = opened;
    const { page } = window;
    await window.openFile("forms.ts");
    const actions = page.locator(".editor-group-container.active .editor-actions");
    await actions
      .locator(
        ".monaco-dropdown-with-default .dropdown-action-container, .monaco-dropdown-with-primary .dropdown-action-container",
      )
      .first()
      .click();
    await page.locator(".monaco-menu .action-label", { hasText: "Map in Parallel" }).first().waitFor();
    await page.keyboard.press("Escape");
    await page.locator(".editor-group-container.active .view-line").first().click({ button: "right" });
    await page.locator(".monaco-menu .action-label", { hasText: "Map Function in Parallel" }).first().waitFor();
    await page.keyboard.press("Escape");
  });
});

describe("a failed run", () => {
  it("is marked without a panel, beside the marks of other functions, and a later window leaves it alone", async () => {
    const { lab, window } = opened;
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

  it("is told of where runs are not shown in panels, with a way to its panel", async () => {
    const { window } = opened;
    await window.runCommand("Notifications: Clear All Notifications");
    await window.openFile("fails.ts");
    await window.clickLens("Run remotely", { line: 5 });
    expect(await window.waitForNotification(/second failed/)).toMatch(/second went wrong/);
    await window.answerNotification(/second failed/, "Open Run");
    await (await RunPanel.open(window, "second")).waitForState(/failed/);
  });
});
