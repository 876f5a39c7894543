import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answers, callForm, connection, failures, logLine, logs, mapForm, node, row, run, start } from "./data.ts";
import { PageLab, type Panel } from "./page.ts";

let lab: PageLab;
beforeAll(async () => void (lab = await PageLab.create()));
afterAll(async () => lab[Symbol.asyncDispose]());

const image = '<img src="http://192.0.2.1/x.png" onerror="globalThis.harmed = true">';
const script = "<script>globalThis.harmed = true</script>";
const nasty = `${image}${script}<a href="http://192.0.2.1/">link</a><style>body{display:none}</style>`;
const oscLink = "\u001b]8;;http://192.0.2.1/\u0007click here\u001b]8;;\u0007";

async function expectUnharmed(panel: Panel): Promise<void> {
  expect(await panel.count("#app img, #app script, #app a, #app style, #app iframe")).toBe(0);
  expect(await panel.page.evaluate("globalThis.harmed")).toBeUndefined();
  expect(await panel.page.evaluate("({}).polluted")).toBeUndefined();
  expect(panel.strayRequests).toEqual([]);
  expect(panel.complaints).toEqual([]);
}

describe("text from afar", () => {
  it("stays text wherever a run's page shows it", async () => {
    const large = "x".repeat(2_000_000);
    const hostileRow = (index: number) =>
      index === 1
        ? row(1, { cells: [large, "\u001b[31mred\u001b[0m\u0000\u202e"] })
        : row(index, { cells: [nasty, oscLink] });
    const rowAnswers = answers(5, hostileRow, [nasty, "__proto__"]);
    await using panel = await lab.open("run", {
      answer: (message) => {
        if (message.type !== "getTree") return rowAnswers(message);
        const isRoot = message.count === 0;
        const children = [
          node("__proto__", "object", "{ polluted: true }", 1),
          node(nasty, "string", nasty),
          node("large", "string", large),
        ];
        const nodes = isRoot
          ? [node("", "object", nasty, 3)]
          : message.path.length === 0
            ? children
            : [node("polluted", "boolean", "true")];
        return [{ type: "tree", request: message.request, nodes, problem: null }];
      },
    });
    const { page } = panel;
    await panel.send(
      start,
      run({ label: nasty, env: nasty, cluster: nasty, error: { message: nasty, hint: nasty } }),
      connection({ text: nasty, note: nasty, action: "retry" }),
      {
        type: "failures",
        more: false,
        others: 0,
        groups: failures.map((group) => ({
          ...group,
          title: nasty,
          details: [{ kind: "hint", text: nasty }],
          frames: [{ name: nasty, place: nasty, opens: true }],
          code: [{ line: 1, text: nasty, marked: true }],
        })),
      },
      logs([logLine(0, { text: nasty }), logLine(1, { text: oscLink }), logLine(2, { text: large })]),
    );
    await page.locator('[data-row="0"]').click();
    await page.getByRole("treeitem", { name: "__proto__" }).click();
    await page.getByRole("treeitem", { name: "polluted: true", exact: true }).waitFor();
    expect(await page.locator('[data-row="0"] .value').first().textContent()).toBe(nasty.slice(0, 500));
    expect(await page.locator('[data-row="1"] .value').nth(1).textContent()).not.toContain("\u001b");
    await expectUnharmed(panel);

    await page.getByRole("tab", { name: /Failures/ }).click();
    expect(await page.locator(".failure-title").first().textContent()).toBe(nasty);
    await expectUnharmed(panel);

    await page.getByRole("tab", { name: "Logs" }).click();
    await page.getByText("click here").waitFor();
    const lines = await page.locator(".log-grid [data-row] .text").allTextContents();
    expect(lines[0]).toBe(nasty);
    expect(lines[1]).toBe("click here");
    expect(lines[2]?.length).toBeLessThan(5_000);
    await expectUnharmed(panel);
  });

  it("stays text in both forms", async () => {
    for (const form of [callForm, mapForm]) {
      await using panel = await lab.open("launch", {
        answer: (message) =>
          message.type === "previewSource"
            ? [{ type: "preview", request: message.request, count: 1, exact: true, first: [nasty], problem: null }]
            : [],
      });
      await panel.send(start, {
        type: "form",
        form: {
          ...form,
          name: nasty,
          file: nasty,
          signature: nasty,
          doc: nasty,
          parameters: form.parameters.map((each) => ({
            ...each,
            name: nasty,
            type: nasty,
            doc: nasty,
            default: nasty,
          })),
          history: [form.parameters.map(() => nasty)],
          envs: [nasty],
          env: nasty,
          source: { kind: "paste", text: nasty },
        },
      });
      await panel.page.locator("h1", { hasText: nasty }).waitFor();
      if (form.target.mode === "map") await panel.page.locator(".preview .code", { hasText: nasty }).waitFor();
      await panel.send({ type: "refused", parameter: null, message: nasty });
      await panel.page.locator(".strip", { hasText: nasty }).waitFor();
      await expectUnharmed(panel);
    }
  });
});

describe("the sources of the pages", () => {
  const folder = join(import.meta.dirname, "../../webview");
  const sources = globSync("**/*.{ts,tsx}", { cwd: folder }).map((name) => ({
    name,
    text: readFileSync(join(folder, name), "utf8"),
  }));

  it("make no markup of text", () => {
    expect(sources.length).toBeGreaterThan(30);
    const forbidden =
      /innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|createContextualFragment|\beval\b/i;
    expect(sources.filter(({ text }) => forbidden.test(text)).map(({ name }) => name)).toEqual([]);
  });

  it("name the library of controls in one file only", () => {
    const naming = sources.filter(({ text }) => text.includes("webview-ui-toolkit") || text.includes("fast-"));
    expect(naming.map(({ name }) => name)).toEqual(["ui/toolkit.ts"]);
  });
});

describe("terminal colours", () => {
  it("are classes, and nothing else of escape sequences is left", async () => {
    await using panel = await lab.open("run");
    const { page } = panel;
    await panel.send(
      start,
      run(),
      logs([
        logLine(0, {
          text: "\u001b[31mred\u001b[0m \u001b[1;4mboth\u001b[0m \u001b[3mslanted\u001b[0m \u001b[44mback\u001b[0m",
        }),
        logLine(1, { text: "\u001b[2J\u001b[H\u001b[?25lplain\u001b[10;10H\u0007\b\r text\u001b(B\u001bc" }),
        logLine(2, {
          text: "\u001b[38;5;196mpalette\u001b[0m \u001b[38;2;0;0;250mtrue\u001b[0m \u009b32mgreen\u009b0m",
        }),
        logLine(3, {
          text: "\u001b]0;a title\u001b\\after \u001bP1$r0m\u001b\\it \u001b]52;c;aGk=\u0007end\u001b]unended",
        }),
      ]),
    );
    await page.getByRole("tab", { name: "Logs" }).click();
    await page.getByText("slanted").waitFor();
    const classOf = (text: string) => page.getByText(text, { exact: true }).getAttribute("class");
    expect(await classOf("red")).toBe("ansi-red");
    expect(await classOf("both")).toBe("ansi-bold ansi-underline");
    expect(await classOf("slanted")).toBe("ansi-italic");
    expect(await classOf("back")).toBe("ansi-on ansi-on-blue");
    expect(await classOf("palette")).toBe("ansi-red");
    expect(await classOf("true")).toBe("ansi-blue");
    expect(await classOf("green")).toBe("ansi-green");
    const lines = await page.locator(".log-grid [data-row] .text").allTextContents();
    expect(lines[1]).toBe("plain text");
    expect(lines[3]).toBe("after it endunended");
    expect(await panel.count(".log-grid [data-row] [style]:not([data-row])")).toBe(0);
  });
});

describe("messages that are not as agreed", () => {
  it("are dropped with a warning that does not repeat them, and the page goes on", async () => {
    await using panel = await lab.open("run", { answer: answers(3) });
    await panel.send(start, run());
    await panel.page.getByText("https://example.test/0", { exact: true }).waitFor();
    const bad: unknown[] = [
      null,
      "text",
      { type: "unknown", secret: "do not print" },
      { type: "run", run: { state: "secret do not print" }, canRepeat: true },
      { type: "logs", reset: true, dropped: -1, lines: [] },
      { type: "rows", request: 1, of: "many", columns: [], first: 0, rows: [] },
      { type: "result", root: { ...node("", "string", "x".repeat(2_000_001)) } },
    ];
    await panel.send(...bad);
    await panel.send(run({ state: "failed" }));
    await panel.page.locator(".run-header").getByText("Failed", { exact: true }).waitFor();
    expect(panel.complaints).toHaveLength(bad.length);
    expect(panel.complaints.every((text) => text.startsWith("A message was dropped") && !text.includes("secret"))).toBe(
      true,
    );
  });

  it("is also what a state from elsewhere comes to: the page begins afresh", async () => {
    await using panel = await lab.open("run", { state: { tab: 7, view: "all" }, answer: answers(3) });
    await panel.send(start, run());
    await panel.page.getByText("https://example.test/0", { exact: true }).waitFor();
    expect(panel.complaints).toEqual([]);
  });
});
