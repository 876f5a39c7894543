import type { AgentAddress, SetupTarget } from "../../setup/messages.ts";
import { FarcallError } from "../../spec/errors.ts";
import type { SshConnection } from "../../transport/ssh/connection.ts";
import type { Autostop } from "../autostop.ts";
import type { ClusterRecord, NodeRecord } from "../registry.ts";
import type { NodeFile } from "../../spec/nodeFile.ts";
import { nodeBuild } from "./build.ts";
import { serverFor } from "./natsServer.ts";
import { installNode } from "./nodeJs.ts";
import type { Probe } from "./probe.ts";
import { type Placing, setUp, type SetupOptions } from "./setup.ts";

export interface BootstrapOptions {
  /** Where archives of Node.js are kept on this machine. */
  cacheFolder: string;
  signal?: AbortSignal | undefined;
  onProgress: (line: string) => void;
  /** Called before anything on the machine is changed. */
  onTouch?: (() => void) | undefined;
  /** What the node is to know of its place in the cluster; undefined to leave that as it is. */
  nodeFile: NodeFile | undefined;
  /** After how long without work its agent is to end, unless it was told something later. */
  autostop: Autostop;
  /** Others wait for what this node is told: it is told before any agent is started. */
  isAwaited: boolean;
  /** Where it has to get through to. */
  reach: SetupTarget[];
}

export interface Bootstrapped {
  node: NodeRecord;
  agent: AgentAddress;
}

/** Brings a machine that was looked at to where its agent runs, whatever is there of it already. */
export class Bootstrap {
  readonly #record: ClusterRecord;
  readonly #node: NodeRecord;
  readonly #found: Probe;
  readonly #options: BootstrapOptions;
  #nodePath: string | undefined;
  #wanted: Placing | undefined;
  #placed: NonNullable<Placing["placed"]> | undefined;

  constructor(record: ClusterRecord, node: NodeRecord, found: Probe, options: BootstrapOptions) {
    this.#record = record;
    this.#node = node;
    this.#found = found;
    this.#options = options;
  }

  /** Puts in place what takes long to send, or what others wait for. Anything else goes with the start. */
  async placeApart(connection: SshConnection): Promise<void> {
    const nodePath = await this.#ensureNode(connection);
    const placing = await this.#placing();
    if (!placing.build && !placing.server && !this.#options.isAwaited) return;
    const { ending } = await setUp(connection, placing, this.#setupOptions(nodePath));
    this.#placed = { ending };
  }

  async start(connection: SshConnection): Promise<Bootstrapped> {
    const { reach } = this.#options;
    const nodePath = await this.#ensureNode(connection);
    const start = { linger: this.#found.lingers, reach };
    const request = this.#placed ? { start, placed: this.#placed } : { ...(await this.#placing()), start };
    const { agent } = await setUp(connection, request, this.#setupOptions(nodePath));
    const { host } = this.#node;
    if (!agent) throw new FarcallError("agent.start-failed", `The agent on ${host} did not say where it listens.`);
    const { home, arch, cpus, memoryMiB } = this.#found;
    const facts = { home, nodePath, platform: `linux ${arch}`, cpus, memoryMiB, build: nodeBuild().hash };
    return { node: { ...this.#node, ...facts }, agent };
  }

  async #ensureNode(connection: SshConnection): Promise<string> {
    const { cacheFolder, signal, onProgress, onTouch } = this.#options;
    const options = { id: this.#record.id, cacheFolder, signal, onProgress, onTouch };
    return (this.#nodePath ??= this.#found.nodePaths[0] ?? (await installNode(connection, this.#found, options)));
  }

  #setupOptions(nodePath: string): SetupOptions {
    const { id, spec } = this.#record;
    return { id, nodePath, signal: this.#options.signal, mayRelay: !spec.relay };
  }

  /** What the machine is to be given. */
  async #placing(): Promise<Placing> {
    if (this.#wanted) return this.#wanted;
    const { cacheFolder, signal, onProgress, onTouch, nodeFile, autostop } = this.#options;
    const { id, name, createdAtMs, spec } = this.#record;
    onTouch?.();
    const { hash, files } = nodeBuild();
    const withBuild = this.#found.build !== hash;
    const server = nodeFile?.seat && (await serverFor(this.#found, { cacheFolder, signal, onProgress }));
    if (withBuild || server) onProgress(`${this.#node.host}: sending the agent`);
    const { number, relay } = this.#node;
    const known = this.#found.autostop;
    const isLater = !known || known.saidAtMs < autostop.saidAtMs;
    return (this.#wanted = {
      ...(withBuild ? { build: files } : {}),
      ...(nodeFile ? { node: nodeFile, cluster: { id, name, createdAtMs, hosts: spec.hosts, number, relay } } : {}),
      ...(server ? { server } : {}),
      ...(isLater ? { autostop } : {}),
    });
  }
}
