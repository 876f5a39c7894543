import type { AgentAddress } from "../../setup/messages.ts";
import { FarcallError } from "../../spec/errors.ts";
import type { SshConnection } from "../../transport/ssh/connection.ts";
import type { ClusterRecord, NodeRecord } from "../registry.ts";
import { nodeBuild } from "./build.ts";
import { probe, type Probe } from "./probe.ts";
import { setUp } from "./setup.ts";

/** Brings one machine to where its agent runs, whatever is there of it already, and says what it did. */
export interface BootstrapOptions {
  signal?: AbortSignal | undefined;
  onProgress(line: string): void;
}

export interface Bootstrapped {
  node: NodeRecord;
  agent: AgentAddress;
}

export async function bootstrap(
  connection: SshConnection,
  record: ClusterRecord,
  node: NodeRecord,
  options: BootstrapOptions,
): Promise<Bootstrapped> {
  const { signal } = options;
  return bring(connection, record, node, await probe(connection, record.id, signal), options);
}

/** The same with a machine that was looked at already. */
export async function bring(
  connection: SshConnection,
  record: ClusterRecord,
  node: NodeRecord,
  found: Probe,
  { signal, onProgress }: BootstrapOptions,
): Promise<Bootstrapped> {
  const nodePath = found.nodePaths[0];
  if (nodePath === undefined) {
    throw new FarcallError("node.unsupported", `${node.host} has no Node.js 24 or newer.`, {
      hint: "Install it there, so that `node` is found in a login shell.",
    });
  }
  const { hash } = nodeBuild();
  const withBuild = found.build !== hash;
  if (withBuild) onProgress(`${node.host}: sending the agent`);
  const { id, name, createdAtMs, spec } = record;
  const agent = await setUp(
    connection,
    {
      withBuild,
      cluster: { id, name, createdAtMs, hosts: spec.hosts },
      start: { idleMs: spec.autostopMs, linger: found.lingers },
    },
    { id, nodePath, signal },
  );
  if (!agent) throw new FarcallError("agent.start-failed", `The agent on ${node.host} did not say where it listens.`);
  const { home, arch, cpus, memoryMiB } = found;
  return { node: { ...node, home, nodePath, platform: `linux ${arch}`, cpus, memoryMiB, build: hash }, agent };
}
