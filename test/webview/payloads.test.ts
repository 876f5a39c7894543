import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FailureGroup } from "../../webview/messages/run.ts";
import { answers, callForm, connection, logLine, logs, mapForm, node, row, run, start } from "./data.ts";
import { PageLab, type Panel } from "./page.ts";
import { payloads } from "./payloads.ts";

/** A hundred texts that would do harm, in every place where a page shows what came from afar. */

let lab: PageLab;
beforeAll(async () => void (lab = await PageLab.create()));
afterAll(async () => lab[Symbol.asyncDispose]());

const harmless = payloads.map((_, i) => `text ${i}`);
/** All rows are drawn at once. */
const tall = { height: 4_000 };

/** How many elements of each kind the page is made of; colours make spans, and nothing else does. */
async function elements(panel: Panel): Promise<Record<string, number>> {
  return panel.page.evaluate(`(() => {
    const counts = {};
    for (const { localName } of document.querySelectorAll("*")) {
      if (localName !== "span") counts[localName] = (counts[localName] ?? 0) + 1;
    }
    return counts;
  })()`);
}

async function expectUnharmed(panel: Panel): Promise<void> {
  const { page } = panel;
  expect(await page.evaluate("globalThis.harmed")).toBeUndefined();
  const attributes = `[...document.querySelectorAll("#app *")].flatMap((element) => [...element.attributes])`;
  expect(await page.evaluate(`${attributes}.filter(({ name }) => /^on|^srcdoc$|^formaction$/.test(name)).length`)).toBe(
    0,
  );
  expect(await page.evaluate(`document.querySelectorAll("#app [href], #app [src]").length`)).toBe(0);
  const text = await page.evaluate<string>("document.querySelector('#app').textContent");
  // oxlint-disable-next-line no-control-regex -- that there are none
  expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
  expect(panel.strayRequests).toEqual([]);
  expect(panel.complaints).toEqual([]);
}

function group(text: string, i: number): FailureGroup {
  return {
    id: String(i),
    title: text,
    count: 1,
    indices: [i],
    frames: [{ name: text, place: text, opens: true }],
    code: [{ line: 1, text, marked: true }],
    details: [
      { kind: "hint", text },
      { kind: "cause", text },
      { kind: "member", text },
    ],
  };
}

/** The page of a run that holds the texts, and what each of its tabs is made of. */
async function walkRun(texts: readonly string[]): Promise<Record<string, Record<string, number>>> {
  const ofRows = answers(texts.length, (i) => row(i, { cells: [texts[i]!, texts[i]!] }), ["first", "second"]);
  await using panel = await lab.open("run", {
    ...tall,
    answer: (message) => {
      if (message.type !== "getTree") return ofRows(message);
      const nodes =
        message.count === 0
          ? [node("", "object", texts[0]!, texts.length)]
          : texts.slice(message.first, message.first + message.count).map((text) => node(text, "string", text));
      return [{ type: "tree", request: message.request, nodes, problem: null }];
    },
  });
  const { page } = panel;
  await panel.send(
    start,
    run(),
    { type: "failures", groups: texts.map(group), more: false, others: 0 },
    logs(texts.map((text, i) => logLine(i, { text }))),
  );
  const found: Record<string, Record<string, number>> = {};
  // A row that is still being read does not open.
  await page.locator(`[data-row="${texts.length - 1}"] .cell.index`).click();
  await page.getByRole("treeitem").nth(100).waitFor();
  found["Results"] = await elements(panel);
  await expectUnharmed(panel);
  for (const tab of ["Failures", "Logs"]) {
    await page.getByRole("tab", { name: tab }).click();
    await page.locator(tab === "Logs" ? `[data-row="${texts.length - 1}"]` : ".failure >> nth=100").waitFor();
    found[tab] = await elements(panel);
    await expectUnharmed(panel);
  }
  for (const text of texts) {
    const error = { message: text, hint: text };
    await panel.send(run({ state: "failed", label: text, env: text, error }), connection({ text, action: "retry" }));
  }
  await page.getByText("Failed", { exact: true }).waitFor();
  found["head"] = await elements(panel);
  await expectUnharmed(panel);
  expect(new Set(panel.sent.map(({ type }) => type))).toEqual(new Set(["ready", "getRows", "getTree"]));
  return found;
}

describe("a hundred harmful texts", () => {
  it("are a hundred, and differ", () => {
    expect(new Set(payloads).size).toBe(payloads.length);
    expect(payloads.length).toBeGreaterThanOrEqual(100);
  });

  it("make a run's page of the same elements as harmless ones, send nothing and load nothing", async () => {
    expect(await walkRun(payloads)).toEqual(await walkRun(harmless));
  });

  it("do so in the forms as well", async () => {
    for (const form of [callForm, mapForm]) {
      const walk = async (texts: readonly string[]) => {
        await using panel = await lab.open("launch", {
          ...tall,
          answer: (message) =>
            message.type === "previewSource"
              ? [
                  {
                    type: "preview",
                    request: message.request,
                    count: 100,
                    exact: true,
                    first: [...texts],
                    problem: null,
                  },
                ]
              : [],
        });
        const parameters = texts.map((text) => ({ ...form.parameters[0]!, name: text, type: text, doc: text }));
        const history = texts.map((text) => parameters.map(() => text));
        const changed = { name: texts[0]!, file: texts[1]!, signature: texts.join(" "), doc: texts.join(" ") };
        await panel.send(start, {
          type: "form",
          form: { ...form, ...changed, parameters, history, source: { kind: "paste", text: "[1]" } },
        });
        await panel.page.locator("h1").waitFor();
        if (form.target.mode === "map") await panel.page.locator(".preview .code-line").nth(100).waitFor();
        for (const message of texts) await panel.send({ type: "refused", parameter: null, message });
        await panel.page.getByRole("alert").locator(".message").waitFor();
        await expectUnharmed(panel);
        expect(panel.sent.map(({ type }) => type).filter((type) => type !== "previewSource")).toEqual(["ready"]);
        return await elements(panel);
      };
      expect(await walk(payloads)).toEqual(await walk(harmless));
    }
  });
});
