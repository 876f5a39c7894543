import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defaultView } from "../../webview/messages/run.ts";
import { answers, connection, failures, row, run, start } from "./data.ts";
import { PageLab, type Panel } from "./page.ts";

let lab: PageLab;
beforeAll(async () => void (lab = await PageLab.create()));
afterAll(async () => lab[Symbol.asyncDispose]());

const million = 1_000_000;

async function openResults(of: number, rowAt = row): Promise<Panel> {
  const panel = await lab.open("run", { answer: answers(of, rowAt) });
  await panel.send(start, connection(null), run({ total: of, accepted: of, done: of }));
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

  it("opens a row that was clicked before it was read", async () => {
    await using panel = await lab.open("run");
    await panel.send(start, run());
    const rowsFor = ({ request, first }: { request: number; first: number }) => ({
      type: "rows",
      request,
      of: 10_000,
      columns: ["url"],
      first,
      rows: Array.from({ length: 100 }, (_, at) => row(first + at, { cells: [`row ${first + at}`] })),
    });
    await panel.send(rowsFor(await panel.next("getRows")));
    await panel.page.getByText("row 0", { exact: true }).waitFor();
    await panel.page.evaluate(`document.querySelector(".list").scrollTop = 50_000`);
    const line = panel.page.locator('[data-row="2090"]');
    const asked = await panel.next("getRows", ({ first }) => first === 2_000);
    await line.click();
    expect(await panel.page.locator(".detail").count()).toBe(0);
    await panel.send(rowsFor(asked));
    expect(await panel.next("getTree")).toMatchObject({ of: 2_090 });
    expect(await line.getAttribute("aria-selected")).toBe("true");
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

describe("the place in the results", () => {
  it("is where it was, with the value that was open, after another tab and in another life of the page", async () => {
    await using panel = await openResults(10_000);
    await panel.page.locator(".list").hover();
    await panel.page.mouse.wheel(0, 24_000);
    await panel.page.getByText("https://example.test/1002", { exact: true }).click();
    await panel.page.getByRole("heading", { name: "Input 1,002" }).waitFor();
    const before = await rowsInSight(panel);
    expect(before[0]).toBe(1_000);
    await panel.page.getByRole("tab", { name: "Logs" }).click();
    await panel.page.getByText("Nothing was printed.").waitFor();
    await panel.page.getByRole("tab", { name: "Results" }).click();
    await panel.page.getByRole("heading", { name: "Input 1,002" }).waitFor();
    await expect.poll(() => rowsInSight(panel)).toEqual(before);
    await using again = await lab.open("run", { answer: answers(10_000), state: await panel.keptState() });
    await again.send(start, run());
    await again.page.getByRole("heading", { name: "Input 1,002" }).waitFor();
    await expect.poll(() => rowsInSight(again)).toEqual(before);
    expect(await again.page.locator('.row[tabindex="0"]').getAttribute("data-row")).toBe("1002");
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
    await click({ sort: ".words" });
    expect(await head.getAttribute("aria-sort")).toBe("ascending");
    await click({ sort: ".words", descending: true });
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
    await panel.send({ type: "failures", groups: failures, more: false, others: 0 });
    await panel.page.getByRole("tab", { name: "Failures 3" }).click();
    await panel.page.getByRole("button", { name: "src/words.ts:12:7" }).click();
    expect(await panel.next("openFrame")).toEqual({ type: "openFrame", failure: "type", frame: 0 });
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

  it("stays open when its row is scrolled 5,000 rows away and back", async () => {
    await using panel = await openResults(20_000);
    const { page } = panel;
    await page.locator('[data-row="7"]').click();
    await page.getByRole("treeitem", { name: "words: Array(250)" }).waitFor();
    const asked = () => panel.sent.filter(({ type }) => type === "getTree").length;
    const before = asked();
    for (let at = 1; at <= 50; at++) {
      await page.evaluate(`document.querySelector(".list").scrollTop = ${at * 100 * 24}`);
      await page.getByText(`https://example.test/${at * 100 + 2}`, { exact: true }).waitFor();
    }
    expect(await page.getByRole("treeitem", { name: "words: Array(250)" }).isVisible()).toBe(true);
    expect(await page.locator(".detail").innerText()).toContain("1 attempt, 64 B");
    expect(await panel.count(".row.selected")).toBe(0);
    await page.evaluate(`document.querySelector(".list").scrollTop = 24 * 60`);
    await page.getByText("https://example.test/62", { exact: true }).waitFor();
    // Coming near the row does not bring it into sight.
    expect((await rowsInSight(panel))[0]).toBe(60);
    await page.evaluate(`document.querySelector(".list").scrollTop = 0`);
    await page.locator('[data-row="7"].selected').waitFor();
    expect(asked()).toBe(before);
  });

  it("stays that of its input while a sorted map goes on, and so does the mark", async () => {
    let first = 0;
    // As the run goes on, smaller ones come in before.
    const moving = (position: number) => row(1_000 - first + position);
    await using panel = await lab.open("run", {
      state: {
        run: "r-1",
        cluster: "local",
        tab: null,
        logFilter: { text: "", stream: "all", replica: "all" },
        view: { ...defaultView, sort: ".words" },
      },
      answer: (message) => answers(300 + first, moving)(message),
    });
    const { page } = panel;
    const live = (done: number) => run({ state: "running", endedAtMs: null, done });
    await panel.send(start, live(300));
    await page.getByText("https://example.test/1003", { exact: true }).click();
    await page.getByRole("heading", { name: "Input 1,003" }).waitFor();
    await page.getByRole("treeitem", { name: "words: Array(250)" }).waitFor();
    const before = panel.sent.filter(({ type }) => type === "getTree").length;
    expect(await page.locator(".row.selected").getAttribute("data-row")).toBe("3");
    first = 5;
    await panel.send(live(305));
    await page.locator('[data-row="8"].selected').waitFor();
    expect(await page.locator(".row.selected").innerText()).toContain("1,003");
    first = 250;
    await panel.send(live(550));
    await page.getByText("https://example.test/750", { exact: true }).waitFor();
    expect(await panel.count(".row.selected")).toBe(0);
    expect(await page.getByRole("treeitem", { name: "words: Array(250)" }).isVisible()).toBe(true);
    expect(await page.getByRole("heading", { name: "Input 1,003" }).isVisible()).toBe(true);
    expect(panel.sent.filter(({ type }) => type === "getTree")).toHaveLength(before);
  });

  it("is read when an input that had no outcome gets one", async () => {
    let isPending = true;
    const pending = (position: number) =>
      position === 2 && isPending ? row(2, { state: "pending", attempts: 0, sizeBytes: 0, cells: [] }) : row(position);
    await using panel = await openResults(10, pending);
    await panel.page.locator('[data-row="2"]').click();
    await panel.page.getByText("This input has no outcome yet.").waitFor();
    isPending = false;
    await panel.send(run({ state: "running", endedAtMs: null, total: 10, accepted: 10, done: 9 }));
    await panel.page.getByRole("treeitem", { name: "words: Array(250)" }).waitFor();
  });
});

describe("results that cannot be read", () => {
  it("say so, and are asked for again by a button and when the cluster is back", async () => {
    let problem: string | undefined = "The connection was lost.";
    await using panel = await lab.open("run", {
      answer: (message) =>
        message.type === "getRows" && problem !== undefined
          ? [{ type: "rowsFailed", request: message.request, problem }]
          : answers(200)(message),
    });
    const { page } = panel;
    await panel.send(start, run());
    const alert = page.getByRole("alert");
    await alert.getByText("The results cannot be read: The connection was lost.").waitFor();
    problem = "Still lost.";
    await alert.getByRole("button", { name: "Try again" }).click();
    await alert.getByText("The results cannot be read: Still lost.").waitFor();
    await panel.send(connection({ text: "No answer.", action: "retry" }));
    problem = undefined;
    await panel.send(connection(null));
    await page.getByText("https://example.test/0", { exact: true }).waitFor();
    expect(await alert.count()).toBe(0);
  });

  it("leave no rows of another order under the arrow of theirs", async () => {
    await using panel = await lab.open("run", {
      answer: (message) =>
        message.type === "getRows" && message.view.sort !== "#"
          ? [{ type: "rowsFailed", request: message.request, problem: "lost" }]
          : answers(200)(message),
    });
    const { page } = panel;
    await panel.send(start, run());
    await page.getByText("https://example.test/0", { exact: true }).waitFor();
    const head = page.getByRole("columnheader", { name: "words" });
    await head.getByRole("button").click();
    await page.getByRole("alert").waitFor();
    expect(await panel.count("[data-row]")).toBe(0);
    await page.getByRole("columnheader", { name: "#" }).getByRole("button").click();
    await page.getByText("https://example.test/0", { exact: true }).waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
  });

  it("are those of the view that was kept, when the page comes back while they are being read", async () => {
    const view = { ...defaultView, sort: ".words" };
    const state = {
      run: "r-1",
      cluster: "local",
      tab: null,
      logFilter: { text: "", stream: "all", replica: "all" },
      view,
    };
    await using panel = await lab.open("run", { state });
    const { page } = panel;
    await panel.send(start, run());
    const asked = await panel.next("getRows");
    expect(asked.view).toEqual(view);
    await panel.send({ type: "scan", fraction: 0.5 });
    const bar = page.getByRole("progressbar", { name: "Reading all results" });
    expect(await bar.getAttribute("aria-valuenow")).toBe("50");
    await panel.send(...answers(200)(asked), { type: "scan", fraction: null });
    await page.getByText("https://example.test/0", { exact: true }).waitFor();
    await bar.waitFor({ state: "detached" });
  });

  it("of a column called as a head of the table are sorted by the column", async () => {
    const named = (position: number) => row(position, { cells: ["a", "b"] });
    await using panel = await lab.open("run", { answer: answers(5, named, ["attempts", "#"]) });
    await panel.send(start, run());
    await panel.page.locator('[data-row="4"]').waitFor();
    const heads = panel.page.getByRole("columnheader");
    expect(await heads.allInnerTexts()).toEqual(["#", "attempts", "#", "Attempts"]);
    for (const [at, sort] of ["#", ".attempts", ".#", "attempts"].entries()) {
      const after = panel.sent.length;
      await heads.nth(at).getByRole("button").click();
      await panel.next("getRows", ({ view }) => view.sort === sort, after);
      expect(await panel.count('[aria-sort="ascending"], [aria-sort="descending"]')).toBe(1);
    }
  });
});
