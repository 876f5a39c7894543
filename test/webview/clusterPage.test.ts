import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cluster, clusterNode, metrics, start } from "./data.ts";
import { PageLab, type Panel } from "./page.ts";

let lab: PageLab;
beforeAll(async () => void (lab = await PageLab.create()));
afterAll(async () => lab[Symbol.asyncDispose]());

async function press(panel: Panel, name: string) {
  const after = panel.sent.length;
  await panel.page.getByRole("button", { name, exact: true }).click();
  return panel.next("clusterAct", () => true, after);
}

describe("the page of a cluster", () => {
  it("says how the cluster is, and what it is made of", async () => {
    await using panel = await lab.open("cluster");
    await panel.send(start, cluster());
    const { page } = panel;
    await page.getByRole("heading", { name: "lab", level: 1 }).waitFor();
    const facts = (await page.locator(".facts").innerText()).replaceAll("\n", " ");
    expect(facts).toMatch(/^Nodes 2 Replicas 4 Cost per hour \$0\.00 For 1 min [5-9] s$/);
    expect(await page.locator(".node-head h3").allInnerTexts()).toEqual(["m1", "m2"]);
    expect(await page.locator(".node-head .faint").first().innerText()).toBe("linux x64 · 4 cores · 8 GiB");
    await page.getByText("CPU 25%, memory 2 GiB of 8 GiB").first().waitFor();
    expect(panel.complaints).toEqual([]);
    expect(panel.strayRequests).toEqual([]);
  });

  it("says whom it helps, and who helps it", async () => {
    await using panel = await lab.open("cluster");
    await panel.send(start, cluster({ helps: ["local", "big"], helpedBy: ["far"] }));
    await expect
      .poll(async () => (await panel.page.locator(".facts").innerText()).replaceAll("\n", " "))
      .toContain("Replicas 4 Helps local, big Helped by far Cost");
  });

  it("draws how busy each node has been, and says it in words", async () => {
    await using panel = await lab.open("cluster");
    await panel.send(start, cluster(), metrics(1), metrics(2));
    const { page } = panel;
    await expect.poll(() => panel.count(".chart canvas")).toBe(4);
    await page.getByRole("img", { name: /^m1: CPU: \d+% now, 80% at most$/ }).waitFor();
    await page.getByRole("img", { name: "m2: Memory: 2.5 GiB now, 2.5 GiB at most" }).waitFor();
    await panel.send(metrics(1, 240));
    await page.getByRole("img", { name: "m1: Memory: 2.9 GiB now, 2.9 GiB at most" }).waitFor();
    expect(panel.complaints).toEqual([]);
  });

  it("lists the replicas of all nodes", async () => {
    await using panel = await lab.open("cluster");
    await panel.send(start, cluster());
    await panel.page.getByRole("table").waitFor();
    const rows = await panel.page.getByRole("row").allInnerTexts();
    expect(rows.map((row) => row.replaceAll(/\s+/g, " ").trim())).toEqual([
      "Replica Node Env State Memory Process Code",
      "2 m1 default busy 64 MiB 4001 0123456789ab",
      "3 m1 default idle 48 MiB 5001 0123456789ab",
      "4 m2 default busy 64 MiB 4002 0123456789ab",
      "5 m2 default idle 48 MiB 5002 0123456789ab",
    ]);
  });

  it("offers what can be done now, for the cluster and for a node", async () => {
    await using panel = await lab.open("cluster");
    await panel.send(start, cluster());
    expect(await press(panel, "Stop")).toEqual({ type: "clusterAct", act: "stop", node: null });
    expect(await press(panel, "Shut down")).toEqual({ type: "clusterAct", act: "shutDown", node: null });
    expect(await press(panel, "Open a terminal on m2")).toEqual({ type: "clusterAct", act: "terminal", node: 2 });
    expect(await press(panel, "Show the log of m1")).toEqual({ type: "clusterAct", act: "log", node: 1 });
    expect(await panel.page.getByRole("button", { name: "Start" }).count()).toBe(0);
    const nodes = [clusterNode(1, { load: null, replicas: [] })];
    await panel.send(cluster({ condition: "stopped", nodes, offers: ["start", "shutDown", "terminal", "log"] }));
    expect(await press(panel, "Start")).toEqual({ type: "clusterAct", act: "start", node: null });
    expect(await panel.page.locator("[aria-live=polite]").textContent()).toBe("Stopped");
  });

  it("shows what is wrong: a cluster out of reach, warnings, a node that is not heard of", async () => {
    await using panel = await lab.open("cluster");
    const nodes = [clusterNode(1), clusterNode(2, { load: null, replicas: [] })];
    await panel.send(start, cluster({ nodes, warnings: ["The disk of m1 is nearly full."] }));
    await panel.page.getByText("The disk of m1 is nearly full.").waitFor();
    await panel.page.getByText("not heard of").waitFor();
    expect(await panel.count(".state .codicon-warning")).toBe(1);
    const words = {
      unreachable: "unreachable",
      silent: "its agent does not run",
      uncarried: "relayed, and no client carries its traffic",
      "cut-off": "does not get through to the queue",
    } as const;
    for (const [why, text] of Object.entries(words)) {
      const away = why as keyof typeof words;
      await panel.send(cluster({ nodes: [clusterNode(1), clusterNode(2, { load: null, away, replicas: [] })] }));
      await panel.page.getByText(text, { exact: true }).waitFor();
    }
    await panel.send(cluster({ condition: "unreachable", problem: "m1 took no login within 20 s.", nodes: [] }));
    await panel.page.getByText("m1 took no login within 20 s.").waitFor();
    await panel.page.getByText("Unreachable", { exact: true }).first().waitFor();
  });

  it("keeps which cluster it is, so that the panel is found again", async () => {
    await using panel = await lab.open("cluster");
    await panel.send(start, cluster());
    await panel.page.getByRole("heading", { name: "lab", level: 1 }).waitFor();
    expect(await panel.keptState()).toEqual({ cluster: "lab" });
  });

  it("takes no message that is not as agreed, and shows text as text", async () => {
    await using panel = await lab.open("cluster");
    const host = '<img src=x onerror="document.title=1">\u202eevil';
    await panel.send(start, cluster({ nodes: [clusterNode(1, { host })] }), { type: "cluster", cluster: { name: 5 } });
    await panel.page.getByText("<img src=x").first().waitFor();
    expect(await panel.count("img")).toBe(0);
    expect(await panel.page.locator("h3").innerText()).not.toContain("\u202e");
    expect(panel.complaints.filter((text) => !text.startsWith("A message was dropped"))).toEqual([]);
    expect(panel.complaints).toHaveLength(1);
  });
});
