import { existsSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { until } from "../support/home.ts";
import { closeEditors, LaunchForm, RunPanel } from "./support/panels.ts";
import { useLab } from "./support/useLab.ts";

/** One function over many inputs: the form, the table, the failures, and what a run survives. */

const lines = (count: number) => Array.from({ length: count }, (_, i) => `${i}\n`).join("");

const files = {
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
  await new Promise((resolve) => setTimeout(resolve, 40));
  return n * 2;
}

export function* numbers() {
  for (let i = 0; i < 25; i++) yield i;
}
`,
  "farcall.json": '{ "envs": { "default": { "replicas": 2 } } }\n',
  "inputs.jsonl": lines(10_000),
  "long.jsonl": lines(1_200),
  "bad.jsonl": '1\n2\n{"a": \n',
  "people.csv": "name,age\nAda,36\nGrace,85\n",
};

describe("mapping a function", () => {
  const opened = useLab({ files });

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
    await form.source(/^File:/, "long.jsonl");
    await form.waitForText(/1,200 inputs/);
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
    await again.waitForState(/running|done/);
    expect((await again.progress()).done).toBeGreaterThan(20);
    await again.waitForState(/done/, 90_000);
    expect(await again.progress()).toEqual({ done: 1_200, of: 1_200, failed: 0 });
  });

  it("goes on when the agent is killed under it", async () => {
    const { window, home } = opened;
    await closeEditors(window);
    await window.openFile("work.ts");
    await window.clickLens("Map in parallel", { line: 14 });
    const form = await LaunchForm.open(window, "Map slowly");
    await form.source(/^File:/, "long.jsonl");
    await form.waitForText(/1,200 inputs/);
    await form.submit();
    const run = await RunPanel.open(window, "slowly");
    await until(
      () => run.progress().catch(() => ({ done: 0 })),
      ({ done }) => done > 20,
    );
    const before = home.agentPid()!;
    expect((await run.progress()).done).toBeLessThan(1_000);
    process.kill(before, "SIGKILL");
    await run.waitForState(/done/, 90_000);
    expect(await run.progress()).toEqual({ done: 1_200, of: 1_200, failed: 0 });
    expect(home.agentPid()).not.toBe(before);
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
