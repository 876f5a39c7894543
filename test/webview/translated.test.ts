import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  answers,
  callForm,
  cluster,
  clusterNode,
  failures,
  logs,
  mapForm,
  metrics,
  mixedLog,
  node,
  row,
  run,
  start,
  timeline,
} from "./data.ts";
import { PageLab, type Panel } from "./page.ts";

/** Every text of the pages goes through the table of translations: with one that marks its texts, none is without. */

let lab: PageLab;
beforeAll(async () => void (lab = await PageLab.create()));
afterAll(async () => lab[Symbol.asyncDispose]());

const english = Object.keys(
  JSON.parse(readFileSync(join(import.meta.dirname, "../../l10n/bundle.l10n.json"), "utf8")) as Record<string, string>,
);
const strings = Object.fromEntries(english.map((text) => [text, `⟦${text}⟧`]));

/** Texts outside of the marks that are words; those of the data are known. */
async function unmarked(panel: Panel, known: readonly string[]): Promise<string[]> {
  const texts = await panel.page.evaluate<string[]>(`(() => {
    const found = [];
    const walker = document.createTreeWalker(document.querySelector("#app"), NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
    for (let at = walker.currentNode; at; at = walker.nextNode()) {
      if (at.nodeType === 3) found.push(at.textContent);
      else for (const name of ["aria-label", "title", "placeholder", "aria-valuetext"]) found.push(at.getAttribute(name) ?? "");
    }
    return found;
  })()`);
  const isKnown = (text: string) => known.some((each) => each.includes(text) || text.includes(each));
  return [
    ...new Set(
      texts
        .map((text) => text.replaceAll(/⟦[^⟦⟧]*(?:⟦[^⟦⟧]*⟧[^⟦⟧]*)*⟧/g, " ").trim())
        .filter((text) => /\p{L}{2}/u.test(text) && !isKnown(text)),
    ),
  ];
}

// oxlint-disable-next-line no-control-regex -- they are what is removed
const colours = /\u001b\[[\d;]*m/g;
const words =
  "src/words.ts#wordCounts https://example.test/ local default words url stdout stderr log missing undefined true at: ok: 2026-11-01T12:00:00.000Z";
const data = [
  ...words.split(" "),
  "TypeError: no",
  "{ url, words, ok, at }",
  ...mixedLog.flatMap(({ text }) => [text.replaceAll(colours, ""), ...text.split(colours).map((part) => part.trim())]),
  ...failures.flatMap(({ title, frames, code }) => [
    title,
    ...frames.flatMap(({ name, place }) => [name, place]),
    ...code.map(({ text }) => text),
  ]),
].filter((text) => text !== "");

it("a run's page has no text that is not translated", async () => {
  const rowAt = (i: number) => (i === 3 ? row(3, { state: "error", cells: ["TypeError: no"] }) : row(i));
  await using panel = await lab.open("run", { answer: answers(20, rowAt) });
  const { page } = panel;
  const state = { ...start, strings };
  await panel.send(
    state,
    run({ state: "running", endedAtMs: null, active: 1, ratePerSecond: 10, done: 5, createdAtMs: Date.now() - 3_000 }),
    { type: "failures", groups: failures, more: true, others: 2 },
    { type: "timeline", timeline },
    logs(mixedLog, 3, true),
  );
  await page.locator('[data-row="4"]').click();
  await page.getByRole("treeitem", { name: "words: Array(250)" }).click();
  await page.getByRole("treeitem", { name: /100/ }).last().waitFor();
  const found = await unmarked(panel, [...data, "Array"]);
  for (const [tab, content] of Object.entries({
    Failures: ".failure",
    Logs: ".log-grid [data-row]",
    Activity: ".activity",
  })) {
    await page.getByRole("tab", { name: tab }).click();
    await page.locator(content).first().waitFor();
    found.push(...(await unmarked(panel, data)));
  }
  const call = { kind: "call", total: 1, done: 1, failed: 0 } as const;
  await panel.send(run({ ...call, state: "running", endedAtMs: null }));
  await page.locator(".waiting").waitFor();
  found.push(...(await unmarked(panel, data)));
  await panel.send(run(call), { type: "result", root: node("", "object", "{ url, words, ok, at }", 5) });
  await page.getByRole("treeitem").first().waitFor();
  found.push(...(await unmarked(panel, [...data, "Array"])));
  expect(found).toEqual([]);
});

it("the forms have none either", async () => {
  const found: string[] = [];
  for (const form of [callForm, mapForm]) {
    await using panel = await lab.open("launch", {
      answer: (message) =>
        message.type === "previewSource"
          ? [{ type: "preview", request: message.request, count: 2, exact: true, first: ["[1]", "[2]"], problem: null }]
          : [],
    });
    await panel.send(
      { ...start, strings },
      { type: "form", form: { ...form, source: { kind: "paste", text: "[1]" } } },
    );
    await panel.page.locator("h1").waitFor();
    if (form.target.mode === "map") await panel.page.locator(".preview .code-line").first().waitFor();
    const own = form.parameters.flatMap(({ name, type, doc }) => [name, type, ...(doc ? [doc] : [])]);
    const known = [
      form.name,
      form.file,
      form.signature,
      form.doc,
      ...own,
      ...form.envs,
      ...form.clusters,
      "https://",
      '["first", "second"]',
      "exact",
      "fast",
      '{"lang"',
    ];
    found.push(...(await unmarked(panel, known)));
  }
  expect(found).toEqual([]);
});

it("nor has the page of a cluster", async () => {
  await using panel = await lab.open("cluster");
  const nodes = [clusterNode(1), clusterNode(2, { load: null, replicas: [] }), clusterNode(3)];
  const known = ["lab", "m1", "m2", "m3", "linux x64", "default", "0123456789ab", "Hot."];
  await panel.send({ ...start, strings }, cluster({ nodes, warnings: ["Hot."] }), metrics(1));
  await panel.page.locator(".chart canvas").first().waitFor();
  const found = await unmarked(panel, known);
  const offers = ["start", "stop", "shutDown", "terminal", "log"] as const;
  for (const condition of ["idle", "stopped", "launching", "ending", "unreachable", "broken", "unknown"] as const) {
    await panel.send(cluster({ condition, nodes: [], offers: [...offers] }));
    await panel.page.locator(".node").first().waitFor({ state: "detached" });
    found.push(...(await unmarked(panel, known)));
  }
  expect(found).toEqual([]);
});
