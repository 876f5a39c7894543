import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, inject, it } from "vitest";
import { describeInLab } from "../lab/describeInLab.ts";
import type { Machine } from "../lab/machine.ts";
import { executed } from "../lab/namespaces.ts";
import { until } from "../support/home.ts";
import { natsServerProgram } from "../support/natsProgram.ts";
import { Lab as EditorLab } from "./support/lab.ts";
import { ClusterPanel, closeEditors, LaunchForm, RunPanel } from "./support/panels.ts";
import type { EditorWindow } from "./support/window.ts";

/** A cluster of machines of one's own, as a person makes and uses it in the editor. */

const files = {
  "where.ts": `import { hostname } from "node:os";
export function where(n: number) {
  if (n % 50 === 0) console.log("passing " + n);
  if (n === 70) throw new RangeError("too far");
  return hostname() + ":" + n;
}
export async function anywhere(n: number) {
  await new Promise((resolve) => setTimeout(resolve, 700));
  return hostname() + ":" + n;
}
`,
  "inputs.jsonl": Array.from({ length: 200 }, (_, i) => `${i}\n`).join(""),
};

const passphrase = "a long one";

describeInLab("a cluster of your machines", (lab) => {
  const hostOf = (name: string, { address, user }: Machine, key: string) =>
    [
      `Host ${name}`,
      `  HostName ${address}`,
      `  User ${user}`,
      `  IdentityFile ${key}`,
      "  IdentitiesOnly yes",
      `  UserKnownHostsFile ${join(lab().folder, "nobody")}`,
    ].join("\n");
  let machines: Machine[];
  /** Lets in whoever knows the password, or has a key that has a passphrase. */
  let guarded: Machine;
  /** Has it know that key, which it forgets when it boots. */
  let letIn: () => Promise<void>;
  let editor: EditorLab;
  let window: EditorWindow;

  beforeAll(async () => {
    machines = await lab().machines(2);
    guarded = await lab().machine({ name: "guarded", sshd: ["PasswordAuthentication yes"] });
    const key = join(lab().folder, "locked");
    await executed(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "test", "-f", key]);
    letIn = async () => {
      await guarded.do(`cat >> /etc/lab/keys_${guarded.user}`, { input: await readFile(`${key}.pub`) });
    };
    await letIn();
    // As after reading their addresses somewhere: their keys are not known yet.
    const config = join(lab().folder, "unknown_config");
    const hosts = [
      ...machines.map((machine) => hostOf(machine.name, machine, machine.privateKeyFile)),
      hostOf("by-key", guarded, key),
      hostOf("by-password", guarded, "/not/there"),
    ];
    await writeFile(config, `${hosts.join("\n")}\n`);
    editor = await EditorLab.start({
      extensions: inject("extensions"),
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

  const add = async (name: string, hosts: string) => {
    const { quickInput } = window;
    await clusters().headerAction("Add Cluster of Your Machines");
    await quickInput.waitFor("A name for the cluster");
    await quickInput.type(name);
    await quickInput.waitFor("Machines: pick hosts");
    await quickInput.type(hosts);
  };
  /** Says yes to the question about a host that is not known. */
  const trust = async () => {
    await window.dialog.getByText("is not known yet. Is this the machine?").waitFor();
    const text = await window.dialog.innerText();
    expect(text).toMatch(/Address: [\d.]+\s+Key: ssh-ed25519\s+Fingerprint: SHA256:\S+/);
    await window.dialog.getByRole("button", { name: "Trust and Connect" }).click();
  };
  /** A click can miss while the list of clusters goes away; a form that was sent takes no second one. */
  const submit = async (form: LaunchForm, name: string) => {
    const begun = window.page.locator(`.tab[aria-label="${name}"], .tab[aria-label^="${name},"]`);
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
  };
  const agents = () =>
    machines.flatMap((machine) => machine.processes().filter(({ command }) => command.includes("agent.js")));

  /** A run that is kept on this computer has all that can be seen of it. */
  const openKept = async (why: string) => {
    await window.view("Runs").click("where");
    const run = await RunPanel.open(window, "where");
    await run.waitForText(why);
    await run.waitForText("What is shown was kept on this computer.");
    const rows = await run.waitForRows((found) => found.length > 5);
    expect(rows.join("\n")).toMatch(/m[12]:\d/);
    await run.tab("Failures");
    await run.waitForText("RangeError: too far");
    await run.tab("Logs");
    await run.waitForText("passing 150");
  };

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
    expect(await quickInput.labels()).toEqual([...machines.map(({ name }) => name), "by-key", "by-password"]);
    await quickInput.type(machines.map(({ name }) => name).join(" "));
    await quickInput.waitFor("Does every machine get through to the others?");
    await quickInput.pick("Relay those that do not get through");

    for (const _ of machines) {
      await trust();
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
    await submit(form, "where");
    const run = await RunPanel.open(window, "where");
    await run.waitForState(/done/, 90_000);
    await run.waitForText("200 of 200");
    const results = await run.waitForRows((found) => found.length > 5);
    expect(results.join("\n")).toMatch(/m[12]:\d/);
    await run.press("Copy as command");
    await window.waitForNotification("Copied a command that repeats the run.");
    expect(await window.page.evaluate<string>("navigator.clipboard.readText()")).toContain("--on lab");
    await closeEditors(window);

    await window.openFile("where.ts");
    await window.clickLens("Map in parallel", { line: 7 });
    const both = await LaunchForm.open(window, "Map anywhere");
    await both.source(/^File:/, "inputs.jsonl");
    await both.choose("Cluster", "local");
    await both.frame.getByRole("checkbox", { name: "Also on lab" }).click();
    await submit(both, "anywhere");
    let mixed = await RunPanel.open(window, "anywhere");
    const doneThere = async () => Number(/Done on lab\s+(\d+)/.exec(await mixed.text())?.[1] ?? 0);
    const before = await until(doneThere, (done) => done > 2, 30_000);
    // The clusters that help do so while a window is there.
    await window.reload();
    mixed = await RunPanel.open(window, "anywhere");
    await mixed.waitForState(/done/, 90_000);
    await mixed.waitForText("200 of 200");
    expect(await doneThere()).toBeGreaterThan(before + 10);
    await mixed.press("Copy as command");
    await until(
      () => window.page.evaluate<string>("navigator.clipboard.readText()"),
      (text) => text.includes("--on 'local,lab'"),
    );
    await closeEditors(window);

    await clusters().click("lab");
    let panel = await ClusterPanel.open(window, "lab");
    await panel.waitForState(/Up/);
    await panel.waitForCharts(4);
    await panel.frame
      .getByRole("row", { name: /default/ })
      .first()
      .waitFor();

    const noted = "as an agent that has something to say";
    const { home, user } = machines[1]!;
    await machines[1]!.do(`echo "${noted}" | tee -a ${home}/.farcall-node/*/agent.log`, { as: user });
    await clusters().expand("lab");
    await clusters().contextAction(machines[1]!.name, "Show Cluster Log");
    await window.page.locator('.tab.active[data-resource-name="lab-node-2.log"]').waitFor();
    await until(
      () => window.editorText(),
      (text) => text.includes(noted),
    );

    await window.reload();
    panel = await ClusterPanel.open(window, "lab");
    await panel.waitForState(/Up/);
    await panel.waitForCharts(4);

    await panel.press("Stop");
    await panel.waitForState(/Stopped/);
    await window.showContainer("Farcall");
    await waitForRow(/^lab stopped$/);
    expect(agents()).toEqual([]);
    await openKept("The cluster is not running.");
    expect(agents()).toEqual([]);
    await closeEditors(window);
    await clusters().click("lab");
    panel = await ClusterPanel.open(window, "lab");
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
    await openKept("The cluster was shut down.");
    await closeEditors(window);
  });

  it("is logged in to with a passphrase or a password, which are asked for and never kept", async () => {
    const { quickInput } = window;
    await window.showContainer("Farcall");
    await add("vault", "by-key");
    await trust();
    await quickInput.waitFor("Passphrase of the key");
    expect(await quickInput.field.getAttribute("type")).toBe("password");
    await quickInput.type("a wrong one");
    await quickInput.waitFor("That did not open it.");
    await quickInput.type(passphrase);
    await window.waitForNotification("The cluster vault is up.");
    await waitForRow(/^vault up · 1 node · /);

    await guarded.kill();
    await waitForRow(/^vault unreachable · /);
    await guarded.boot();
    await letIn();
    await clusters().inlineAction("vault", "Start Cluster");
    await waitForRow(/^vault up · 1 node · /);
    await window.reload();
    await window.showContainer("Farcall");
    // The opened key is gone with the window. Who only looks asks for nothing.
    await waitForRow(/^vault unreachable · /);
    expect(await quickInput.box.isVisible()).toBe(false);
    await clusters().inlineAction("vault", "Start Cluster");
    await quickInput.waitFor("Passphrase of the key");
    await quickInput.type(passphrase);
    await waitForRow(/^vault up · 1 node · /);

    await add("gate", "by-password");
    await quickInput.waitFor("Log In to me@by-password");
    expect(await quickInput.field.getAttribute("type")).toBe("password");
    await window.page.keyboard.press("Escape");
    expect(await window.waitForNotification(/Cannot add the cluster gate/)).toMatch(/log in|password|key/);
    await window.answerNotification(/Cannot add the cluster gate/, "Try Again");
    await quickInput.waitFor("Log In to me@by-password");
    await quickInput.type(guarded.password);
    await window.waitForNotification("The cluster gate is up.");
    await waitForRow(/^gate up · 1 node · /);
  });
});
