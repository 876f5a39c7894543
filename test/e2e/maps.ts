import { existsSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/home.ts";
import { Hurry } from "./support/hurry.ts";
import { closeEditors, LaunchForm, RunPanel } from "./support/panels.ts";
import type { OpenLab } from "./support/useLab.ts";

/** One function over many inputs: the form, the table, the failures, and what a run survives. */

const lines = (count: number) => Array.from({ length: count }, (_, i) => `${i}\n`).join("");

const hurry = new Hurry();

const envs = { default: { replicas: 2 }, named: { vars: { WHO: "the named one" } } };

export const mapFiles = {
  "work.ts": `export interface Row {
  n: number;
  square: number;
  word: string;
}

/** Squares a number, and fails on multiples of 1000 that are not 0. */
export async function work(n: number): Promise<Row> {
  if (n % 2500 === 0) console.log("input", n);
  if (n > 0 && n % 1000 === 0) throw new RangeError(\`no thousands: \${n}\`);
  return { n, square: n * n, word: ["zero", "one", "two"][n % 3]! };
}

export async function slowly(n: number): Promise<number> {
  ${hurry.pause(40)}
  return n * 2;
}

export function* numbers() {
  for (let i = 0; i < 25; i++) yield i;
}

export const who = () => process.env["WHO"];

export const size = (path: string, unit: string) => path.length + unit;
`,
  "trickle.ts": `export async function* trickle() {
  for (let i = 0; i < 2_000; i++) {
    ${hurry.pause(40)}
    yield i;
  }
}
`,
  "sent.ts": "export const sent = (n: number) => n * 2;\n",
  "docs/a.md": "a",
  "docs/deep/b.md": "b",
  "slower.jsonl": lines(4_000),
  "inputs.jsonl": lines(10_000),
  "long.jsonl": lines(4_000),
  "bad.jsonl": '1\n2\n{"a": \n',
  "people.csv": "name,age\nAda,36\nGrace,85\n",
};

export function mapTests(opened: OpenLab): void {
  describe("mapping a function", () => {
    beforeAll(async () => {
      // From here on there are several envs.
      await opened.home.write("farcall.json", JSON.stringify({ envs }));
      await opened.window.hidePanel();
    });
    beforeEach(() => hurry.end());
    afterAll(() => hurry.end());

    it("refuses inputs that cannot be read, while the form is there", async () => {
      const { window } = opened;
      await closeEditors(window);
      await window.openFile("work.ts");
      await window.clickLens("Map in parallel", { line: 8 });
      const form = await LaunchForm.open(window, "Map work");
      await form.source(/^File:/, "bad.jsonl");
      await form.waitForText(/bad\.jsonl:3 is not JSON/);
      await form.source(/^File:/, "people.csv");
      await form.waitForText(/2 inputs/);
      await form.waitForText(/Grace|Ada/);
      await form.source(/^Exported/, "work.ts#numbers");
      await form.waitForText(/25 inputs/);
    });

    it("maps 10,000 inputs and shows them as a table that sorts and filters", async () => {
      const { window } = opened;
      await closeEditors(window);
      await window.openFile("work.ts");
      await window.clickLens("Map in parallel", { line: 8 });
      const form = await LaunchForm.open(window, "Map work");
      await form.source(/^File:/, "inputs.jsonl");
      await form.waitForText(/10,000 inputs/);
      await form.submit();
      const run = await RunPanel.open(window, "work");
      await run.waitForState(/done/);
      expect(
        await until(
          () => run.progress(),
          ({ done }) => done === 10_000,
        ),
      ).toEqual({ done: 10_000, of: 10_000, failed: 9 });
      await run.tab("Results");
      await run.waitForRows((rows) => rows.some((row) => /^\D*0 .*zero/.test(row)));
      const heads = await run.frame.getByRole("columnheader").allInnerTexts();
      expect(heads.join(" ")).toMatch(/n.*square.*word/s);

      await run.frame
        .getByRole("columnheader", { name: /square/ })
        .getByRole("button")
        .click();
      await run.frame
        .getByRole("columnheader", { name: /square/ })
        .getByRole("button")
        .click();
      await run.waitForRows(([first = ""]) => /99980001/.test(first));

      await run.frame.getByRole("textbox", { name: "Filter results" }).fill("99980001");
      await run.waitForRows((rows) => rows.length === 1);
      await run.frame.getByRole("textbox", { name: "Filter results" }).fill("");
      await run.frame.getByRole("checkbox", { name: "Failures only" }).click();
      await run.waitForRows((rows) => rows.length === 9 && rows.every((row) => row.includes("no thousands")));
    });

    it("groups failures, opens where they came from, keeps logs and a chart", async () => {
      const { window } = opened;
      const run = await RunPanel.open(window, "work");
      await run.tab("Failures");
      await run.waitForText(/RangeError: no thousands/);
      expect(await run.text()).toMatch(/^9 inputs:/m);
      await run.press(/work\.ts:10/);
      expect(
        (
          await until(
            () => window.cursor(),
            ({ line }) => line === 10,
          )
        ).line,
      ).toBe(10);
      await run.tab("Logs");
      await run.waitForText("input 2500");
      await run.frame.getByRole("textbox", { name: "Filter log" }).fill("input 5000");
      await run.waitForRows((rows) => rows.length === 1);
      await run.tab("Activity");
      await run.frame.locator("canvas").first().waitFor();
    });

    it("goes on while the window is loaded again", async () => {
      const { window } = opened;
      await closeEditors(window);
      await window.openFile("work.ts");
      await window.clickLens("Map in parallel", { line: 14 });
      const form = await LaunchForm.open(window, "Map slowly");
      await form.source(/^File:/, "slower.jsonl");
      await form.waitForText(/4,000 inputs/);
      await form.submit();
      const run = await RunPanel.open(window, "slowly");
      await until(
        () => run.progress(),
        ({ done }) => done > 20,
      );
      await window.reload();
      // No view of ours is open, and it is known all the same.
      await window.statusBar("1 run").waitFor();
      const again = await RunPanel.open(window, "slowly");
      await again.waitForState(/running/);
      const { done } = await again.progress();
      expect(done).toBeGreaterThan(20);
      expect(done).toBeLessThan(4_000);
      hurry.begin();
      await again.waitForState(/done/, 90_000);
      expect(await again.progress()).toEqual({ done: 4_000, of: 4_000, failed: 0 });
    });

    it("is sent its other inputs after a reload in the middle, with the code as it was and no panel of its own", async () => {
      const { window, home } = opened;
      const cluster = home.cluster();
      await closeEditors(window);
      await window.openFile("sent.ts");
      await window.clickLens("Map in parallel");
      const form = await LaunchForm.open(window, "Map sent");
      await form.source(/^Exported/, "trickle.ts#trickle");
      await form.waitForText(/inputs; the first 3/);
      await form.submit();
      await RunPanel.open(window, "sent");
      const latest = async () => (await cluster.runs.list()).find(({ label }) => label.endsWith("#sent"))!;
      const { id } = await until(latest, (run) => run?.accepted > 20);
      await closeEditors(window);
      await home.write("sent.ts", "export const sent = (n: number) => n * 3;\n");
      await window.reload();
      const { accepted, total } = await latest();
      expect(accepted).toBeLessThan(2_000);
      expect(total).toBeNull();
      hurry.begin();
      const ended = await until(latest, ({ state }) => state === "done", 60_000);
      expect(ended).toMatchObject({ id, done: 2_000, total: 2_000, failed: 0 });
      const [last] = await (await cluster.runs.open(id)).pick([1_999]);
      expect(last).toMatchObject({ value: 3_998 });
      expect(await window.page.locator(".tab").count()).toBe(0);
    });

    it("takes files by a pattern and pasted lines, with the options of the form", async () => {
      const { window, home } = opened;
      const cluster = home.cluster();
      const request = async (run: string) => (await cluster.runs.open(run)).request();
      const latest = async () => (await cluster.runs.list())[0]!;
      await closeEditors(window);
      await window.openFile("work.ts");
      await window.clickLens("Map in parallel", { line: 25 });
      const form = await LaunchForm.open(window, "Map size");
      await form.waitForText(/unit will be undefined/);
      await form.source(/^Files by pattern/, "docs/**/*.md");
      await form.waitForText(/2 inputs/);
      await form.fill(/^Retries/, "2");
      await form.fill(/^Time limit/, "1.5");
      await form.submit();
      await (await RunPanel.open(window, "size")).waitForState(/done/);
      const globbed = await latest();
      expect(await request(globbed.id)).toMatchObject({
        export: "size",
        input: `glob:${join(home.project, "docs/**/*.md")}`,
        options: { retries: 2, timeoutMs: 1_500, onError: "collect" },
      });

      await closeEditors(window);
      await window.openFile("work.ts");
      await window.clickLens("Map in parallel", { line: 14 });
      const next = await LaunchForm.open(window, "Map slowly");
      await next.source(/^Paste/, "[1,\n2,");
      await next.waitForText(/Line 2 is not JSON/);
      await next.source(/^Paste/, "1\n2\n3");
      await next.waitForText(/3 inputs/);
      await next.submit();
      await (await RunPanel.open(window, "slowly")).waitForState(/done/);
      const pasted = await latest();
      expect(pasted).toMatchObject({ total: 3, done: 3 });
      const { input } = await request(pasted.id);
      expect(readFileSync(input!, "utf8")).toBe("1\n2\n3\n");
    });

    it("asks for the env of a function without parameters where there are several", async () => {
      const { window } = opened;
      await closeEditors(window);
      await window.openFile("work.ts");
      await window.clickLens("Run remotely", { line: 23 });
      await window.quickInput.waitFor("Run who in which env?");
      await window.quickInput.pick("named");
      await (await RunPanel.open(window, "who")).waitForText("the named one");
    });

    it("goes on when the agent is killed under it", async () => {
      const { window, home } = opened;
      await closeEditors(window);
      await window.openFile("work.ts");
      await window.clickLens("Map in parallel", { line: 14 });
      const form = await LaunchForm.open(window, "Map slowly");
      await form.source(/^File:/, "long.jsonl");
      await form.waitForText(/4,000 inputs/);
      await form.submit();
      const run = await RunPanel.open(window, "slowly");
      await until(
        () => run.progress().catch(() => ({ done: 0 })),
        ({ done }) => done > 20,
      );
      const before = home.agentPid()!;
      expect((await run.progress()).done).toBeLessThan(1_000);
      process.kill(before, "SIGKILL");
      const agent = await until(
        () => home.agentPid(),
        (pid) => pid !== undefined && pid !== before,
        45_000,
      );
      hurry.begin();
      await run.waitForState(/done/, 90_000);
      expect(await run.progress()).toEqual({ done: 4_000, of: 4_000, failed: 0 });
      expect(home.agentPid()).toBe(agent);
    });

    it("cancels and runs again", async () => {
      const { window } = opened;
      const run = await RunPanel.open(window, "slowly");
      await run.press("Run again");
      await window.showContainer("Farcall");
      await window.view("Runs").inlineAction("slowly", "Cancel Run");
      const rows = await until(
        () => window.view("Runs").rows(),
        ([first = ""]) => first.includes("cancelled"),
        20_000,
      );
      expect(rows[0]).toMatch(/^slowly cancelled/);
    });

    it("saves results to a file", async () => {
      const { window, home } = opened;
      await window.view("Runs").click("work");
      const run = await RunPanel.open(window, "work");
      await run.tab("Results");
      const save = async (button: string, name: string): Promise<string[]> => {
        const target = join(home.project, name);
        await run.press(button);
        await until(
          () => window.quickInput.field.inputValue({ timeout: 1_000 }).catch(() => ""),
          (text) => text.startsWith(home.project) && text.endsWith(extname(name)),
        );
        await window.quickInput.type(target);
        // It is there when all of it is.
        await until(
          () => existsSync(target),
          (isThere) => isThere,
          20_000,
        );
        return readFileSync(target, "utf8").trimEnd().split(/\r?\n/);
      };
      await run.frame.getByRole("textbox", { name: "Filter results" }).fill("");
      const failuresOnly = run.frame.getByRole("checkbox", { name: "Failures only" });
      if (await failuresOnly.isChecked()) await failuresOnly.click();
      await run.waitForRows((rows) => rows.some((row) => row.includes("zero")));
      const lines = await save("JSON Lines", "out.jsonl");
      expect(lines).toHaveLength(10_000);
      expect(new Set(lines.map((line) => (JSON.parse(line) as { index: number }).index)).size).toBe(10_000);
      const table = await save("CSV", "out.csv");
      expect(table).toHaveLength(10_001);
      expect(table[0]).toBe("index,n,square,word,error");
      expect(table).toContain("1000,,,,RangeError: no thousands: 1000");
      expect(table).toContain("9999,9999,99980001,zero,");

      await run.frame.getByRole("textbox", { name: "Filter results" }).fill("99980001");
      await run.waitForRows((rows) => rows.length === 1);
      await run.press("Open in editor");
      await window.page
        .locator(".view-line", { hasText: /"index":\s*9999/ })
        .first()
        .waitFor();
    });
  });
}
