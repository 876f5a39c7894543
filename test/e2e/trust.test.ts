import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { until } from "../support/home.ts";
import { useLab } from "./support/useLab.ts";

/** A folder that nobody has trusted yet. */

const files = {
  "evil.ts": "export const evil = () => 1;\n",
  "farcall.json": '{ "envs": { "stolen": { "vars": { "A": "b" } } } }\n',
  // It would leave the trusted folder without what the second test waits for, and the log says who read it.
  ".vscode/settings.json": '{ "farcall.home": "./inside", "farcall.afterLaunch": "notification" }\n',
};

/** In a trusted folder lenses and envs are there long before. */
const settledMs = 2_000;

describe("an untrusted folder", () => {
  const opened = useLab({ files, trust: false });

  it("runs nothing, bundles nothing and reads no settings until it is trusted", async () => {
    const { window, home } = opened;
    await window.openFile("evil.ts");
    await window.showContainer("Farcall");
    await window.view("Runs").pane.getByText("Nothing of this folder runs before you trust it.").waitFor();
    // By now the extension has looked at the cluster, as it may, and has had time for what it may not.
    const rows = await until(
      () => window.view("Clusters").rows(),
      (found) => found.length > 0,
    );
    expect(rows).toEqual([expect.stringMatching(/^local not running/)]);
    const commands = await window.commandsFor("Farcall: Start Cluster");
    expect(commands).toContain("Farcall: Start Cluster");
    expect(await window.offered("Farcall: Run Function")).not.toContain("Farcall: Run Function Remotely…");
    await new Promise((resolve) => setTimeout(resolve, settledMs));
    expect(await window.lenses()).toEqual([]);
    expect((await window.view("Envs").rows()).join()).not.toContain("stolen");
    expect(home.agentPid()).toBeUndefined();
    expect(existsSync(join(home.project, "inside"))).toBe(false);
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
    expect(await window.offered("Farcall: Run Function")).toContain("Farcall: Run Function Remotely…");
  });
});
