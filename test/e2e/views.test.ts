import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { isAlive, until } from "../support/home.ts";
import { closeEditors, LaunchForm, RunPanel } from "./support/panels.ts";
import { useLab } from "./support/useLab.ts";

/** The side bar: clusters, envs, runs, and what can be done there. */

const files = { "hello.ts": 'export const hello = () => "hello";\n' };

describe("the side bar", () => {
  const opened = useLab({ files });

  it("says what to do where there is nothing yet, and starts nothing by being looked at", async () => {
    const { window, home } = opened;
    await window.showContainer("Farcall");
    const rows = await until(
      () => window.view("Clusters").rows(),
      (found) => found.length > 0,
    );
    expect(rows[0]).toMatch(/^local not running/);
    await window.view("Runs").pane.getByText("No function has run yet.", { exact: false }).waitFor();
    await window.view("Envs").pane.getByText("Create an Env").waitFor();
    expect(home.agentPid()).toBeUndefined();
  });

  it("starts a cluster, shows what runs on it, and shuts it down", async () => {
    const { window, home } = opened;
    const clusters = window.view("Clusters");
    await clusters.inlineAction("local", "Start Cluster");
    await until(
      () => clusters.rows(),
      ([first = ""]) => first.startsWith("local up"),
    );
    expect(home.agentPid()).toBeDefined();
    await window.openFile("hello.ts");
    await window.clickLens("Run remotely");
    const run = await RunPanel.open(window, "hello");
    await run.waitForState(/done/);
    await window.showContainer("Farcall");
    await clusters.expand("local");
    await clusters.expand("this machine");
    const rows = await until(
      () => clusters.rows(),
      (found) => found.some((row) => row.startsWith("replica")),
    );
    expect(rows.find((row) => row.startsWith("replica"))).toMatch(/default · idle · \d+ MiB/);
    const runs = await until(
      () => window.view("Runs").rows(),
      ([first = ""]) => first.includes("done"),
    );
    expect(runs[0]).toMatch(/^hello done/);
    await clusters.contextAction("local", "Shut Down Cluster");
    await until(
      () => clusters.rows(),
      ([first = ""]) => first.includes("not running"),
    );
    expect(home.agentPid()).toBeUndefined();
    expect(await window.view("Runs").rows()).toHaveLength(1);
    await window.view("Runs").contextAction("hello", "Copy as Command");
    expect(await window.waitForNotification(/Cannot copy the run/)).toContain("The cluster is not running.");
    // The panel of the run is open and looks for it, as the view does when it is asked to.
    await window.view("Runs").headerAction("Refresh");
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    expect(home.agentPid()).toBeUndefined();
    await window.runCommand("Farcall: Shut Down Cluster");
    await window.waitForNotification("The cluster local is not running.");
  });

  it("leaves a cluster alone that was shut down under a map, until somebody wants it", async () => {
    const { window, home } = opened;
    await home.write("slow.ts", "export const slow = (n: number) => new Promise((r) => setTimeout(r, 100, n));\n");
    await home.write("inputs.jsonl", Array.from({ length: 2_000 }, (_, i) => `${i}\n`).join(""));
    await window.openFile("slow.ts");
    await window.clickLens("Map in parallel");
    const form = await LaunchForm.open(window, "Map slow");
    await form.source(/^File:/, "inputs.jsonl");
    await form.submit();
    let run = await RunPanel.open(window, "slow");
    await run.waitForState(/running/);
    await window.showContainer("Farcall");
    await window.statusBar("1 run").waitFor();
    await window.page.locator(".activitybar [role=tab] .badge:visible", { hasText: "1" }).first().waitFor();
    const agent = home.agentPid()!;
    await window.view("Clusters").inlineAction("local", "Shut Down Cluster");
    await window.answerDialog("Cancel Runs and Shut Down");
    await run.waitForText("The cluster is not running.");
    await window.statusBar("1 run").waitFor({ state: "hidden" });
    await window.reload();
    run = await RunPanel.open(window, "slow");
    await run.waitForText("The cluster is not running.");
    await run.waitForText("What is shown is what was last known.");
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(home.agentPid()).toBeUndefined();
    await run.press("Start cluster");
    await run.waitForState(/cancelled/);
    expect(home.agentPid()).not.toBe(agent);
    await closeEditors(window);
  });

  it("creates an env in farcall.json, checks what is written there, installs, rebuilds and removes it", async () => {
    const { window, home } = opened;
    await window.runCommand("Farcall: Create Env…");
    await window.quickInput.waitFor("A name");
    await window.quickInput.type("no good", { accept: false });
    await until(
      () => window.quickInput.message().catch(() => ""),
      (text) => /"no good"/.test(text),
    );
    await window.quickInput.type("default");
    const file = join(home.project, "farcall.json");
    await window.page.locator('.tab.active[data-resource-name="farcall.json"]').waitFor();
    await until(
      () => readFile(file),
      (text) => text.includes('"default"'),
    );
    await home.write(
      "farcall.json",
      '{ "envs": { "default": { "reqs": ["tiny-invariant@1.3.3"], "replicas": 1, "replica": 2 } } }\n',
    );
    expect((await window.problems(/replica is not allowed/)).join(" ")).toMatch(/replica is not allowed/);
    await home.write("farcall.json", '{ "envs": { "default": { "reqs": [], "replicas": 1 } } }\n');
    await window.showContainer("Farcall");
    await window.openFile("hello.ts");
    await window.clickLens("Run remotely");
    const run = await RunPanel.open(window, "hello");
    await run.waitForState(/done/);
    await window.showContainer("Farcall");
    const envs = window.view("Envs");
    const rows = await until(
      () => envs.rows(),
      (found) => found.some((row) => /^default .*ready/.test(row)),
    );
    expect(rows.join("\n")).toMatch(/Workspace farcall\.json[^]*default no packages · 1 replica · ready/);
    // What is declared is no longer what is installed.
    await home.write(
      "farcall.json",
      '{ "envs": { "default": { "reqs": ["tiny-invariant@1.3.3"], "replicas": 1 } } }\n',
    );
    await until(
      () => envs.rows(),
      (found) =>
        found.some((row) => row.startsWith("default 1 package · 1 replica · changed, installed at the next run")),
    );
    const worker = home.workerPids()[0]!;
    await envs.contextAction("default", "Rebuild Env");
    await until(
      () => isAlive(worker),
      (alive) => !alive,
    );
    await envs.contextAction("default", "Remove Installed Env");
    await window.answerDialog("Remove");
    await until(
      () => envs.rows(),
      (found) =>
        found.some((row) => /^default .*not installed yet/.test(row)) &&
        !found.some((row) => row.startsWith("Cluster")),
    );
  });

  it("creates an env beside what was typed and not saved, and refuses what it cannot read", async () => {
    const { window, home } = opened;
    const file = join(home.project, "farcall.json");
    await window.changeSettings({ "files.autoSave": "off" });
    await closeEditors(window);
    await home.write("farcall.json", "null\n");
    await window.runCommand("Farcall: Create Env…");
    expect(await window.waitForNotification(/Cannot create the env/)).toContain("has no object of envs");
    await home.write("farcall.json", "{}\n");
    await window.openFile("farcall.json");
    await until(
      () => window.editorText(),
      (text) => text.includes("{}"),
    );
    await window.page.keyboard.press("Control+Home");
    await window.page.keyboard.press("ArrowRight");
    await window.page.keyboard.type('"envs":{"typed":{}');
    await window.runCommand("Farcall: Create Env…");
    await window.quickInput.waitFor("A name");
    await window.quickInput.type("second");
    await until(
      () => window.editorText(),
      (text) => text.includes('"second"') && text.includes('"typed"'),
    );
    expect(readFile(file)).toBe("{}\n");
    await window.runCommand("File: Revert File");
    await closeEditors(window);
  });

  it("opens a terminal in which farcall is there", async () => {
    const { window, home } = opened;
    await window.view("Clusters").inlineAction("local", "Open Terminal");
    const terminal = window.page.locator(".terminal-wrapper.active textarea, .xterm-helper-textarea").first();
    await terminal.waitFor({ state: "attached" });
    const out = join(home.project, "said.txt");
    await until(
      async () => {
        await terminal.focus();
        await window.page.keyboard.type(`farcall run hello.ts#hello > '${out}'\n`);
        return until(
          () => readFile(out),
          (text) => text.includes("hello"),
          4_000,
        ).catch(() => "");
      },
      (text) => text.includes("hello"),
      20_000,
    );
    expect(readFile(out)).toBe('"hello"\n');
  });

  it("opens the walkthrough", async () => {
    const { window } = opened;
    await window.runCommand("Farcall: Open Walkthrough");
    await window.page.getByText("Run functions elsewhere, over many inputs").first().waitFor();
  });
});

function readFile(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
