import { execFile } from "node:child_process";
import { mkdir, symlink } from "node:fs/promises";
import { createServer } from "node:http";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { agentMethods } from "../../runtime/protocol/messages/agent.ts";
import { Peer } from "../../runtime/protocol/rpc.ts";
import { agentPaths } from "../../runtime/transport/agentPaths.ts";
import { WebSocketTransport } from "../../runtime/transport/websocket.ts";
import { TestHome } from "../support/home.ts";

/** The library in programs of their own, as a user has them: with the package in `node_modules`. */

const root = join(import.meta.dirname, "../..");
let home: TestHome;

beforeEach(async () => {
  home = await TestHome.create();
  await mkdir(join(home.project, "node_modules"));
  await symlink(root, join(home.project, "node_modules/farcall"));
  await home.write(
    "f.ts",
    "export const f = (x: number) => x + 1; export const bad = () => { throw new TypeError('no'); };",
  );
});
afterEach(async () => {
  await home[Symbol.asyncDispose]();
});

function run(file: string): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [file],
      { cwd: home.project, env: home.environment(), timeout: 50_000 },
      (error, stdout, stderr) => resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
    );
  });
}

test("a program ends by itself when its work is done, without closing anything", async () => {
  const file = await home.write(
    "main.ts",
    `import { cluster } from "farcall";
     const { f } = await cluster("local").import<typeof import("./f.ts")>("./f.ts", { from: import.meta.url });
     console.log(await f(1), await f.map([1, 2, 3]).toArray());`,
  );
  expect(await run(file)).toEqual({ code: 0, stdout: "2 [ 2, 3, 4 ]\n", stderr: "" });
});

test("a program may import the library in the module that it runs remotely", async () => {
  const file = await home.write(
    "both.ts",
    `import { cluster, context } from "farcall";
     export const where = () => context().index;
     if (import.meta.main) {
       const { where: remote } = await cluster("local").import<typeof import("./both.ts")>(import.meta.url);
       console.log(await remote.map([7, 8]).toArray());
     }`,
  );
  expect(await run(file)).toEqual({ code: 0, stdout: "[ 0, 1 ]\n", stderr: "" });
});

test("an error of a remote function that nobody catches ends the program with its own stack", async () => {
  const file = await home.write(
    "main.ts",
    `import { cluster } from "farcall";
     const { bad } = await cluster("local").import<typeof import("./f.ts")>("./f.ts", { from: import.meta.url });
     await bad();`,
  );
  const { code, stderr } = await run(file);
  expect(code).toBe(1);
  expect(stderr).toContain("TypeError: no");
  expect(stderr).toContain(`${home.project}/f.ts:1:`);
});

test("ends with the map it began when it is ended by an exception, and the map goes on", async () => {
  const file = await home.write(
    "main.ts",
    `import { cluster } from "farcall";
     const { f } = await cluster("local").import<typeof import("./f.ts")>("./f.ts", { from: import.meta.url });
     const run = f.map(Array.from({ length: 1000 }, (_, i) => i));
     await run.accepted;
     console.log(run.id);
     process.exit(3);`,
  );
  const { code, stdout } = await run(file);
  expect(code).toBe(3);
  const results = await home.cli(["results", stdout.trim(), "--follow"]);
  expect(results.stdout.trim().split("\n")).toHaveLength(1000);
});

test("an agent of another protocol that will not make room is named, with what to do", async () => {
  const folder = join(home.path, "local");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { socket, token } = agentPaths(folder);
  await home.write("x", "");
  const { writeFile } = await import("node:fs/promises");
  await writeFile(token, "t", { mode: 0o600 });
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  const refuse = () => {
    throw new Error("an old agent knows nothing else");
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
          hello: () => ({ result: { protocol: 0, version: "0.0.1", build: "old", pid: 1 } }),
          retire: () => ({ result: { retiring: false, why: "3 runs are active" } }),
        } as never,
      },
    );
  });
  server.listen(socket);
  await once(server, "listening");
  const { status, stderr } = await home.cli(["runs"]);
  for (const client of sockets.clients) client.terminate();
  server.close();
  expect(status).toBe(2);
  expect(stderr).toContain("agent.version");
  expect(stderr).toContain("0.0.1");
  expect(stderr).toContain("3 runs are active");
});

test("a client on Windows looks for a named pipe", () => {
  const { socket, isPipe } = agentPaths(home.path, "win32");
  expect(isPipe).toBe(true);
  expect(socket).toMatch(/^\\\\\.\\pipe\\farcall-[0-9a-f]{20}$/);
});
