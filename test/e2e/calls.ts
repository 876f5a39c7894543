/// <reference lib="dom" />
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/home.ts";
import { closeEditors, LaunchForm, RunPanel } from "./support/panels.ts";
import type { OpenLab } from "./support/useLab.ts";

/** One function, once: from the lens to its result, its logs, its failure, its end. */

export const callFiles = {
  "math.ts": `/** Squares a number. */
export function square(n: number): number {
  console.log("squaring", n);
  return n * n;
}

export const answer = () => 42;

export function describeAll(title: string, options: { deep: boolean; tags: string[] }, mode: "fast" | "slow" = "fast") {
  return { title, options, mode, at: new Date(0), bytes: new Uint8Array([1, 2]), map: new Map([["a", 1n]]) };
}
`,
  "fail.ts": `import { check } from "./check.ts";

export function explode(what: string): never {
  console.error("about to explode");
  check(what);
  throw new Error("unreachable");
}
`,
  "check.ts": `export function check(what: string): void {
  if (what.length > 0) {
    throw new TypeError(\`cannot take \${what}\`);
  }
}
`,
  "slow.ts": `import { context } from "farcall";
import { writeFileSync } from "node:fs";

export async function wait(file: string): Promise<string> {
  writeFileSync(file, "began");
  await new Promise((resolve) => {
    context().signal.addEventListener("abort", () => resolve(undefined));
    setTimeout(resolve, 60_000);
  });
  writeFileSync(file, context().signal.aborted ? "cancelled" : "went on");
  return "done";
}

export async function pause(ms: number): Promise<string> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return "woke up";
}
`,
  "astray.ts": `import { tail } from "./missing.ts";

export function astray(word: string): string {
  return word + tail;
}
`,
  "callbacks.ts": "export function each(visit: (n: number) => void): void {\n  visit(1);\n}\n",
  "hostile.ts": `export const polluting = () => JSON.parse('{"__proto__": {"polluted": true}}');

export function hostile() {
  const value: Record<string, unknown> = { constructor: "c", hasOwnProperty: 1 };
  value["html"] = "<img src=x onerror=alert(1)><script>document.title='owned'</script>";
  value["ansi"] = "\\u001b[31mred\\u001b[0m\\u001b]8;;https://evil.example\\u0007link\\u001b]8;;\\u0007";
  value["self"] = value;
  console.log("\\u001b[32mgreen\\u001b[0m <b>bold</b> \\u001b[2J\\u001b]0;title\\u0007end");
  return value;
}

export const large = () => "x".repeat(50_000_000);

export function* count(to: number) {
  for (let i = 1; i <= to; i++) yield i;
}
`,
};

export function callTests(opened: OpenLab): void {
  describe("running a function", () => {
    beforeEach(() => closeEditors(opened.window));

    it("runs what the form says and shows its result and what it printed", async () => {
      const { window } = opened;
      await window.openFile("math.ts");
      await window.clickLens("Run remotely", { line: 2 });
      const form = await LaunchForm.open(window, "Run square");
      expect(await form.text()).toContain("Squares a number.");
      await form.fill(/^n\b/, "twelve");
      await form.waitForText(/not a number/i);
      await form.fill(/^n\b/, "12");
      await form.submit();
      const run = await RunPanel.open(window, "square");
      await run.waitForState(/done/);
      await run.waitForText("144");
      await run.tab("Logs");
      await run.waitForText("squaring 12");
    });

    it("asks nothing of a function without parameters", async () => {
      const { window } = opened;
      await window.openFile("math.ts");
      await window.clickLens("Run remotely", { line: 7 });
      const run = await RunPanel.open(window, "answer");
      await run.waitForState(/done/);
      await run.waitForText("42");
    });

    it("makes a form of what parameters it can, takes JSON for the rest, and offers earlier arguments", async () => {
      const { window } = opened;
      await window.openFile("math.ts");
      await window.clickLens("Run remotely", { line: 9 });
      const form = await LaunchForm.open(window, "Run describeAll");
      await form.fill(/^title/, "A title");
      await form.fill(/^options/, '{"deep": true, "tags": [');
      await form.waitForText(/not (valid )?JSON/i);
      await form.fill(/^options/, '{"deep": true, "tags": ["x"]}');
      await form.submit();
      const run = await RunPanel.open(window, "describeAll");
      await run.waitForState(/done/);
      await run.waitForText(/A title/);
      await run.waitForText(/1970-01-01T00:00:00/);
      // The panel of the second run takes the place of this one, and has its title.
      await closeEditors(window);
      await window.openFile("math.ts");
      await window.clickLens("Run remotely", { line: 9 });
      const again = await LaunchForm.open(window, "Run describeAll");
      expect(await again.value(/^title/)).toBe("");
      await again.choose("Earlier arguments", /^A title/);
      expect(await until(() => again.value(/^title/), Boolean)).toBe("A title");
      expect(await again.value(/^options/)).toBe('{"deep": true, "tags": ["x"]}');
      await again.fill(/^title/, "Another");
      await again.submit();
      const second = await RunPanel.open(window, "describeAll");
      await second.waitForText(/Another/);
    });

    it("shows where a failure came from, opens the line and marks it", async () => {
      const { window } = opened;
      await window.openFile("fail.ts");
      await window.clickLens("Run remotely", { line: 3 });
      const form = await LaunchForm.open(window, "Run explode");
      await form.fill(/^what/, "glass");
      await form.submit();
      const run = await RunPanel.open(window, "explode");
      await run.waitForState(/failed/);
      await run.waitForText("TypeError: cannot take glass");
      await run.press(/check\.ts:3/);
      expect(
        await until(
          () => window.cursor(),
          ({ file }) => file === "check.ts",
        ),
      ).toEqual({ file: "check.ts", line: 3 });
      const problems = await window.problems(/cannot take glass/);
      expect(problems.join(" ")).toMatch(/cannot take glass.*farcall/);
    });

    it("cancels, and the function hears of it", async () => {
      const { window, home } = opened;
      const file = join(home.project, "slow.txt");
      await window.openFile("slow.ts");
      await window.clickLens("Run remotely", { line: 4 });
      const form = await LaunchForm.open(window, "Run wait");
      await form.fill(/^file/, file);
      await form.submit();
      const run = await RunPanel.open(window, "wait");
      await run.waitForState(/running/);
      await until(() => existsSync(file), Boolean);
      await window.waitForNotification(/Running wait/);
      await window.answerNotification(/Running wait/, "Cancel");
      await run.waitForState(/cancelled/);
      expect(
        await until(
          () => readFileSync(file, "utf8"),
          (text) => text === "cancelled",
        ),
      ).toBe("cancelled");
    });

    it("goes on while the window is loaded again, and is found with its result", async () => {
      const { window } = opened;
      await window.openFile("slow.ts");
      await window.clickLens("Run remotely", { line: 14 });
      const form = await LaunchForm.open(window, "Run pause");
      await form.fill(/^ms/, "9000");
      await form.submit();
      const run = await RunPanel.open(window, "pause");
      await run.waitForState(/running/);
      await window.reload();
      const again = await RunPanel.open(window, "pause");
      await again.waitForState(/done/);
      await again.waitForText("woke up");
    });

    it("shows what came from afar as text and nothing else", async () => {
      const { window } = opened;
      await window.openFile("hostile.ts");
      await window.clickLens("Run remotely", { line: 3 });
      const run = await RunPanel.open(window, "hostile");
      await run.waitForState(/done/);
      await run.waitForText(/<img src=x onerror=alert\(1\)>/);
      const made = await run.frame.evaluate(() => ({
        images: document.querySelectorAll("#app img").length,
        scripts: document.querySelectorAll("#app script").length,
        title: document.title,
        polluted: "polluted" in {},
      }));
      expect(made).toEqual({ images: 0, scripts: 0, title: "Farcall", polluted: false });
      const item = (name: RegExp) => run.frame.getByRole("treeitem", { name });
      expect(await item(/^ansi: /).innerText()).toMatch(/^ansi:\s*"\\u001b\[31mred\\u001b\[0m/);
      expect(await run.text()).not.toContain("\u001b");
      // A value that contains itself opens as deep as one likes.
      await item(/^self: /).click();
      await until(
        () => item(/^self: /).count(),
        (count) => count === 2,
      );
      await item(/^self: /)
        .nth(1)
        .click();
      await until(
        () => item(/^self: /).count(),
        (count) => count === 3,
      );
      expect(await item(/^self: /).evaluateAll((items) => items.map((each) => each.ariaLevel))).toEqual([
        "2",
        "3",
        "4",
      ]);
      await run.tab("Logs");
      await run.waitForText(/green/);
      const line = (await run.rows()).join("\n");
      expect(line).toContain("green <b>bold</b> end");
      expect(line).not.toContain("\u001b");
    });

    it("says of a key that cannot be sent what it is", async () => {
      const { window } = opened;
      await window.openFile("hostile.ts");
      await window.clickLens("Run remotely", { line: 1 });
      const run = await RunPanel.open(window, "polluting");
      await run.waitForState(/failed/);
      await run.waitForText(/own key __proto__/);
    });

    it("shows 50 MB without choking, saves what is too large for an editor, and shows the values of a generator", async () => {
      const { window, home } = opened;
      await window.openFile("hostile.ts");
      await window.clickLens("Run remotely", { line: 12 });
      const run = await RunPanel.open(window, "large");
      await run.waitForState(/done/);
      await run.waitForText(/xxxxxxxx/);
      await run.press("Open in editor");
      const suggested = await until(
        () => window.quickInput.field.inputValue({ timeout: 1_000 }).catch(() => ""),
        (text) => text.includes(".txt"),
      );
      expect(suggested).toContain(home.project);
      const target = join(home.project, "large.txt");
      await window.quickInput.type(target);
      await until(
        () => existsSync(target),
        (isThere) => isThere,
      );
      expect(statSync(target).size).toBe(50_000_000);
      await window.openFile("hostile.ts");
      await window.clickLens("Run remotely", { line: 14 });
      const form = await LaunchForm.open(window, "Run count");
      await form.fill(/^to/, "3");
      await form.submit();
      const counted = await RunPanel.open(window, "count");
      await counted.waitForState(/done/);
      await counted.waitForText(/\[ ?1, 2, 3 ?\]/);
    });

    it("runs again from the panel and copies as a command and a script", async () => {
      const { window, home } = opened;
      const cluster = home.cluster();
      const runsOf = async () => (await cluster.runs.list()).filter(({ label }) => label.endsWith("#answer"));
      const before = (await runsOf()).length;
      const { page } = window;
      await window.openFile("math.ts");
      await window.clickLens("Run remotely", { line: 7 });
      const run = await RunPanel.open(window, "answer");
      await run.waitForState(/done/);
      await run.press("Copy as command");
      await window.waitForNotification(/Copied a command/);
      expect(await page.evaluate(() => navigator.clipboard.readText())).toBe("farcall run 'math.ts#answer'");
      await run.press("Copy as script");
      await window.waitForNotification(/Copied a program/);
      expect(await page.evaluate(() => navigator.clipboard.readText())).toContain('import { cluster } from "farcall"');
      await run.press("Run again");
      const runs = await until(runsOf, (found) => found.length === before + 2 && found[0]?.state === "done");
      expect(runs.map(({ state }) => state)).toEqual(Array.from({ length: before + 2 }, () => "done"));
      await (await RunPanel.open(window, "answer")).waitForState(/done/);
    });

    it("keeps the form when the run cannot begin, and through a reload, with all that was entered", async () => {
      const { window } = opened;
      await window.openFile("astray.ts");
      await window.clickLens("Run remotely", { line: 3 });
      const form = await LaunchForm.open(window, "Run astray");
      await form.submit();
      await form.fill(/^word/, "precious");
      await form.submit();
      await form.waitForText(/missing\.ts/);
      expect(await form.value(/^word/)).toBe("precious");
      await window.reload();
      const again = await LaunchForm.open(window, "Run astray");
      expect(
        await until(
          () => again.value(/^word/),
          (text) => text !== "",
        ),
      ).toBe("precious");
      await opened.home.write("missing.ts", "export const tail = '!';\n");
      await again.submit();
      const run = await RunPanel.open(window, "astray");
      await run.waitForText("precious!");
    });

    it("lists functions that cannot be run, with the reason", async () => {
      const { window } = opened;
      await window.openFile("callbacks.ts");
      await window.runCommand("Farcall: Run Function Remotely…");
      await window.quickInput.waitFor("Run which function?");
      await window.quickInput.box.getByText("Cannot be run").waitFor();
      await window.quickInput.pick("each");
      expect(await window.waitForNotification(/^each/)).toMatch(/It takes a function/);
    });
  });
}
