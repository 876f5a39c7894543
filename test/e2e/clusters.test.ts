import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, inject, it } from "vitest";
import { describeInLab } from "../lab/describeInLab.ts";
import type { Machine } from "../lab/machine.ts";
import { until } from "../support/home.ts";
import { natsServerProgram } from "../support/natsProgram.ts";
import { Lab as EditorLab } from "./support/lab.ts";
import { ClusterPanel, closeEditors, LaunchForm, RunPanel } from "./support/panels.ts";
import type { EditorWindow } from "./support/window.ts";

/** A cluster of machines of one's own, as a person makes and uses it in the editor. */

const files = {
  "where.ts": `import { hostname } from "node:os";\nexport const where = (n: number) => hostname() + ":" + n;\n`,
  "inputs.jsonl": Array.from({ length: 200 }, (_, i) => `${i}\n`).join(""),
};

describeInLab("a cluster of your machines", (lab) => {
  let machines: Machine[];
  let editor: EditorLab;
  let window: EditorWindow;

  beforeAll(async () => {
    machines = await lab().machines(2);
    // As after reading their addresses somewhere: their keys are not known yet.
    const config = join(lab().folder, "unknown_config");
    const hosts = machines.map(({ name, address, user, privateKeyFile }) =>
      [
        `Host ${name}`,
        `  HostName ${address}`,
        `  User ${user}`,
        `  IdentityFile ${privateKeyFile}`,
        "  IdentitiesOnly yes",
        `  UserKnownHostsFile ${join(lab().folder, "nobody")}`,
      ].join("\n"),
    );
    await writeFile(config, `${hosts.join("\n")}\n`);
    editor = await EditorLab.start({
      vsix: inject("vsix"),
      files,
      variables: { FARCALL_SSH_CONFIG: config, FARCALL_NATS_SERVER: await natsServerProgram() },
    });
    window = await editor.open();
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail")
      await window?.screenshot(join(import.meta.dirname, "../../.cache/e2e/clusters.png")).catch(() => undefined);
  });
  afterAll(async () => {
    await editor?.[Symbol.asyncDispose]();
  });

  const clusters = () => window.view("Clusters");
  const waitForRow = (row: RegExp) =>
    until(
      () => clusters().rows(),
      (rows) => rows.some((each) => row.test(each)),
      60_000,
    );

  it("is added, worked on, looked at, stopped, started and shut down", { timeout: 400_000, retry: 0 }, async () => {
    const { quickInput } = window;
    await window.showContainer("Farcall");
    await clusters().headerAction("Add Cluster of Your Machines");
    await quickInput.waitFor("A name for the cluster");
    await quickInput.type("local", { accept: false });
    await until(
      () => quickInput.message().catch(() => ""),
      (text) => text.includes("There is a cluster local already."),
    );
    await quickInput.type("lab");
    await quickInput.waitFor("Machines: pick hosts");
    expect(await quickInput.labels()).toEqual(machines.map(({ name }) => name));
    await quickInput.type(machines.map(({ name }) => name).join(" "));

    for (const _ of machines) {
      await window.dialog.getByText("is not known yet. Is this the machine?").waitFor();
      const text = await window.dialog.innerText();
      expect(text).toMatch(/Address: [\d.]+\s+Key: ssh-ed25519\s+Fingerprint: SHA256:\S+/);
      await window.dialog.getByRole("button", { name: "Trust and Connect" }).click();
      await window.page.waitForTimeout(500);
    }
    await window.waitForNotification("The cluster lab is up: 2 nodes.");
    await waitForRow(/^lab up · 2 nodes · 0 replicas · \$0\.00\/h/);
    await clusters().expand("lab");
    const rows = await waitForRow(new RegExp(`^${machines[1]!.name} linux x64 · \\d+ cores? · CPU \\d+% · [\\d.]+ of`));
    expect(rows.filter((row) => row.includes("linux x64"))).toHaveLength(2);

    await window.openFile("where.ts");
    await window.clickLens("Map in parallel");
    const form = await LaunchForm.open(window, "Map where");
    await form.source(/^File:/, "inputs.jsonl");
    await form.choose("Cluster", "lab");
    // A click can miss while the list of clusters goes away; a form that was sent takes no second one.
    const begun = window.page.locator('.tab[aria-label="where"], .tab[aria-label^="where,"]');
    await until(
      async () => {
        await form.submit().catch(() => undefined);
        return begun.waitFor({ timeout: 5_000 }).then(
          () => true,
          () => false,
        );
      },
      Boolean,
      60_000,
    );
    const run = await RunPanel.open(window, "where");
    await run.waitForState(/done/, 90_000);
    await run.waitForText("200 of 200");
    const results = await run.waitForRows((found) => found.length > 5);
    expect(results.join("\n")).toMatch(/m[12]:\d/);
    await run.press("Copy as command");
    await window.waitForNotification("Copied a command that repeats the run.");
    expect(await window.page.evaluate<string>("navigator.clipboard.readText()")).toContain("--on lab");
    await closeEditors(window);

    await clusters().click("lab");
    const panel = await ClusterPanel.open(window, "lab");
    await panel.waitForState(/Up/);
    await panel.waitForCharts(4);
    await panel.frame
      .getByRole("row", { name: /default/ })
      .first()
      .waitFor();

    await panel.press("Stop");
    await panel.waitForState(/Stopped/);
    await waitForRow(/^lab stopped$/);
    await panel.press("Start");
    await panel.waitForState(/Up/);

    await panel.press("Shut down");
    await window.dialog.getByText("This removes Farcall and everything that it keeps from the machines").waitFor();
    await window.dialog.getByRole("button", { name: "Shut Down", exact: true }).click();
    await until(
      () => clusters().rows(),
      (found) => !found.some((row) => row.startsWith("lab")),
      60_000,
    );
    await window.page.locator(".tab[aria-label^='Cluster lab']").waitFor({ state: "hidden" });
    for (const machine of machines) {
      expect(await machine.do(`ls -a ${machine.home}`)).not.toContain(".farcall-node");
    }
  });
});
