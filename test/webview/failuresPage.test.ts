import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FailureGroup } from "../../webview/messages/run.ts";
import { answers, failures, run, start } from "./data.ts";
import { PageLab, type Panel } from "./page.ts";

let lab: PageLab;
beforeAll(async () => void (lab = await PageLab.create()));
afterAll(async () => lab[Symbol.asyncDispose]());

const sent = (groups: FailureGroup[], others = 0) => ({ type: "failures", groups, more: false, others });
const group = (id: string): FailureGroup => ({
  ...failures[0]!,
  id,
  title: `Error: ${id}`,
  frames: [{ name: id, place: `src/${id}.ts:1:1`, opens: true }],
});

async function openFailures(groups: FailureGroup[], others = 0, state: unknown = null): Promise<Panel> {
  const panel = await lab.open("run", { answer: answers(0), state });
  await panel.send(start, run(), sent(groups, others));
  await panel.page.getByRole("tab", { name: /Failures/ }).click();
  await panel.page.getByRole("region", { name: "Failures" }).waitFor();
  return panel;
}

describe("the failures of a run", () => {
  it("keep the focus as they change places, and a frame is that of the failure it is seen at", async () => {
    await using panel = await openFailures([group("a"), group("b")]);
    const link = panel.page.getByRole("button", { name: "src/b.ts:1:1" });
    await link.focus();
    await panel.send(sent([group("b"), group("c"), group("a")]));
    await panel.page.getByText("Error: c").waitFor();
    expect(await panel.page.evaluate("document.activeElement.textContent")).toBe("src/b.ts:1:1");
    await link.click();
    expect(await panel.next("openFrame")).toEqual({ type: "openFrame", failure: "b", frame: 0 });
  });

  it("say what is not shown of them, and what else an error holds", async () => {
    const details: FailureGroup["details"] = [
      { kind: "hint", text: "Try less." },
      { kind: "member", text: "RangeError: one" },
      { kind: "further", text: "12" },
      { kind: "cause", text: "Error: why" },
    ];
    await using panel = await openFailures([{ ...group("a"), details }], 1_250);
    expect(await panel.page.locator(".detail-text").allTextContents()).toEqual([
      "Try less.",
      "One of its errors: RangeError: one",
      "12 further errors",
      "Caused by Error: why",
    ]);
    await panel.page.getByText("1,250 failures of further kinds are not shown").waitFor();
  });

  it("are scrolled to where they were, after another tab and in another life of the page", async () => {
    const many = Array.from({ length: 30 }, (_, i) => group(`g${i}`));
    await using panel = await openFailures(many);
    const top = (of: Panel) => of.page.evaluate<number>(`document.querySelector(".failures").scrollTop`);
    await panel.page.evaluate(`document.querySelector(".failures").scrollTop = 700`);
    await expect.poll(() => panel.keptState()).toMatchObject({ scrolledPx: { failures: 700 } });
    await panel.page.getByRole("tab", { name: "Logs" }).click();
    await panel.page.getByText("Nothing was printed.").waitFor();
    await panel.page.getByRole("tab", { name: /Failures/ }).click();
    await expect.poll(() => top(panel)).toBe(700);
    await using again = await openFailures(many, 0, await panel.keptState());
    await expect.poll(() => top(again)).toBe(700);
  });
});
