import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { agentMethods } from "../../runtime/protocol/messages/agent.ts";
import { protocolVersion } from "../../runtime/protocol/messages/session.ts";
import { Peer } from "../../runtime/protocol/rpc.ts";
import { agentPaths } from "../../runtime/transport/agentPaths.ts";
import { WebSocketTransport } from "../../runtime/transport/websocket.ts";

/** Something that answers as an agent of a later Farcall would, with a process that is given out as its own. */
export class NewerAgent implements AsyncDisposable {
  readonly process: ChildProcess;
  readonly #end: () => Promise<void>;

  private constructor(process: ChildProcess, end: () => Promise<void>) {
    this.process = process;
    this.#end = end;
  }

  /** `folder` is that of the local agent. */
  static async start(folder: string): Promise<NewerAgent> {
    const { socket, token } = agentPaths(folder);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await rm(socket, { force: true });
    await writeFile(token, "t", { mode: 0o600 });
    const process = spawn("sleep", ["300"], { stdio: "ignore" });
    await once(process, "spawn");
    const server = createServer();
    const sockets = new WebSocketServer({ server });
    const refuse = () => {
      throw new Error("an agent of another version knows nothing else");
    };
    sockets.on("connection", (ws) => {
      const refused = Object.fromEntries(Object.keys(agentMethods).map((name) => [name, refuse]));
      const handlers = {
        ...refused,
        hello: () => ({
          result: { protocol: protocolVersion + 1, version: "99.0.0", build: "new", pid: process.pid },
        }),
        retire: () => ({ result: { retiring: false, why: "3 runs are active" } }),
      };
      void new Peer(new WebSocketTransport(ws), {}, { methods: agentMethods, handlers: handlers as never });
    });
    server.listen(socket);
    await once(server, "listening");
    const end = async () => {
      process.kill("SIGKILL");
      for (const client of sockets.clients) client.terminate();
      server.close();
      await rm(socket, { force: true });
    };
    // An agent's socket goes with it.
    process.once("exit", () => void end());
    return new NewerAgent(process, end);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#end();
  }
}
