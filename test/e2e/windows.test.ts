import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { until } from "../support/home.ts";
import { NewerAgent } from "../support/newerAgent.ts";
import { Hurry } from "./support/hurry.ts";
import { closeEditors, LaunchForm, RunPanel } from "./support/panels.ts";
import { chooseFromMenu } from "./support/treeView.ts";
import { useLab } from "./support/useLab.ts";

/** Folders with odd names, many folders, two windows, an extension that is turned off, an agent of the future. */

const hurry = new Hurry();

const slow = `export async function slowly(n: number): Promise<number> {
  ${hurry.pause(50)}
  return n;
}
`;
const inputs = Array.from({ length: 1_600 }, (_, i) => `${i}\n`).join("");

describe("workspaces", () => {
  const opened = useLab({
    files: {
      "package.json": '{ "type": "module" }\n',
      "farcall.json": '{ "envs": { "default": { "replicas": 1 } } }\n',
    },
  });
  afterAll(() => hurry.end());

  it("may have spaces, quotes and other letters in their path", async () => {
    const { lab, home } = opened;
    const folder = join(dirname(home.project), `it's "my" wörk 文件 %20`);
    await mkdir(folder);
    await writeFile(join(folder, "package.json"), '{ "type": "module" }\n');
    await writeFile(
      join(folder, "hi there.ts"),
      'export const greeting = () => import.meta.dirname === undefined ? "" : "hi there";\n',
    );
    const window = await lab.open(folder);
    await window.openFile("hi there.ts");
    await window.clickLens("Run remotely");
    const run = await RunPanel.open(window, "greeting");
    await run.waitForState(/done/);
    await run.waitForText("hi there");
    await window.page.close();
  });

  it("may be several folders, each with its own envs", async () => {
    const { lab, home } = opened;
    const base = dirname(home.project);
    for (const name of ["one", "two"]) {
      await mkdir(join(base, name), { recursive: true });
      await writeFile(join(base, name, "package.json"), '{ "type": "module" }\n');
      await writeFile(join(base, name, `${name}.ts`), `export const ${name} = () => process.env["WHO"];\n`);
      await writeFile(
        join(base, name, "farcall.json"),
        JSON.stringify({ envs: { default: { vars: { WHO: `it is ${name}` }, replicas: 1 } } }),
      );
    }
    const workspace = join(base, "both.code-workspace");
    await writeFile(workspace, JSON.stringify({ folders: [{ path: "one" }, { path: "two" }] }));
    const window = await lab.open(workspace);
    for (const name of ["one", "two"]) {
      await window.openFile(`${name}.ts`);
      await window.clickLens("Run remotely");
      const run = await RunPanel.open(window, name);
      await run.waitForState(/done/);
      await run.waitForText(`it is ${name}`);
    }
    await window.showContainer("Farcall");
    const rows = await until(
      () => window.view("Envs").rows(),
      (found) => found.filter((row) => row.startsWith("Workspace")).length === 2,
    );
    expect(rows.filter((row) => row.startsWith("Workspace"))).toHaveLength(2);
    await window.page.close();
  });

  it("may be open in two windows, which both follow a run", async () => {
    const { lab, home, window } = opened;
    await home.write("slow.ts", slow);
    await home.write("inputs.jsonl", inputs);
    await closeEditors(window);
    const other = await lab.open();
    await other.showContainer("Farcall");
    await window.openFile("slow.ts");
    await window.clickLens("Map in parallel");
    const form = await LaunchForm.open(window, "Map slowly");
    await form.source(/^File:/, "inputs.jsonl");
    await form.waitForText(/1,600 inputs/);
    await form.submit();
    const run = await RunPanel.open(window, "slowly");
    await run.waitForState(/running/);
    await until(
      () => other.view("Runs").rows(),
      ([first = ""]) => first.startsWith("slowly"),
    );
    await other.page.bringToFront();
    await other.view("Runs").click("slowly");
    const same = await RunPanel.open(other, "slowly");
    await same.press("Cancel");
    await run.waitForState(/cancelled/);
    await same.waitForState(/cancelled/);
    await other.page.close();
  });

  it("say so when the agent is of a newer version and has work, and can shut it down", async () => {
    const { window, home } = opened;
    const folder = join(home.path, "local");
    const agent = home.agentPid();
    if (agent !== undefined) process.kill(agent, "SIGKILL");
    await until(
      () => home.agentPid(),
      (pid) => pid === undefined,
    );
    await using newer = await NewerAgent.start(folder);
    await closeEditors(window);
    await window.openFile("slow.ts");
    await window.clickLens("Run remotely");
    const form = await LaunchForm.open(window, "Run slowly");
    await form.fill(/^n\b/, "1");
    await form.submit();
    const said = await window.waitForNotification(/Cannot run slowly/);
    expect(said).toContain("Farcall 99.0.0");
    expect(said).toContain("3 runs are active");
    expect(said).not.toContain("farcall down");
    await window.showContainer("Farcall");
    await until(
      () => window.view("Clusters").rows(),
      ([first = ""]) => first.startsWith("local The agent of this cluster is of Farcall 99.0.0"),
    );
    expect(newer.process.signalCode).toBeNull();
    await window.answerNotification(/Cannot run slowly/, "Shut Down Cluster");
    await window.answerDialog("Shut Down");
    await until(
      () => newer.process.signalCode,
      (signal) => signal === "SIGTERM",
    );
    await until(
      () => window.view("Clusters").rows(),
      ([first = ""]) => first.startsWith("local not running"),
    );
  });

  it("may lose the extension in the middle of a run, which goes on and is found when it is back", async () => {
    const { window, home } = opened;
    const cluster = home.cluster();
    hurry.end();
    await closeEditors(window);
    await window.openFile("slow.ts");
    await window.clickLens("Map in parallel");
    const form = await LaunchForm.open(window, "Map slowly");
    await form.waitForText(/1,600 inputs/);
    await form.submit();
    const run = await RunPanel.open(window, "slowly");
    await run.waitForState(/running/);
    const newest = async () => (await cluster.runs.list({ limit: 1 }))[0];
    await window.runCommand("View: Show Extensions");
    const row = window.page.locator(".extension-list-item").filter({ hasText: "Farcall" }).first();
    const choose = async (action: string) => {
      await row.click({ button: "right" });
      await chooseFromMenu(window.page, action);
    };
    await choose("Disable");
    await window.page
      .getByText(/Restart Extensions|Reload Window/)
      .first()
      .click();
    await window.page.locator(".activitybar a[aria-label^=Farcall]").waitFor({ state: "hidden" });
    // It is gone, and the run is not over yet.
    expect(await newest()).toMatchObject({ state: "running" });
    hurry.begin();
    const done = await until(newest, (record) => record?.state === "done", 60_000);
    expect(done).toMatchObject({ done: 1_600 });
    await choose("Enable");
    await window.showContainer("Farcall");
    await until(
      () => window.view("Runs").rows(),
      ([first = ""]) => first.startsWith("slowly done"),
      45_000,
    );
    await window.view("Runs").click("slowly");
    const again = await RunPanel.open(window, "slowly");
    await again.waitForState(/done/);
    expect(await again.progress()).toEqual({ done: 1_600, of: 1_600, failed: 0 });
  });
});
