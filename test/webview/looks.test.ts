import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answers, logLine, logs, run, start } from "./data.ts";
import { PageLab, type Panel } from "./page.ts";

let lab: PageLab;
beforeAll(async () => void (lab = await PageLab.create()));
afterAll(async () => lab[Symbol.asyncDispose]());

const styleOf = (panel: Panel, selector: string, property: string) =>
  panel.page.evaluate<string>(
    `getComputedStyle(document.querySelector(${JSON.stringify(selector)})).getPropertyValue(${JSON.stringify(property)})`,
  );

describe("colours that the system forces", () => {
  it("leave a bar, a selected row and the chosen tab to be told from the others", async () => {
    await using panel = await lab.open("run", { answer: answers(20) });
    await panel.page.emulateMedia({ forcedColors: "active" });
    await panel.send(start, run({ state: "running", endedAtMs: null, done: 5_000 }));
    await panel.page.locator('[data-row="4"]').click();
    await panel.page.locator(".row.selected").waitFor();
    const track = await styleOf(panel, ".progress", "background-color");
    expect(await styleOf(panel, ".progress .bar", "background-color")).not.toBe(track);
    expect(await styleOf(panel, ".row.selected", "outline-width")).toBe("2px");
    expect(await styleOf(panel, 'fc-panel-tab[aria-selected="true"]', "border-bottom-color")).not.toBe(
      await styleOf(panel, 'fc-panel-tab[aria-selected="false"]', "border-bottom-color"),
    );
  });
});

describe("less motion", () => {
  it("leaves a bar of unknown length that does not look like a share", async () => {
    await using panel = await lab.open("run", { answer: answers(0) });
    await panel.send(start, run({ state: "running", endedAtMs: null, total: null, accepted: 5, done: 1 }));
    await panel.page.locator(".progress.endless").waitFor();
    const widths = `[".progress", ".progress .bar"].map((each) => document.querySelector(each).clientWidth)`;
    const [track, bar] = await panel.page.evaluate<[number, number]>(widths);
    expect(bar).toBe(track);
    expect(await styleOf(panel, ".progress .bar", "background-image")).toContain("repeating-linear-gradient");
  });
});

describe("text on a terminal colour", () => {
  it("is black or white, whichever can be read on it, in whatever colour it was printed", async () => {
    await using panel = await lab.open("run", { answer: answers(0) });
    const text =
      "\u001b[47mwhite\u001b[0m \u001b[31;40mblack\u001b[0m \u001b[42mgreen\u001b[0m \u001b[44mblue\u001b[0m";
    await panel.send(start, run(), logs([logLine(0, { text })]));
    await panel.page.getByRole("tab", { name: "Logs" }).click();
    await panel.page.getByText("green", { exact: true }).waitFor();
    const colourOn = (name: string) => styleOf(panel, `.ansi-on-${name}`, "color");
    expect(await Promise.all(["white", "black", "green", "blue"].map(colourOn))).toEqual([
      "color(srgb-linear 0 0 0)",
      "color(srgb-linear 1 1 1)",
      "color(srgb-linear 0 0 0)",
      expect.stringMatching(/^color\(srgb-linear (0 0 0|1 1 1)\)$/),
    ]);
  });
});
