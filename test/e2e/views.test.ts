import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { until } from "../support/home.ts";
import { RunPanel } from "./support/panels.ts";
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
      ([first = ""]) => first.includes("up"),
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
    await clusters.inlineAction("local", "Shut Down Cluster");
    await until(
      () => clusters.rows(),
      ([first = ""]) => first.includes("not running"),
    );
    expect(home.agentPid()).toBeUndefined();
    expect(await window.view("Runs").rows()).toHaveLength(1);
  });

  it("creates an env in farcall.json, checks what is written there, installs and rebuilds it", async () => {
    const { window, home } = opened;
    await window.runCommand("Farcall: Create Env…");
    await window.quickInput.waitFor("A name");
    await window.quickInput.type("no good", { accept: false });
    expect(
      await until(
        () => window.quickInput.message().catch(() => ""),
        (text) => /name/i.test(text),
      ),
    ).toMatch(/name/i);
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
        );
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
