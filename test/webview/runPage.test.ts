import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ToExtension } from "../../webview/messages.ts";
import { answers, connection, logLine, logs, mixedLog, node, run, start, timeline } from "./data.ts";
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
    expect(facts).not.toContain("Cost");
    await panel.send(run({ ...now, costUsd: 0.0421 }));
    await page.getByText("$0.0421").waitFor();
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
    await panel.page.getByText("No input has failed.").waitFor();
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
    await panel.page.getByText("The call has not failed.").waitFor();
    expect(await tabs()).toEqual(["Result", "Failure", "Logs"]);
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

describe("the log", () => {
  async function openLog(lines = mixedLog, dropped = 0): Promise<Panel> {
    const panel = await lab.open("run", { answer: answers(0) });
    await panel.send(start, run(live), logs(lines, dropped, true));
    await panel.page.getByRole("tab", { name: "Logs" }).click();
    return panel;
  }
  const texts = (panel: Panel) => panel.page.locator(".log-grid [data-row] .text").allTextContents();
  const choose = async (panel: Panel, dropdown: string, option: string) => {
    await panel.page.getByRole("combobox", { name: dropdown }).click();
    await panel.page.getByRole("option", { name: option, exact: true }).click();
  };

  it("is filtered by text without regard to colours, by stream and by replica", async () => {
    await using panel = await openLog();
    await choose(panel, "Stream", "stderr");
    await expect.poll(() => texts(panel)).toEqual(["red warning and bold words"]);
    await choose(panel, "Stream", "All streams");
    await choose(panel, "Replica", "Replica 7");
    await expect.poll(() => texts(panel)).toEqual(["underlined italic green"]);
    await choose(panel, "Replica", "All replicas");
    await panel.page.getByRole("textbox", { name: "Filter log" }).fill("AND BOLD");
    await expect.poll(() => texts(panel)).toEqual(["red warning and bold words"]);
    expect(await panel.keptState()).toMatchObject({ logFilter: { text: "AND BOLD", stream: "all", replica: "all" } });
    await panel.page.getByRole("textbox", { name: "Filter log" }).fill("nowhere");
    await panel.page.getByText("No line passes the filter.").waitFor();
  });

  it("shows the newest line until one scrolls up, and again after a jump", async () => {
    await using panel = await openLog(Array.from({ length: 500 }, (_, i) => logLine(i)));
    const { page } = panel;
    await page.getByText("line 499 of the log").waitFor();
    await panel.send(logs([logLine(500)]));
    await page.getByText("line 500 of the log").waitFor();
    await page.locator(".list").hover();
    await page.mouse.wheel(0, -2_000);
    await page.getByRole("button", { name: "Jump to the end" }).waitFor();
    await panel.send(logs([logLine(501)]));
    await page.waitForTimeout(200);
    expect(await page.getByText("line 501 of the log").count()).toBe(0);
    await page.getByRole("button", { name: "Jump to the end" }).click();
    await page.getByText("line 501 of the log").waitFor();
    expect(await page.getByText("12:00:03.507").count()).toBe(1);
  });

  it("keeps the newest 50,000 lines and says how many older ones are missing", async () => {
    await using panel = await openLog([], 7);
    for (let batch = 0; batch < 6; batch++) {
      await panel.send(
        logs(
          Array.from({ length: 10_000 }, (_, i) => logLine(batch * 10_000 + i)),
          7,
        ),
      );
    }
    await panel.page.getByText("line 59999 of the log").waitFor();
    await panel.page.getByText("10,007 older lines are not shown; the full log has them.").waitFor();
    expect(await panel.page.locator('[role="grid"]').getAttribute("aria-rowcount")).toBe("50001");
    expect(await panel.count("[data-row]")).toBeLessThan(200);
    expect(await press(panel, "Open full log")).toEqual({ type: "openFullLog" });
  });
});
