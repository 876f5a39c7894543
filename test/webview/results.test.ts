import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defaultView } from "../../webview/messages.ts";
import { answers, failures, row, run, start } from "./data.ts";
import { PageLab, type Panel } from "./page.ts";

let lab: PageLab;
beforeAll(async () => void (lab = await PageLab.create()));
afterAll(async () => lab[Symbol.asyncDispose]());

const million = 1_000_000;

async function openResults(of: number, rowAt = row): Promise<Panel> {
  const panel = await lab.open("run", { answer: answers(of, rowAt) });
  await panel.send(start, run({ total: of, accepted: of, done: of }));
  await panel.page.getByText("https://example.test/0", { exact: true }).waitFor();
  return panel;
}

/** Numbers of the inputs in sight, without what is drawn ahead. */
async function rowsInSight(panel: Panel): Promise<number[]> {
  return panel.page.evaluate<number[]>(`(() => {
    const list = document.querySelector(".list").getBoundingClientRect();
    const head = document.querySelector(".list-head").getBoundingClientRect();
    return [...document.querySelectorAll("[data-row]")]
      .filter((row) => {
        const { top, bottom } = row.getBoundingClientRect();
        return bottom > head.bottom + 1 && top < list.bottom - 1;
      })
      .map((row) => Number(row.dataset.row));
  })()`);
}

describe("a table of a million results", () => {
  it("shows the first, the last and the first again with fewer than 200 rows as elements", async () => {
    await using panel = await openResults(million);
    expect(await panel.count("[data-row]")).toBeLessThan(200);
    await panel.page.evaluate(`document.querySelector(".list").scrollTop = 1e9`);
    await panel.page.getByText("https://example.test/999999", { exact: true }).waitFor();
    expect((await rowsInSight(panel)).at(-1)).toBe(million - 1);
    expect(await panel.count("[data-row]")).toBeLessThan(200);
    await panel.page.evaluate(`document.querySelector(".list").scrollTop = 0`);
    await panel.page.getByText("https://example.test/0", { exact: true }).waitFor();
    expect((await rowsInSight(panel))[0]).toBe(0);
    expect(panel.complaints).toEqual([]);
  });

  it("moves by what the wheel turns, though its scroll bar is shorter than its rows", async () => {
    await using panel = await openResults(million);
    await panel.page.locator(".list").hover();
    for (let turn = 0; turn < 10; turn++) await panel.page.mouse.wheel(0, 240);
    await panel.page.getByText("https://example.test/100", { exact: true }).waitFor();
    // 2,400 pixels are 100 rows of 24.
    expect((await rowsInSight(panel))[0]).toBe(100);
  });

  it("asks for pages in sight and none of those in between", async () => {
    await using panel = await openResults(million);
    const before = panel.sent.length;
    await panel.page.evaluate(`document.querySelector(".list").scrollTop = 5e6`);
    await panel.page.getByText("https://example.test/500020", { exact: true }).waitFor();
    const asked = panel.sent.slice(before).filter(({ type }) => type === "getRows");
    expect(asked.length).toBeLessThanOrEqual(2);
    expect(asked.every((each) => each.type === "getRows" && each.count === 100)).toBe(true);
  });

  it("is walked with the keys: one row, a page, to the ends, and into a value and back", async () => {
    await using panel = await openResults(million);
    const { page } = panel;
    const focused = () => page.evaluate<string>(`document.activeElement?.dataset?.row ?? document.activeElement.role`);
    await page.locator('[data-row="0"]').focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowUp");
    expect(await focused()).toBe("1");
    await page.keyboard.press("PageDown");
    expect(Number(await focused())).toBeGreaterThan(10);
    await page.keyboard.press("End");
    await page.getByText("https://example.test/999999", { exact: true }).waitFor();
    expect(await focused()).toBe("999999");
    await page.keyboard.press("Home");
    expect(await focused()).toBe("0");
    expect(await page.locator('[data-row="0"]').getAttribute("aria-rowindex")).toBe("2");
    expect(await page.locator('[role="grid"]').getAttribute("aria-rowcount")).toBe("1000001");

    await page.keyboard.press("Enter");
    await page.getByRole("treeitem", { name: "words: Array(250)" }).waitFor();
    expect(await panel.next("getTree")).toMatchObject({ of: 0, path: [], count: 0 });
    await page.keyboard.press("Escape");
    await page.locator(".detail").waitFor({ state: "detached" });
    expect(await focused()).toBe("0");
  });

  it("keeps the focus in the table when the focused row is scrolled out of sight", async () => {
    await using panel = await openResults(million);
    await panel.page.locator('[data-row="3"]').focus();
    await panel.page.evaluate(`document.querySelector(".list").scrollTop = 5e6`);
    await panel.page.getByText("https://example.test/500020", { exact: true }).waitFor();
    expect(await panel.page.evaluate<string>(`document.activeElement.role`)).toBe("grid");
    await panel.page.keyboard.press("ArrowDown");
    await panel.page.getByText("https://example.test/4", { exact: true }).waitFor();
    expect(await panel.page.evaluate<string>(`document.activeElement.dataset.row`)).toBe("4");
  });
});

describe("the order and choice of results", () => {
  it("is asked for by a head: upwards, downwards, and by input again", async () => {
    await using panel = await openResults(500);
    const head = panel.page.getByRole("columnheader", { name: "words" });
    const click = async (expected: object) => {
      const after = panel.sent.length;
      await head.getByRole("button").click();
      expect((await panel.next("getRows", undefined, after)).view).toEqual({ ...defaultView, ...expected });
    };
    await click({ sort: "words" });
    expect(await head.getAttribute("aria-sort")).toBe("ascending");
    await click({ sort: "words", descending: true });
    expect(await head.getAttribute("aria-sort")).toBe("descending");
    await click({ sort: "#" });
    expect(await head.getAttribute("aria-sort")).toBe("none");
  });

  it("is asked for once when a filter was typed, and kept for when the page comes back", async () => {
    await using panel = await openResults(500);
    const after = panel.sent.length;
    await panel.page.getByRole("textbox", { name: "Filter results" }).pressSequentially("seven", { delay: 20 });
    await panel.next("getRows", ({ view }) => view.filter === "seven", after);
    const filters = panel.sent.slice(after).flatMap((each) => (each.type === "getRows" ? [each.view.filter] : []));
    expect(new Set(filters)).toEqual(new Set(["seven"]));
    await panel.page.getByRole("checkbox", { name: "Failures only" }).click();
    const view = { ...defaultView, filter: "seven", failuresOnly: true };
    await panel.next("getRows", (message) => JSON.stringify(message.view) === JSON.stringify(view), after);
    const kept = await panel.keptState();
    expect(kept).toMatchObject({ run: "r-1", cluster: "local", view });

    await panel.page.getByRole("button", { name: "CSV" }).click();
    expect(await panel.next("export")).toEqual({ type: "export", format: "csv", view });

    await using again = await lab.open("run", { state: kept, answer: answers(3) });
    await again.send(start, run());
    expect((await again.next("getRows")).view).toEqual(view);
  });

  it("ignores answers to what is no longer asked, and keeps rows until newer ones come", async () => {
    await using panel = await lab.open("run");
    await panel.send(start, run({ state: "running", done: 10, endedAtMs: null }));
    const rowsFor = (request: number, url: string) => ({
      type: "rows",
      request,
      of: 1,
      columns: ["url"],
      first: 0,
      rows: [row(0, { cells: [url] })],
    });
    const first = await panel.next("getRows");
    await panel.send(rowsFor(first.request, "the first answer"));
    await panel.page.getByText("the first answer").waitFor();

    let after = panel.sent.length;
    await panel.send(run({ state: "running", done: 20, endedAtMs: null }));
    const second = await panel.next("getRows", undefined, after);
    expect(await panel.page.getByText("the first answer").isVisible()).toBe(true);

    after = panel.sent.length;
    await panel.page.getByRole("checkbox", { name: "Failures only" }).click();
    const third = await panel.next("getRows", ({ view }) => view.failuresOnly, after);
    await panel.send(rowsFor(third.request, "the newest answer"), rowsFor(second.request, "a late answer"));
    await panel.page.getByText("the newest answer").waitFor();
    expect(await panel.page.getByText("a late answer").count()).toBe(0);
  });

  it("shows an input that a failure names, and where in the source it failed", async () => {
    await using panel = await openResults(500);
    await panel.send({ type: "failures", groups: failures, more: false });
    await panel.page.getByRole("tab", { name: "Failures 3" }).click();
    await panel.page.getByRole("button", { name: "src/words.ts:12:7" }).click();
    expect(await panel.next("openFrame")).toEqual({ type: "openFrame", failure: 0, frame: 0 });
    expect(await panel.page.locator(".code-line.marked").textContent()).toContain(">    12");
    await panel.page.getByRole("button", { name: "Show input 230" }).click();
    await panel.page.getByRole("heading", { name: "Input 230" }).waitFor();
    await panel.page.getByText("https://example.test/230", { exact: true }).waitFor();
    expect(await rowsInSight(panel)).toContain(230);
  });
});

describe("the value of a result", () => {
  it("opens with the keys, a hundred children at a time", async () => {
    await using panel = await openResults(10);
    const { page } = panel;
    await page.locator('[data-row="7"]').click();
    await page.getByRole("treeitem", { name: "words: Array(250)" }).waitFor();
    await page.locator('[data-path="/"]').focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowRight");
    await page.getByRole("treeitem", { name: "99: 693" }).waitFor();
    expect(await panel.next("getTree", ({ path }) => path.length === 1)).toMatchObject({
      of: 7,
      path: [1],
      first: 0,
      count: 100,
    });
    await page.getByText("Show 100 more of 150").click();
    await page.getByText("Show 50 more").click();
    await page.getByRole("treeitem", { name: "249: 1743" }).waitFor();
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowLeft");
    expect(await page.getByRole("treeitem", { name: "0: 0", exact: true }).count()).toBe(0);
    await page.getByRole("button", { name: "Open in editor" }).last().click();
    expect(await panel.next("openValue")).toEqual({ type: "openValue", of: 7 });
  });
});
