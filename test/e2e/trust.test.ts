import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { until } from "../support/home.ts";
import { useLab } from "./support/useLab.ts";

/** A folder that nobody has trusted yet. */

const files = {
  "evil.ts":
    'import { writeFileSync } from "node:fs";\nwriteFileSync("ran.txt", "ran");\nexport const evil = () => 1;\n',
  "farcall.json": '{ "envs": { "stolen": { "vars": { "A": "b" } } } }\n',
  ".vscode/settings.json": '{ "farcall.home": "./inside" }\n',
};

describe("an untrusted folder", () => {
  const opened = useLab({ files, trust: false });

  it("runs nothing, bundles nothing and reads no settings until it is trusted", async () => {
    const { window, home } = opened;
    const isAsked = await window.dialog.waitFor({ timeout: 5_000 }).then(
      () => true,
      () => false,
    );
    if (isAsked) await window.answerDialog(/No, I don't trust/);
    await window.openFile("evil.ts");
    await window.showContainer("Farcall");
    await window.view("Runs").pane.getByText("Nothing of this folder runs before you trust it.").waitFor();
    expect(await window.lenses()).toEqual([]);
    expect((await window.view("Envs").rows()).join()).not.toContain("stolen");
    expect(home.agentPid()).toBeUndefined();
    expect(existsSync(join(home.project, "inside"))).toBe(false);
    await window.quickInput.open(">Farcall: Run Function");
    expect((await window.quickInput.labels()).filter((label) => label.includes("Run Function"))).toEqual([]);
    await window.page.keyboard.press("Escape");
  });

  it("has everything once it is trusted", async () => {
    const { window } = opened;
    await window.runCommand("Workspaces: Manage Workspace Trust");
    await window.page.getByRole("button", { name: "Trust", exact: true }).first().click();
    await window.openFile("evil.ts");
    await window.waitForLens("Run remotely");
    const rows = await until(
      () => window.view("Envs").rows(),
      (found) => found.length > 0,
    );
    expect(rows.join()).toContain("stolen");
  });
});
