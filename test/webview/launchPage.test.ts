import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LaunchForm } from "../../webview/messages/launch.ts";
import { callForm, mapForm, start } from "./data.ts";
import { PageLab, type Panel, type PanelOptions } from "./page.ts";

let lab: PageLab;
beforeAll(async () => void (lab = await PageLab.create()));
afterAll(async () => lab[Symbol.asyncDispose]());

async function openForm(form: LaunchForm, options: PanelOptions = {}): Promise<Panel> {
  const panel = await lab.open("launch", { height: 900, ...options });
  await panel.send(start, { type: "form", form });
  await panel.page.locator("h1").waitFor();
  return panel;
}

const field = (panel: Panel, name: string) => panel.page.getByRole("textbox", { name });
const button = (panel: Panel, name: string) => panel.page.getByRole("button", { name, exact: true });
const choose = async (panel: Panel, dropdown: string, option: string) => {
  await panel.page.getByRole("combobox", { name: dropdown }).click();
  await panel.page.getByRole("option", { name: option, exact: true }).click();
};

describe("the form of a call", () => {
  it("begins in its first field and can be sent once every field is right", async () => {
    await using panel = await openForm(callForm);
    await panel.page.getByRole("heading", { name: "Run summarise remotely" }).waitFor();
    await expect
      .poll(() => panel.page.evaluate("document.activeElement.getAttribute('aria-label')"))
      .toBe("url: string");
    await panel.page.keyboard.type("https://example.test/");
    await choose(panel, "mode", '"exact"');
    await panel.page.getByRole("checkbox", { name: "deep" }).click();
    await choose(panel, "Env", "browser");
    await choose(panel, "Cluster", "lab");
    await button(panel, "Run").click();
    expect(await panel.next("submit")).toMatchObject({
      texts: ["https://example.test/", "", '"exact"', "true", ""],
      env: "browser",
      cluster: "lab",
    });
    expect(panel.complaints).toEqual([]);
  });

  it("says below a field what is wrong with it, and ties the two together", async () => {
    await using panel = await openForm(callForm);
    const limit = field(panel, "limit: number, optional");
    const problem = panel.page.locator("#parameter-1-problem");
    await limit.fill("many");
    await problem.getByText("This is not a number.").waitFor();
    expect(await limit.getAttribute("aria-invalid")).toBe("true");
    const described = await panel.page.evaluate(
      `[...document.querySelectorAll("fc-text-field")][1].shadowRoot.querySelector("input").ariaDescribedByElements.map(({ id }) => id)`,
    );
    expect(described).toEqual(["parameter-1-doc", "parameter-1-problem"]);
    await limit.fill("2.5");
    await problem.getByText("This is not a whole number.").waitFor();
    await limit.fill("3");
    await expect.poll(() => problem.textContent()).toBe("");
    expect(await limit.getAttribute("aria-invalid")).toBe("false");
    await field(panel, "options: Options, optional").fill("{lang");
    await panel.page.getByText(/This is not JSON: /).waitFor();
    await field(panel, "options: Options, optional").fill("");
    await expect.poll(() => panel.page.locator("#parameter-4-problem").textContent()).toBe("");
  });

  it("takes the arguments of an earlier run, and is sent with Ctrl+Enter, once", async () => {
    await using panel = await openForm(callForm);
    await choose(panel, "Earlier arguments", 'https://example.test/b, –, "exact", false, {"lang":"en"}');
    await expect.poll(() => field(panel, "url").inputValue()).toBe("https://example.test/b");
    expect(await field(panel, "options").inputValue()).toBe('{"lang":"en"}');
    await field(panel, "url").focus();
    await panel.page.keyboard.press("Control+Enter");
    expect((await panel.next("submit")).texts).toEqual(callForm.history[1]);
    await panel.page.keyboard.press("Control+Enter");
    expect(panel.sent.filter(({ type }) => type === "submit")).toHaveLength(1);
  });

  it("says what is missing when it is sent too early, and leads to the first such field", async () => {
    await using panel = await openForm(callForm);
    await field(panel, "url").fill("https://example.test/");
    await field(panel, "limit").fill("many");
    expect(await panel.page.locator("#parameter-2-problem").textContent()).toBe("");
    await button(panel, "Run").click();
    await panel.page.locator("#parameter-2-problem").getByText("A value is needed.").waitFor();
    await panel.page.locator("#parameter-1-problem").getByText("This is not a number.").waitFor();
    const focused = () => panel.page.evaluate("document.activeElement.getAttribute('aria-label')");
    await expect.poll(focused).toBe("limit: number, optional");
    await field(panel, "limit").fill("3");
    await button(panel, "Run").click();
    await expect.poll(focused).toMatch(/^mode/);
    expect(panel.sent.some(({ type }) => type === "submit")).toBe(false);
    expect(await button(panel, "Run").isDisabled()).toBe(false);
  });

  it("says of a parameter that it cannot be entered, and what a person should know before", async () => {
    const [first] = callForm.parameters;
    const unsayable = { kind: "json", placeholder: "", unsayable: true, optional: false } as const;
    await using panel = await openForm({
      ...callForm,
      warning: "Only one argument is given.",
      parameters: [{ ...first!, name: "big", type: "bigint", doc: "A large number.", field: unsayable }],
      history: [],
    });
    await panel.page.locator("#parameter-0-doc").getByText("A large number. This cannot be entered as JSON.").waitFor();
    await panel.page.getByRole("note").getByText("Only one argument is given.").waitFor();
  });

  it("stays as it was sent until it is refused", async () => {
    await using panel = await openForm({ ...callForm, parameters: [], history: [] });
    await button(panel, "Run").click();
    await panel.next("submit");
    await expect.poll(() => button(panel, "Run").isDisabled()).toBe(true);
    await panel.send({ type: "refused", parameter: null, message: "The bundle has a fault." });
    await panel.page.getByRole("alert").getByText("The bundle has a fault.").waitFor();
    await expect.poll(() => button(panel, "Run").isDisabled()).toBe(false);
  });

  it("keeps what it is about, for when the window is loaded again", async () => {
    await using panel = await openForm(callForm);
    await field(panel, "url").fill("kept");
    expect(await panel.keptState()).toMatchObject({
      target: { mode: "call", path: "/home/me/src/summarise.ts", export: "summarise" },
      texts: ["kept", "", "", "false", ""],
    });
  });

  it("does not send what is not right, and shows a refusal at its field until that is edited", async () => {
    await using panel = await openForm(callForm);
    await field(panel, "url").focus();
    await panel.page.keyboard.press("Control+Enter");
    await panel.page.locator("#parameter-2-problem").getByText("A value is needed.").waitFor();
    expect(panel.sent.some(({ type }) => type === "submit")).toBe(false);
    await panel.send({ type: "refused", parameter: 0, message: "There is no such page." });
    await panel.page.locator("#parameter-0-problem").getByText("There is no such page.").waitFor();
    expect(await field(panel, "url").getAttribute("aria-invalid")).toBe("true");
    await field(panel, "url").fill("other");
    await expect.poll(() => panel.page.locator("#parameter-0-problem").textContent()).toBe("");
    await panel.send({ type: "refused", parameter: null, message: "The cluster is away." });
    await panel.page.getByRole("alert").getByText("The cluster is away.").waitFor();
  });

  it("says when a text is too long to be sent", async () => {
    await using panel = await openForm(callForm);
    await field(panel, "options").fill(`"${"x".repeat(2_000_000)}"`);
    await panel.page.locator("#parameter-4-problem").getByText("This is too long: at most 2,000,000").waitFor();
    await using map = await openForm({ ...mapForm, source: { kind: "paste", text: "" } });
    await field(map, "Inputs as text").fill(`"${"x".repeat(2_000_000)}"`);
    await map.page.locator("#source-problem").getByText("Use a file.").waitFor();
    await field(map, "Inputs as text").press("Control+Enter");
    expect(map.sent.filter(({ type }) => type !== "ready")).toEqual([]);
  });

  it("is as it was left when the page comes back, but not in the form of another function", async () => {
    await using panel = await openForm(callForm);
    await field(panel, "url").fill("kept");
    const state = await panel.keptState();
    await using again = await openForm(callForm, { state });
    await expect.poll(() => field(again, "url").inputValue()).toBe("kept");
    await using other = await openForm({ ...callForm, name: "other" }, { state });
    expect(await field(other, "url").inputValue()).toBe("");
  });

  it("without parameters can be sent at once, and closed", async () => {
    await using panel = await openForm({ ...callForm, parameters: [], history: [] });
    await panel.page.getByText("This function takes no arguments.").waitFor();
    await button(panel, "Run").click();
    expect((await panel.next("submit")).texts).toEqual([]);
    await button(panel, "Close").click();
    await panel.next("close");
  });
});

describe("the form of a map", () => {
  const previews: PanelOptions = {
    answer: (message) => {
      if (message.type === "pickSource") return [{ type: "picked", kind: "file", text: "data/picked.csv" }];
      if (message.type !== "previewSource") return [];
      const { request, source } = message;
      const isThere = source.text !== "missing.jsonl";
      return [
        {
          type: "preview",
          request,
          count: isThere ? 10_000 : null,
          exact: source.text !== "endless.ts#all",
          first: isThere ? ['"a"', '"b"', '"c"'] : [],
          problem: isThere ? null : "There is no file missing.jsonl.",
        },
      ];
    },
  };

  it("shows the first inputs of what was typed, and what is wrong with it", async () => {
    await using panel = await openForm(mapForm, previews);
    await button(panel, "Map").click();
    await panel.page.locator("#source-problem").getByText("Say which inputs to map.").waitFor();
    await field(panel, "File").pressSequentially("urls.jsonl", { delay: 20 });
    await panel.page.getByText("10,000 inputs; the first 3:").waitFor();
    expect(await panel.page.locator(".preview .code-line").allTextContents()).toEqual(['"a"', '"b"', '"c"']);
    // Not at every key.
    expect(panel.sent.filter(({ type }) => type === "previewSource").length).toBeLessThan("urls.jsonl".length / 2);
    await field(panel, "File").fill("missing.jsonl");
    await panel.page.locator("#source-problem").getByText("There is no file missing.jsonl.").waitFor();
    await button(panel, "Map").click();
    await expect.poll(() => panel.page.evaluate("document.activeElement.getAttribute('aria-label')")).toBe("File");
    expect(panel.sent.some(({ type }) => type === "submit")).toBe(false);
  });

  it("takes a file that was picked, options, and sends them", async () => {
    await using panel = await openForm(mapForm, previews);
    await button(panel, "Browse…").click();
    expect(await panel.next("pickSource")).toEqual({ type: "pickSource", kind: "file" });
    await expect.poll(() => field(panel, "File").inputValue()).toBe("data/picked.csv");
    await panel.page.getByText("10,000 inputs; the first 3:").waitFor();
    await field(panel, "Replicas").fill("0");
    await panel.page.getByText("This cannot be less than 1.").waitFor();
    await button(panel, "Map").click();
    expect(panel.sent.some(({ type }) => type === "submit")).toBe(false);
    await field(panel, "Replicas").fill("4");
    await field(panel, "Time limit").fill("1.5");
    await panel.page.getByRole("radio", { name: "Stop at the first failure" }).click();
    await button(panel, "Map").click();
    expect(await panel.next("submit")).toMatchObject({
      map: { replicas: "4", concurrency: "", retries: "", timeoutSeconds: "1.5", onError: "stop" },
      source: { kind: "file", text: "data/picked.csv" },
    });
  });

  it("takes other clusters that help, which the map's own is none of", async () => {
    const options = { ...previews, height: 1_200 };
    const clusters = ["local", "lab", "big"];
    await using panel = await openForm({ ...mapForm, clusters, guests: ["lab"] }, options);
    const box = (name: string) => panel.page.getByRole("checkbox", { name: `Also on ${name}`, exact: true });
    await field(panel, "File").fill("urls.jsonl");
    await expect.poll(() => box("lab").isChecked()).toBe(true);
    expect(await box("local").count()).toBe(0);
    await box("big").click();
    await choose(panel, "Cluster", "lab");
    await box("local").waitFor();
    expect(await box("lab").count()).toBe(0);
    await panel.page.getByText("10,000 inputs; the first 3:").waitFor();
    const state = await panel.keptState();
    await button(panel, "Map").click();
    expect(await panel.next("submit")).toMatchObject({ cluster: "lab", guests: ["big"] });
    await using again = await openForm({ ...mapForm, clusters: ["local", "big"] }, { ...options, state });
    await field(again, "File").press("Control+Enter");
    expect(await again.next("submit")).toMatchObject({ cluster: "local", guests: ["big"] });
  });

  it("keeps a text for each kind of source, and says when there are more inputs than were counted", async () => {
    await using panel = await openForm(mapForm, previews);
    await field(panel, "File").fill("urls.jsonl");
    await panel.page.getByRole("radio", { name: "Exported array or generator" }).click();
    await field(panel, "Export").pressSequentially("endless.ts#all");
    await panel.page.getByText("The export is run for its first inputs when you press Enter.").waitFor();
    const looks = () => panel.sent.filter((each) => each.type === "previewSource" && each.source.kind === "export");
    // Longer than a file is waited for.
    await panel.page.waitForTimeout(600);
    expect(looks()).toEqual([]);
    await panel.page.keyboard.press("Enter");
    await panel.page.getByText("At least 10,000 inputs; the first 3:").waitFor();
    expect(looks()).toHaveLength(1);
    await panel.page.getByRole("radio", { name: "Paste" }).click();
    expect(await field(panel, "Inputs as text").inputValue()).toBe("");
    await panel.page.getByRole("radio", { name: /File: JSON/ }).focus();
    await panel.page.getByRole("radio", { name: /File: JSON/ }).click();
    await expect.poll(() => field(panel, "File").inputValue()).toBe("urls.jsonl");
    expect(await panel.page.getByRole("combobox", { name: "Cluster" }).count()).toBe(0);
  });
});
