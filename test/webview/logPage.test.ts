import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LogLine } from "farcall";
import { LogFeed } from "../../extension/panels/logFeed.ts";
import { LogStore } from "../../extension/panels/logStore.ts";
import type { ToPage } from "../../webview/messages/toPage.ts";
import { answers, logLine, logs, mixedLog, run, start } from "./data.ts";
import { PageLab, type Panel } from "./page.ts";

let lab: PageLab;
beforeAll(async () => void (lab = await PageLab.create()));
afterAll(async () => lab[Symbol.asyncDispose]());

const live = { state: "running", endedAtMs: null } as const;

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

  const firstInSight = (panel: Panel) =>
    panel.page.evaluate<string>(`(() => {
      const head = document.querySelector(".list-head").getBoundingClientRect().bottom;
      const rows = [...document.querySelectorAll(".log-grid [data-row]")];
      return rows.find((row) => row.getBoundingClientRect().bottom > head + 1).querySelector(".text").textContent;
    })()`);

  it("is where it was left, after another tab, in another life of the page, and while older lines go", async () => {
    const lines = Array.from({ length: 500 }, (_, i) => logLine(i));
    await using panel = await openLog(lines);
    await panel.page.getByText("line 499 of the log").waitFor();
    await panel.page.locator(".list").hover();
    await panel.page.mouse.wheel(0, -4_000);
    await panel.page.getByRole("button", { name: "Jump to the end" }).waitFor();
    const left = await firstInSight(panel);
    expect(left).toMatch(/^line 2\d\d of the log$/);
    await panel.page.getByRole("tab", { name: "Failures" }).click();
    await panel.page.getByRole("tab", { name: "Logs" }).click();
    await expect.poll(() => firstInSight(panel)).toBe(left);
    await using again = await lab.open("run", { answer: answers(0), state: await panel.keptState() });
    await again.send(start, run(live), logs([], 20, true));
    for (let from = 20; from < 500; from += 60) await again.send(logs(lines.slice(from, from + 60)));
    await expect.poll(() => firstInSight(again)).toBe(left);
    await again.page.getByRole("button", { name: "Jump to the end" }).click();
    await again.page.getByText("line 499 of the log").waitFor();
    expect(await again.keptState()).toMatchObject({ logFromMs: null });
  });

  it("keeps the focus on its line while older ones go", async () => {
    const kept = { lines: 100, chars: 1_000_000 };
    const lines = Array.from({ length: 100 }, (_, i) => logLine(i));
    await using panel = await openLog([]);
    await panel.send({ type: "logs", reset: true, dropped: 0, kept, lines });
    await panel.page.getByText("line 99 of the log").waitFor();
    await panel.page.locator(".list").hover();
    await panel.page.mouse.wheel(0, -800);
    await panel.page.getByText("line 60 of the log").click();
    await panel.send({
      type: "logs",
      reset: false,
      dropped: 0,
      kept,
      lines: Array.from({ length: 40 }, (_, i) => logLine(100 + i)),
    });
    await panel.page.getByText("40 older lines are not shown").waitFor();
    const focused = () => panel.page.evaluate<string>(`document.activeElement.querySelector(".text")?.textContent`);
    expect(await focused()).toBe("line 60 of the log");
    await panel.page.keyboard.press("ArrowDown");
    await expect.poll(focused).toBe("line 61 of the log");
  });

  it("has rows as high as its font, and follows the font as it changes", async () => {
    await using panel = await openLog([logLine(0, { text: "Ågjpqy" })]);
    const row = panel.page.locator(".log-grid [data-row]").first();
    await row.waitFor();
    for (const fontPx of [14, 30]) {
      await panel.page.evaluate(
        `document.documentElement.style.setProperty("--vscode-editor-font-size", "${fontPx}px")`,
      );
      await expect.poll(async () => (await row.boundingBox())?.height).toBeGreaterThanOrEqual(fontPx * 1.4);
      const cut = await row.evaluate((element) =>
        [...element.children]
          .filter(
            (cell) =>
              cell.clientHeight > element.clientHeight ||
              (!cell.classList.contains("text") && cell.scrollWidth > cell.clientWidth),
          )
          .map(({ textContent }) => textContent),
      );
      expect(cut, `${fontPx} px`).toEqual([]);
    }
  });

  it("can be opened whole", async () => {
    await using panel = await openLog();
    await panel.page.getByRole("button", { name: "Open full log" }).click();
    expect(await panel.next("openFullLog")).toEqual({ type: "openFullLog" });
  });
});

describe("the log as the extension sends it", () => {
  /** A page that shows the log of a store, with the feed between the two. */
  async function feedLog(store: LogStore) {
    const panel = await lab.open("run", { answer: answers(0) });
    await panel.send(start, run(live));
    await panel.page.getByRole("tab", { name: "Logs" }).click();
    const deliver = async (message: ToPage) => {
      // The test may be over by now.
      if (!panel.page.isClosed()) await panel.send(message).catch(() => undefined);
    };
    const feed = new LogFeed(store, { isShown: true, deliver });
    return { panel, feed };
  }
  const printed = (from: number, to: number): LogLine[] =>
    Array.from({ length: to - from }, (_, i) => ({ run: "r", ...logLine(from + i) }));
  const rowCount = async (panel: Panel) =>
    Number(await panel.page.locator('[role="grid"]').getAttribute("aria-rowcount")) - 1;
  const missing = async (panel: Panel) => {
    const text = (await panel.page.locator(".logs .note").allTextContents()).join("");
    return Number(/^([\d,]+) older lines? (?:is|are) not shown/.exec(text)?.[1]?.replaceAll(",", "") ?? 0);
  };

  it.each([
    // Faster than the page takes it, so that it misses some, and so slowly that it is sent every line.
    [5_000, 12_000, 20],
    [1_000, 5_000, 200],
    [5_000, 4_000, 20],
  ])("says truly how many lines are missing, with %i to be kept of %i", async (kept, of, pauseMs) => {
    const store = new LogStore(kept);
    const { panel, feed } = await feedLog(store);
    await using _ = panel;
    for (let from = 0; from < of; from += 500) {
      store.add(printed(from, from + 500));
      feed.changed();
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    await panel.page.getByText(`line ${of - 1} of the log`).waitFor({ timeout: 45_000 });
    const rows = await rowCount(panel);
    expect(rows + (await missing(panel))).toBe(of);
    expect(rows).toBeGreaterThanOrEqual(Math.min(kept, of));
    expect(rows).toBeLessThanOrEqual(kept * 1.1);
    // A page that comes back is sent what is kept.
    feed.restart();
    await expect
      .poll(async () => [await rowCount(panel), await missing(panel)])
      .toEqual([store.lines.length, of - store.lines.length]);
    feed.dispose();
  });
});
