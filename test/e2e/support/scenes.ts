import { until } from "../../support/home.ts";
import { ClusterPanel, closeEditors, LaunchForm, RunPanel } from "./panels.ts";
import type { EditorWindow } from "./window.ts";

/** What pictures show: a name, and how to get there in a window on `sceneProject`. In this order, in one window. */
export const scenes: Record<string, (window: EditorWindow) => Promise<void>> = {
  welcome: async (window) => {
    await window.showContainer("Farcall");
    await window.view("Runs").pane.getByText("No function has run yet", { exact: false }).waitFor();
  },
  walkthrough: async (window) => {
    await window.runCommand("Farcall: Open Walkthrough");
    await window.page.getByText("Run functions elsewhere, over many inputs").first().waitFor();
  },
  lenses: async (window) => {
    await startAfresh(window);
    await window.openFile("statistics.ts");
    await window.waitForLens("Map in parallel", { line: 18 });
  },
  "launch-call": async (window) => {
    await startAfresh(window);
    await window.openFile("statistics.ts");
    await goTo(window, 30);
    await window.clickLens("Run remotely", { line: 30 });
    const form = await LaunchForm.open(window, "Run summary");
    await form.fill(/^title/, "November");
    await form.fill(/^limit/, "many");
    await form.waitForText(/not a number/i);
  },
  "run-call-result": async (window) => {
    const form = await LaunchForm.open(window, "Run summary");
    await form.fill(/^limit/, "3");
    await form.choose(/^style/, "short");
    await form.frame.getByRole("checkbox").first().click();
    await form.fill(/^options/, '{"tags": ["monthly", "draft"]}');
    await form.submit();
    const run = await RunPanel.open(window, "summary");
    await run.waitForState(/done/);
    await run.waitForText(/November/);
  },
  "run-call-failed": async (window) => {
    await startAfresh(window);
    await window.openFile("broken.ts");
    await window.clickLens("Run remotely");
    const form = await LaunchForm.open(window, "Run total");
    await form.fill(/^json/, "{}");
    await form.submit();
    const run = await RunPanel.open(window, "total");
    await run.waitForState(/failed/);
    await run.waitForText(/TypeError/);
  },
  problems: async (window) => {
    await window.problems(/reading 'reduce'/);
  },
  "launch-map": async (window) => {
    await window.hidePanel();
    await startAfresh(window);
    await window.openFile("statistics.ts");
    await window.clickLens("Map in parallel", { line: 18 });
    const form = await LaunchForm.open(window, "Map statistics");
    await form.source(/^File:/, "texts.jsonl");
    await form.waitForText(/4,000 inputs/);
  },
  sidebar: async (window) => {
    const form = await LaunchForm.open(window, "Map statistics");
    await form.submit();
    const run = await RunPanel.open(window, "statistics");
    await until(
      () => run.progress(),
      ({ done }) => done > 800,
      40_000,
    );
    await window.showContainer("Farcall");
    await window.view("Clusters").expand("local");
    await window.view("Clusters").expand("this machine");
    await run.press("Pause");
    await run.waitForState(/paused/);
  },
  "run-map-results": async (window) => {
    const run = await RunPanel.open(window, "statistics");
    await run.press("Resume");
    await run.waitForState(/done/, 60_000);
    await run.tab("Results");
    await run.waitForRows((rows) => rows.length > 10);
  },
  "run-map-detail": async (window) => {
    const run = await RunPanel.open(window, "statistics");
    await run.frame.getByRole("row").nth(4).click();
    await run.frame.getByRole("tree").waitFor();
  },
  "run-map-failures": async (window) => {
    const run = await RunPanel.open(window, "statistics");
    await run.tab("Failures");
    await run.waitForText(/RangeError/);
  },
  "run-map-logs": async (window) => {
    const run = await RunPanel.open(window, "statistics");
    await run.tab("Logs");
    await run.waitForRows((rows) => rows.length > 3);
  },
  "run-map-activity": async (window) => {
    const run = await RunPanel.open(window, "statistics");
    await run.tab("Activity");
    await run.frame.locator("canvas").first().waitFor();
  },
  cluster: async (window) => {
    await closeEditors(window);
    await window.view("Clusters").click("local");
    const panel = await ClusterPanel.open(window, "local");
    await panel.waitForCharts(2);
  },
};

/** Those with a cluster `lab` of two machines, which is up and has worked. They come behind the others. */
export const machineScenes: typeof scenes = {
  machines: async (window) => {
    await closeEditors(window);
    await window.showContainer("Farcall");
    const clusters = window.view("Clusters");
    await clusters.expand("lab");
    await clusters.click("lab");
    const panel = await ClusterPanel.open(window, "lab");
    await panel.waitForCharts(4);
  },
  "launch-map-on-several": async (window) => {
    await startAfresh(window);
    await window.openFile("statistics.ts");
    await window.clickLens("Map in parallel", { line: 18 });
    const form = await LaunchForm.open(window, "Map statistics");
    await form.frame.getByRole("checkbox", { name: "lab" }).click();
  },
  "run-map-on-several": async (window) => {
    const form = await LaunchForm.open(window, "Map statistics");
    await form.submit();
    const run = await RunPanel.open(window, "statistics");
    await run.waitForState(/done/, 90_000);
    await run.waitForText(/Done on lab/);
  },
};

/** Scenes that end when another command is given, such as one that changes the theme: Escape comes before it. */
export const passingScenes: ReadonlySet<string> = new Set(["walkthrough", "run-map-detail"]);

/** Scenes of the README, of which pictures in a dark and a light theme are kept in `media/screenshots`. */
export const readmeScenes: ReadonlySet<string> = new Set(["lenses", "launch-map", "sidebar", "run-map-results"]);

async function startAfresh(window: EditorWindow): Promise<void> {
  await closeEditors(window);
}

async function goTo(window: EditorWindow, line: number): Promise<void> {
  await window.quickInput.open(`:${line}`);
  await window.page.keyboard.press("Enter");
}
