import { once } from "node:events";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { agentMethods, protocolVersion } from "../../runtime/protocol/messages.ts";
import { Peer } from "../../runtime/protocol/rpc.ts";
import { agentPaths } from "../../runtime/transport/agentPaths.ts";
import { WebSocketTransport } from "../../runtime/transport/websocket.ts";
import { until } from "../support/home.ts";
import { closeEditors, LaunchForm, RunPanel } from "./support/panels.ts";
import { chooseFromMenu } from "./support/treeView.ts";
import { useLab } from "./support/useLab.ts";

/** Something that answers as an agent of a later Farcall would. */
async function startNewerAgent(folder: string): Promise<AsyncDisposable> {
  const { socket, token } = agentPaths(folder);
  await rm(socket, { force: true });
  await writeFile(token, "t", { mode: 0o600 });
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  const refuse = () => {
    throw new Error("an agent of another version knows nothing else");
  };
  sockets.on("connection", (ws) => {
    const handlers = Object.fromEntries(Object.keys(agentMethods).map((name) => [name, refuse]));
    void new Peer(
      new WebSocketTransport(ws),
      {},
      {
        methods: agentMethods,
        handlers: {
          ...handlers,
          hello: () => ({ result: { protocol: protocolVersion + 1, version: "99.0.0", build: "new", pid: 1 } }),
          retire: () => ({ result: { retiring: false, why: "3 runs are active" } }),
        } as never,
      },
    );
  });
  server.listen(socket);
  await once(server, "listening");
  return {
    [Symbol.asyncDispose]: async () => {
      for (const client of sockets.clients) client.terminate();
      server.close();
      await rm(socket, { force: true });
    },
  };
}

/** Folders with odd names, many folders, two windows, an extension that is turned off, an agent of the future. */

const slow = `export async function slowly(n: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 50));
  return n;
}
`;
const inputs = Array.from({ length: 600 }, (_, i) => `${i}\n`).join("");

describe("workspaces", () => {
  const opened = useLab({
    files: {
      "package.json": '{ "type": "module" }\n',
      "farcall.json": '{ "envs": { "default": { "replicas": 1 } } }\n',
    },
  });

  it("may have spaces, quotes and other letters in their path", async () => {
    const { lab, home } = opened;
    const folder = join(dirname(home.project), `it's "my" wörk 文件 %20`);
    await mkdir(folder);
    await writeFile(join(folder, "package.json"), '{ "type": "module" }\n');
    await writeFile(
      join(folder, "hi there.ts"),
      'export const greeting = () => import.meta.dirname === undefined ? "" : "hi there";\n',
    );
    const window = await lab.open(folder);
    await window.openFile("hi there.ts");
    await window.clickLens("Run remotely");
    const run = await RunPanel.open(window, "greeting");
    await run.waitForState(/done/);
    await run.waitForText("hi there");
    await window.page.close();
  });

  it("may be several folders, each with its own envs", async () => {
    const { lab, home } = opened;
    const base = dirname(home.project);
    for (const name of ["one", "two"]) {
      await mkdir(join(base, name), { recursive: true });
      await writeFile(join(base, name, "package.json"), '{ "type": "module" }\n');
      await writeFile(join(base, name, `${name}.ts`), `export const ${name} = () => process.env["WHO"];\n`);
      await writeFile(
        join(base, name, "farcall.json"),
        JSON.stringify({ envs: { default: { vars: { WHO: `it is ${name}` }, replicas: 1 } } }),
      );
    }
    const workspace = join(base, "both.code-workspace");
    await writeFile(workspace, JSON.stringify({ folders: [{ path: "one" }, { path: "two" }] }));
    const window = await lab.open(workspace);
    for (const name of ["one", "two"]) {
      await window.openFile(`${name}.ts`);
      await window.clickLens("Run remotely");
      const run = await RunPanel.open(window, name);
      await run.waitForState(/done/);
      await run.waitForText(`it is ${name}`);
    }
    await window.showContainer("Farcall");
    const rows = await until(
      () => window.view("Envs").rows(),
      (found) => found.filter((row) => row.startsWith("Workspace")).length === 2,
    );
    expect(rows.filter((row) => row.startsWith("Workspace"))).toHaveLength(2);
    await window.page.close();
  });

  it("may be open in two windows, which both follow a run", async () => {
    const { lab, home, window } = opened;
    await home.write("slow.ts", slow);
    await home.write("inputs.jsonl", inputs);
    await closeEditors(window);
    const other = await lab.open();
    await other.showContainer("Farcall");
    await window.openFile("slow.ts");
    await window.clickLens("Map in parallel");
    const form = await LaunchForm.open(window, "Map slowly");
    await form.source(/^File:/, "inputs.jsonl");
    await form.waitForText(/600 inputs/);
    await form.submit();
    const run = await RunPanel.open(window, "slowly");
    await run.waitForState(/running/);
    await until(
      () => other.view("Runs").rows(),
      ([first = ""]) => first.startsWith("slowly"),
    );
    await other.page.bringToFront();
    await other.view("Runs").click("slowly");
    const same = await RunPanel.open(other, "slowly");
    await same.press("Cancel");
    await run.waitForState(/cancelled/);
    await same.waitForState(/cancelled/);
    await other.page.close();
  });

  it("say so when the agent is of a newer version and has work", async () => {
    const { window, home } = opened;
    const folder = join(home.path, "local");
    const agent = home.agentPid();
    if (agent !== undefined) process.kill(agent, "SIGKILL");
    await until(
      () => home.agentPid(),
      (pid) => pid === undefined,
    );
    await using newer = await startNewerAgent(folder);
    await closeEditors(window);
    await window.openFile("slow.ts");
    await window.clickLens("Run remotely");
    const form = await LaunchForm.open(window, "Run slowly");
    await form.fill(/^n\b/, "1");
    await form.submit();
    const said = await window.waitForNotification(/Cannot run slowly/);
    expect(said).toContain("Farcall 99.0.0");
    expect(said).toContain("3 runs are active");
    expect(newer).toBeDefined();
    await window.page.keyboard.press("Escape");
  });

  it("may lose the extension in the middle of a run, which goes on", async () => {
    const { window, home } = opened;
    const cluster = home.cluster();
    await closeEditors(window);
    await window.openFile("slow.ts");
    await window.clickLens("Map in parallel");
    const form = await LaunchForm.open(window, "Map slowly");
    await form.waitForText(/600 inputs/);
    await form.submit();
    const run = await RunPanel.open(window, "slowly");
    await run.waitForState(/running/);
    await window.runCommand("View: Show Extensions");
    await window.page.getByText("Farcall", { exact: true }).first().click({ button: "right" });
    await chooseFromMenu(window.page, "Disable");
    await window.page
      .getByText(/Restart Extensions|Reload Window/)
      .first()
      .click();
    const [record] = await until(
      () => cluster.runs.list({ limit: 1 }),
      ([first]) => first?.state === "done",
      60_000,
    );
    expect(record).toMatchObject({ state: "done", done: 600 });
  });
});
