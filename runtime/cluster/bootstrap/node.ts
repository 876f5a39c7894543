import type { AgentAddress, SetupTarget } from "../../setup/messages.ts";
import { FarcallError } from "../../spec/errors.ts";
import type { SshConnection } from "../../transport/ssh/connection.ts";
import type { ClusterRecord, NodeRecord } from "../registry.ts";
import type { NodeFile } from "../../spec/nodeFile.ts";
import { nodeBuild, type SetupContent, setupContent } from "./build.ts";
import type { DownloadOptions } from "./download.ts";
import { natsServer } from "./natsServer.ts";
import { installNode } from "./nodeJs.ts";
import type { Probe } from "./probe.ts";
import { setUp } from "./setup.ts";

export interface BootstrapOptions {
  /** Where archives of Node.js are kept on this machine. */
  cacheFolder: string;
  signal?: AbortSignal | undefined;
  onProgress: (line: string) => void;
  /** Called before anything on the machine is changed. */
  onTouch?: () => void;
  /** Awaited when everything is in place there, before the agent is started. */
  placed?: () => Promise<void>;
  /** What the node is to know of its place in the cluster; undefined to leave that as it is. */
  nodeFile: NodeFile | undefined;
  /** Where it has to get through to. */
  reach: SetupTarget[];
}

export interface Bootstrapped {
  node: NodeRecord;
  agent: AgentAddress;
}

/** The server of the queue, for a seat that does not have it yet. */
async function serverFor(found: Probe, options: DownloadOptions): Promise<SetupContent | undefined> {
  const server = setupContent("nats-server", await natsServer(found.arch, options), 0o700);
  return server.file.sha256.startsWith(found.server || "-") ? undefined : server;
}

/** Brings a machine that was looked at to where its agent runs, whatever is there of it already. */
export async function bring(
  connection: SshConnection,
  record: ClusterRecord,
  node: NodeRecord,
  found: Probe,
  { cacheFolder, signal, onProgress, onTouch, placed, nodeFile, reach }: BootstrapOptions,
): Promise<Bootstrapped> {
  const { id, name, createdAtMs, spec } = record;
  const { number, relay } = node;
  const nodePath =
    found.nodePaths[0] ?? (await installNode(connection, found, { id, cacheFolder, signal, onProgress, onTouch }));
  onTouch?.();
  const { hash, files } = nodeBuild();
  const withBuild = found.build !== hash;
  const server = nodeFile?.seat && (await serverFor(found, { cacheFolder, signal, onProgress }));
  if (withBuild || server) onProgress(`${node.host}: sending the agent`);
  const toPlace = {
    ...(withBuild ? { build: files } : {}),
    ...(nodeFile ? { node: nodeFile, cluster: { id, name, createdAtMs, hosts: spec.hosts, number, relay } } : {}),
    ...(server ? { server } : {}),
  };
  const start = { idleMs: spec.autostopMs, linger: found.lingers, reach };
  // The slowest upload must not make the others give up on a node that is not started yet.
  const apart = placed !== undefined && (withBuild || server !== undefined);
  const options = { id, nodePath, signal, mayRelay: !spec.relay };
  if (apart) await setUp(connection, toPlace, options);
  await placed?.();
  const agent = await setUp(connection, apart ? { start, placed: true } : { ...toPlace, start }, options);
  if (!agent) throw new FarcallError("agent.start-failed", `The agent on ${node.host} did not say where it listens.`);
  const { home, arch, cpus, memoryMiB } = found;
  return { node: { ...node, home, nodePath, platform: `linux ${arch}`, cpus, memoryMiB, build: hash }, agent };
}
