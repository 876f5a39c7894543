import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  answers,
  backgroundLog,
  callForm,
  cluster,
  clusterNode,
  connection,
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
import { type ThemeName, themes } from "./themes.ts";

let lab: PageLab;
beforeAll(async () => void (lab = await PageLab.create()));
afterAll(async () => lab[Symbol.asyncDispose]());

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What breaks the rules, one line each: the rule, where, and why. */
async function breaches(panel: Panel, where: string): Promise<string[]> {
  await panel.page.evaluate(axe);
  const { violations } = await panel.page.evaluate<Pick<AxeResults, "violations">>(
    // A page of the editor is in a frame, so what is asked of whole documents does not hold.
    `axe.run(document, { resultTypes: ["violations"], rules: { region: { enabled: false } } }).then(({ violations }) => ({ violations }))`,
  );
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${where}: ${id} at ${JSON.stringify(target)}: ${failureSummary}`),
  );
}

const someFail = (position: number) =>
  position === 3
    ? row(3, { state: "error", attempts: 2, cells: ["TypeError: no"] })
    : position === 5
      ? row(5, { state: "pending", attempts: 0, sizeBytes: 0, cells: [] })
      : row(position);

describe.each(Object.keys(themes) as ThemeName[])("in the theme %s", (theme) => {
  it("every tab of a map keeps to the rules of accessibility", async () => {
    await using panel = await lab.open("run", { theme, answer: answers(200, someFail) });
    const error = { message: "The run stopped.", hint: "Try again." };
    await panel.send(start, run({ state: "failed", error, costUsd: 1 }));
    await panel.send(connection({ text: "The cluster is not running.", action: "start" }));
    await panel.send(
      { type: "failures", groups: failures, more: true, others: 7 },
      { type: "timeline", timeline },
      logs([...mixedLog, ...backgroundLog], 9, true),
    );
    const found: string[] = [];
    await panel.page.locator('[data-row="4"]').click();
    await panel.page.getByRole("treeitem", { name: "words: Array(250)" }).waitFor();
    found.push(...(await breaches(panel, "Results")));
    const contents = {
      Failures: "Caused by Error: the page was empty",
      Logs: "plain dark light green",
      Activity: /^On average/,
    };
    for (const [tab, content] of Object.entries(contents)) {
      await panel.page.getByRole("tab", { name: new RegExp(tab) }).click();
      await panel.page.getByText(content).last().waitFor();
      found.push(...(await breaches(panel, tab)));
    }
    expect(found).toEqual([]);
  });

  it("a call keeps to them, running and done", async () => {
    await using panel = await lab.open("run", { theme, answer: answers(1) });
    const call = { kind: "call", total: 1, done: 1, failed: 0 } as const;
    await panel.send(start, run({ ...call, state: "running", endedAtMs: null, done: 0 }));
    await panel.page.getByText(/Running for/).waitFor();
    const found = await breaches(panel, "running");
    await panel.send(run(call), { type: "result", root: node("", "object", "{ url }", 5) });
    await panel.page.getByRole("treeitem", { name: "words: Array(250)" }).waitFor();
    found.push(...(await breaches(panel, "done")));
    expect(found).toEqual([]);
  });

  it("a cluster keeps to them, with and without charts", async () => {
    await using panel = await lab.open("cluster", { theme, height: 1_200 });
    const nodes = [clusterNode(1), clusterNode(2, { load: null, replicas: [] })];
    await panel.send(start, cluster({ nodes, warnings: ["The disk is nearly full."] }), metrics(1));
    await panel.page.locator(".chart canvas").first().waitFor();
    const found = await breaches(panel, "up");
    await panel.send(cluster({ condition: "unreachable", problem: "It is away.", nodes, offers: ["start"] }));
    await panel.page.getByText("It is away.").waitFor();
    found.push(...(await breaches(panel, "unreachable")));
    expect(found).toEqual([]);
  });

  it("both forms keep to them, with problems shown and a dropdown open", async () => {
    const found: string[] = [];
    for (const form of [callForm, mapForm]) {
      await using panel = await lab.open("launch", { theme, height: 900 });
      await panel.send(start, { type: "form", form });
      await panel.page.getByRole("textbox", { name: form.target.mode === "call" ? "limit" : "Retries" }).fill("x");
      await panel.send({ type: "refused", parameter: null, message: "The cluster is away." });
      await panel.page.getByText("This is not a").waitFor();
      found.push(...(await breaches(panel, form.target.mode)));
      await panel.page.getByRole("combobox", { name: "Env" }).click();
      found.push(...(await breaches(panel, `${form.target.mode}, dropdown open`)));
    }
    expect(found).toEqual([]);
  });
});

describe("the focus", () => {
  it("is seen on every control that Tab reaches on a run's page", async () => {
    await using panel = await lab.open("run", { answer: answers(200) });
    await panel.send(start, run());
    await panel.page.locator('[data-row="4"]').waitFor();
    const reached = new Set<string>();
    for (let step = 0; step < 40; step++) {
      await panel.page.keyboard.press("Tab");
      const { name, isSeen } = await panel.page.evaluate<{ name: string; isSeen: boolean }>(`(() => {
        const host = document.activeElement;
        const inner = host.shadowRoot?.activeElement ?? host;
        const own = [host, inner, ...(host.shadowRoot?.querySelectorAll(".control, .root") ?? [])];
        const focusColour = getComputedStyle(document.body).getPropertyValue("--vscode-focusBorder").trim();
        const probe = document.body.appendChild(document.createElement("i"));
        probe.style.color = focusColour;
        const colour = getComputedStyle(probe).color;
        probe.remove();
        const isSeen = own.some((element) => {
          const style = getComputedStyle(element);
          return (style.outlineStyle !== "none" && style.outlineColor === colour) || style.borderTopColor === colour;
        });
        if (host === document.body) return { name: "", isSeen: false };
        return { name: inner.getAttribute("aria-label") ?? host.getAttribute("aria-label") ?? host.textContent ?? host.tagName, isSeen };
      })()`);
      // The browser goes on from the end to the beginning, by way of the page itself.
      if (name === "" || reached.has(name)) break;
      expect(isSeen, name).toBe(true);
      reached.add(name);
    }
    expect(reached.size).toBeGreaterThan(8);
  });
});
