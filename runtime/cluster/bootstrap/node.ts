import type { AgentAddress } from "../../setup/messages.ts";
import { FarcallError } from "../../spec/errors.ts";
import type { SshConnection } from "../../transport/ssh/connection.ts";
import type { ClusterRecord, NodeRecord } from "../registry.ts";
import { nodeBuild } from "./build.ts";
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
}

export interface Bootstrapped {
  node: NodeRecord;
  agent: AgentAddress;
}

/** Brings a machine that was looked at to where its agent runs, whatever is there of it already. */
export async function bring(
  connection: SshConnection,
  record: ClusterRecord,
  node: NodeRecord,
  found: Probe,
  { cacheFolder, signal, onProgress, onTouch }: BootstrapOptions,
): Promise<Bootstrapped> {
  const { id, name, createdAtMs, spec } = record;
  const nodePath =
    found.nodePaths[0] ?? (await installNode(connection, found, { id, cacheFolder, signal, onProgress, onTouch }));
  onTouch?.();
  const { hash } = nodeBuild();
  const withBuild = found.build !== hash;
  if (withBuild) onProgress(`${node.host}: sending the agent`);
  const agent = await setUp(
    connection,
    {
      withBuild,
      node: { number: node.number },
      cluster: { id, name, createdAtMs, hosts: spec.hosts },
      start: { idleMs: spec.autostopMs, linger: found.lingers },
    },
    { id, nodePath, signal },
  );
  if (!agent) throw new FarcallError("agent.start-failed", `The agent on ${node.host} did not say where it listens.`);
  const { home, arch, cpus, memoryMiB } = found;
  return { node: { ...node, home, nodePath, platform: `linux ${arch}`, cpus, memoryMiB, build: hash }, agent };
}
