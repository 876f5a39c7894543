import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ToExtension } from "../../webview/messages/toExtension.ts";
import { answers, connection, failures, node, run, start, timeline } from "./data.ts";
import { PageLab, type Panel } from "./page.ts";

let lab: PageLab;
beforeAll(async () => void (lab = await PageLab.create()));
afterAll(async () => lab[Symbol.asyncDispose]());

const live = { state: "running", endedAtMs: null } as const;

async function press(panel: Panel, name: string): Promise<ToExtension | undefined> {
  const after = panel.sent.length;
  await panel.page.getByRole("button", { name, exact: true }).click();
  const asked = () => panel.sent.slice(after).find(({ type }) => type !== "getRows");
  await expect.poll(asked).toBeDefined();
  return asked();
}

describe("the head of a run", () => {
  it("says how far the run is, in words and as a progress bar", async () => {
    await using panel = await lab.open("run", { answer: answers(10) });
    const now = { ...live, done: 1_234, failed: 3, ratePerSecond: 100, active: 8, createdAtMs: Date.now() - 65_000 };
    await panel.send(start, run(now));
    const { page } = panel;
    await page.getByText("1,234 of 10,000 · 3 failed").waitFor();
    const bar = page.getByRole("progressbar", { name: "Progress" });
    expect(await bar.getAttribute("aria-valuenow")).toBe("12");
    expect(await bar.getAttribute("aria-valuetext")).toBe("12%, 1,234 of 10,000 · 3 failed");
    const facts = (await page.locator(".facts").innerText()).replaceAll("\n", " ");
    expect(facts).toMatch(/Elapsed 1 min [5-9] s/);
    expect(facts).toContain("Rate 100 inputs/s");
    expect(facts).toContain("Remaining about 1 min 28 s");
    expect(facts).toContain("Cost $0.00");
    await panel.send(run({ ...now, costUsd: 0.0421 }));
    await page.getByText("$0.0421").waitFor();
    await panel.send(run({ ...now, state: "done", endedAtMs: Date.now(), done: 10_000, ratePerSecond: 153.8 }));
    await page.getByText("Average rate").waitFor();
    expect((await page.locator(".facts").innerText()).replaceAll("\n", " ")).toMatch(
      /Average rate 154 inputs\/s (?!Remaining)/,
    );
  });

  it("says what other clusters did of a map, and where one belongs that this cluster helped with", async () => {
    await using panel = await lab.open("run", { answer: answers(10) });
    const guests = [
      { cluster: "lab", done: 3_112 },
      { cluster: "big", done: 7 },
    ];
    await panel.send(start, run({ guests }));
    const facts = async () => (await panel.page.locator(".facts").innerText()).replaceAll("\n", " ");
    await expect.poll(facts).toContain("Cluster local Done on lab 3,112 Done on big 7");
    await panel.send(run({ cluster: "lab", home: "local" }));
    await expect.poll(facts).toMatch(/Cluster lab Belongs to local$/);
  });

  it("offers what can be done in each state, and asks for it", async () => {
    await using panel = await lab.open("run", { answer: answers(10) });
    await panel.send(start, run(live, false));
    await panel.page.getByText("Running", { exact: true }).waitFor();
    expect(await panel.page.getByRole("button", { name: "Run again" }).count()).toBe(0);
    expect(await press(panel, "Pause")).toEqual({ type: "control", to: "pause" });
    expect(await press(panel, "Cancel")).toEqual({ type: "control", to: "cancel" });
    await panel.send(run({ ...live, state: "paused" }));
    expect(await press(panel, "Resume")).toEqual({ type: "control", to: "resume" });
    await panel.send(run({ state: "interrupted", endedAtMs: null }));
    await panel.page.getByText("Interrupted", { exact: true }).waitFor();
    expect(await press(panel, "Cancel")).toEqual({ type: "control", to: "cancel" });
    await panel.send(run());
    expect(await press(panel, "Run again")).toEqual({ type: "repeat" });
    expect(await panel.page.getByRole("button", { name: "Cancel" }).count()).toBe(0);
    expect(await press(panel, "Copy as script")).toEqual({ type: "copyAs", what: "script" });
    expect(await press(panel, "Copy as command")).toEqual({ type: "copyAs", what: "command" });
    expect(await press(panel, "src/words.ts#wordCounts")).toEqual({ type: "openSource" });
  });

  it("announces changes of the state, and neither the first one nor each step", async () => {
    await using panel = await lab.open("run", { answer: answers(10) });
    const said = () => panel.page.locator("[aria-live=polite]").textContent();
    await panel.send(start, run({ ...live, done: 5 }), run({ ...live, done: 6 }));
    await panel.page.getByText("6 of 10,000 · 3 failed").waitFor();
    expect(await said()).toBe("");
    await panel.send(run());
    await expect.poll(said).toBe("Done: 10,000 of 10,000 · 3 failed");
  });

  it("warns when the cluster is away and shows why a run failed", async () => {
    await using panel = await lab.open("run", { answer: answers(10) });
    const error = { message: "The module did not load.", hint: "Check its imports." };
    await panel.send(start, run({ state: "failed", error }));
    await panel.send(connection({ text: "The cluster is not running.", action: "start" }));
    await panel.page.getByText("What is shown is what was last known.").waitFor();
    await panel.page.getByText("Check its imports.").waitFor();
    expect(await press(panel, "Start cluster")).toEqual({ type: "connect", start: true });
    await panel.send(connection(null));
    await panel.page.getByText("The cluster is not running.").waitFor({ state: "hidden" });
  });

  it("says why nothing is known of the run, and keeps which one it is", async () => {
    await using panel = await lab.open("run", { answer: answers(10) });
    await panel.send(start, connection(null));
    await panel.page.getByText("Reading the run…").waitFor();
    expect(await panel.keptState()).toMatchObject({ run: "r-1", cluster: "local" });
    await panel.send(connection({ text: "The cluster does not know this run any more.", action: "retry" }));
    await panel.page.getByText("The cluster does not know this run any more.").waitFor();
    expect(await panel.page.getByText("last known").count()).toBe(0);
    expect(await press(panel, "Retry")).toEqual({ type: "connect", start: false });
  });

  it("says that it shows what was kept of a run whose cluster is no more", async () => {
    await using panel = await lab.open("run", { answer: answers(10) });
    const note = "What is shown was kept on this computer.";
    await panel.send(start, run(), connection({ text: "The cluster was shut down.", note, action: null }));
    const strip = panel.page.locator(".connection");
    await strip.getByText(note).waitFor();
    expect(await strip.getByText("last known").count()).toBe(0);
    expect(await strip.getByRole("button").count()).toBe(0);
    await panel.page.getByText("https://example.test/0", { exact: true }).waitFor();
  });

  it("is in the language of the strings it is sent", async () => {
    await using panel = await lab.open("run", { answer: answers(10) });
    const strings = { Done: "Fertig", "{0} of {1}": { message: "{0} von {1}" } };
    await panel.send({ type: "start", locale: "de", strings }, run({ failed: 0 }));
    await panel.page.getByText("Fertig").waitFor();
    await panel.page.getByText("10.000 von 10.000").waitFor();
  });
});

describe("the tabs", () => {
  it("are walked with the arrow keys, and the chosen one is shown when the page comes back", async () => {
    await using panel = await lab.open("run", { answer: answers(10) });
    await panel.send(start, run(), { type: "timeline", timeline });
    await panel.page.getByRole("tab", { name: "Results" }).focus();
    await panel.page.keyboard.press("ArrowRight");
    await panel.page.getByText("Reading what failed…").waitFor();
    await panel.page.keyboard.press("End");
    await panel.page.getByText("On average 168 inputs/s").waitFor();
    expect(await panel.page.getByRole("tab", { name: "Activity" }).getAttribute("aria-selected")).toBe("true");
    expect(await panel.page.getByRole("img", { name: /Replica 2 was busy \d+% of the time/ }).count()).toBe(1);
    const kept = await panel.keptState();
    await using again = await lab.open("run", { state: kept, answer: answers(10) });
    await again.send(start, run(), { type: "timeline", timeline });
    await again.page.getByText("On average 168 inputs/s").waitFor();
  });

  it("draw their charts anew in the colours of another theme", async () => {
    await using panel = await lab.open("run", { answer: answers(10) });
    await panel.send(start, run(), { type: "timeline", timeline });
    await panel.page.getByRole("tab", { name: "Activity" }).click();
    await panel.page.getByText("On average 168 inputs/s").waitFor();
    const drawn = () =>
      panel.page.evaluate<string[]>(`[...document.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL())`);
    const dark = await drawn();
    expect(dark.length).toBe(5);
    await panel.page.evaluate(`new Promise((resolve) => {
      const link = document.getElementById("theme");
      link.onload = () => { document.body.className = "vscode-light"; setTimeout(resolve, 100); };
      link.href = "/theme/light.css";
    })`);
    const light = await drawn();
    expect(light.map((picture, number) => picture === dark[number])).toEqual(dark.map(() => false));
  });

  it("of a call are its result, its log and, once it failed, its failure", async () => {
    await using panel = await lab.open("run", { answer: answers(1) });
    const call = { kind: "call", total: 1, done: 1, failed: 0 } as const;
    const tabs = () => panel.page.getByRole("tab").allTextContents();
    await panel.send(start, run({ ...call, ...live, done: 0, createdAtMs: Date.now() - 4_000 }));
    await panel.page.getByText(/Running for [4-9] s/).waitFor();
    expect(await tabs()).toEqual(["Result", "Logs"]);
    await panel.send(run(call), { type: "result", root: node("", "object", "{ url }", 5) });
    await panel.page.getByRole("treeitem", { name: "words: Array(250)" }).waitFor();
    expect(await panel.next("getTree")).toMatchObject({ of: null, path: [], first: 0 });
    await panel.send(run({ ...call, state: "failed", failed: 1 }), { type: "result", root: null });
    await panel.page.getByText("Reading what failed…").waitFor();
    expect(await tabs()).toEqual(["Result", "Failure", "Logs"]);
    await panel.send({ type: "failures", groups: failures.slice(0, 1), more: false, others: 0 });
    await panel.page.getByText("Caused by Error: the page was empty").waitFor();
  });

  it("say in words when there is nothing to show", async () => {
    await using panel = await lab.open("run", { answer: answers(0) });
    await panel.send(start, run({ ...live, total: null, accepted: 0, done: 0, failed: 0 }));
    const expected = {
      Results: "There are no results yet.",
      Failures: "No input has failed.",
      Logs: "Nothing has been printed yet.",
      Activity: "Nothing has been worked on yet.",
    };
    for (const [tab, text] of Object.entries(expected)) {
      await panel.page.getByRole("tab", { name: tab }).click();
      await panel.page.getByText(text).waitFor();
    }
  });
});
