import type { AgentLink, ConnectOptions } from "../providers/provider.ts";
import type { AgentAddress } from "../setup/messages.ts";
import { FarcallError } from "../spec/errors.ts";
import type { DoOthersAnswer } from "../transport/ssh/silence.ts";
import { dialWebSocket } from "../transport/websocket.ts";
import { nodeBuild } from "./bootstrap/build.ts";
import { endCommand } from "./bootstrap/commands.ts";
import { readAddress } from "./bootstrap/setup.ts";
import type { Connections } from "./connections.ts";

/** The agent on a node, reached over SSH. */
export interface NodeAgentOptions {
  connections: Connections;
  host: string;
  /** Of the cluster. */
  id: string;
  /** Starts the agent, putting this client's build there first where it is missing. */
  start(signal: AbortSignal | undefined): Promise<AgentAddress>;
}

/** Three processes, each of which has ten seconds to end. */
const terminateWithinMs = 60_000;
const endWithinMs = 10_000;
const lookEveryMs = 50;
/** Who is back so soon was given an address that is no good: an agent that was started anew has another token. */
const backSoonMs = 5_000;

export class NodeAgent {
  readonly #options: NodeAgentOptions;
  /** Where it listened last: most likely it still does, which saves asking. */
  #address: AgentAddress | undefined;
  #givenAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: NodeAgentOptions) {
    this.#options = options;
  }

  /** Whether there is an SSH connection to its machine. */
  get isConnected(): boolean {
    const { connections, host } = this.#options;
    return connections.peek(host) !== undefined;
  }

  /** As `SshConnection` has it, for the connection to its machine. */
  compareWith(doOthersAnswer: DoOthersAnswer): void {
    const { connections, host } = this.#options;
    connections.peek(host)?.compareWith(doOthersAnswer);
  }

  async connect({ start, signal }: ConnectOptions): Promise<AgentLink> {
    const { connections, host, id } = this.#options;
    const remembered = performance.now() - this.#givenAtMs < backSoonMs ? undefined : this.#address;
    this.#address = undefined;
    const link = remembered && (await this.#dial(remembered, signal));
    if (link) return link;
    const address = await readAddress(await connections.to(host, signal), id, signal);
    const found = address && (await this.#dial(address, signal));
    if (found) return found;
    if (!start) throw new FarcallError("agent.unreachable", `No agent is running on ${host}.`);
    const started = await this.#dial(await this.#options.start(signal), signal);
    if (started) return started;
    throw new FarcallError("agent.start-failed", `The agent on ${host} came up and was gone at once.`, {
      hint: "Its log is agent.log in the cluster's folder there.",
      retryable: true,
    });
  }

  /** Undefined when nobody listens there. */
  async #dial(address: AgentAddress, signal: AbortSignal | undefined): Promise<AgentLink | undefined> {
    const { connections, host } = this.#options;
    const connection = await connections.to(host, signal);
    try {
      const stream = await connection.dialSocket(address.socket, signal);
      const transport = await dialWebSocket(() => stream, { signal });
      this.#address = address;
      this.#givenAtMs = performance.now();
      return { transport, token: address.token, expectedBuild: nodeBuild().hash };
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof FarcallError && (error.code === "ssh.refused" || error.code === "agent.unreachable"))
        return undefined;
      throw error;
    }
  }

  /** Ends an agent that cannot be talked to, and the server of the queue where there is one. */
  async terminate(): Promise<void> {
    const { connections, host, id } = this.#options;
    const connection = await connections.to(host);
    await connection.run(endCommand, { input: Buffer.from(`${id}\n`), timeoutMs: terminateWithinMs });
    await this.ended();
  }

  async ended(): Promise<void> {
    const { connections, host, id } = this.#options;
    this.#address = undefined;
    const deadlineMs = Date.now() + endWithinMs;
    while (Date.now() < deadlineMs) {
      const connection = await connections.to(host);
      const address = await readAddress(connection, id);
      const stream = address && (await connection.dialSocket(address.socket).catch(() => undefined));
      if (!stream) return;
      stream.destroy();
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    }
  }
}
