import { Patience } from "../client/loss.ts";
import type { Bootstrapped, BootstrapOptions } from "./bootstrap/node.ts";
import { Bootstrap } from "./bootstrap/node.ts";
import { removeFrom as removeFromMachine } from "./bootstrap/setup.ts";
import { probe, type Probe } from "./bootstrap/probe.ts";
import { FarcallError } from "../spec/errors.ts";
import type { SshConnection } from "../transport/ssh/connection.ts";
import type { Connections } from "./connections.ts";
import type { ClusterRecord, NodeRecord } from "./registry.ts";

/** The machines of a cluster, looked at and brought up all at once, each as far as it gets. */
export interface Machine {
  node: NodeRecord;
  probe: Probe;
  connection: SshConnection;
}

/** What went wrong with one. */
export interface Failure {
  node: NodeRecord;
  error: unknown;
}

export interface Reach {
  connections: Connections;
  signal?: AbortSignal | undefined;
  onProgress: (line: string) => void;
}

/** How long the link to a machine may be lost again and again. */
const lostWithinMs = 60_000;

/** Logs in to all and looks at them, without changing anything. */
export async function look(record: ClusterRecord, reach: Reach): Promise<{ found: Machine[]; failed: Failure[] }> {
  const { done, failed } = await settle(record.nodes, reach, async (node, connection) => ({
    node,
    connection,
    probe: await probe(connection, record.id, reach.signal),
  }));
  return { found: done, failed };
}

export interface BringOptions extends Reach {
  bootstrap: (node: NodeRecord) => Promise<BootstrapOptions>;
  /** Told after each step what has failed so far; throws when that cannot be done without. */
  check: (failed: readonly Failure[]) => void;
}

/**
 * Brings machines that were found to where their agents run. Everything is in place on all of them before any agent is
 * started: the slowest upload must not make the others give up on a node that is not started yet.
 */
export async function bring(
  record: ClusterRecord,
  found: readonly Machine[],
  options: BringOptions,
): Promise<{ brought: Bootstrapped[]; failed: Failure[] }> {
  const { bootstrap, check } = options;
  const probes = new Map(found.map((machine) => [machine.node.number, machine.probe]));
  const placed = await settle(
    found.map(({ node }) => node),
    options,
    async (node, connection) => {
      const each = new Bootstrap(record, node, probes.get(node.number)!, await bootstrap(node));
      if (found.length > 1) await each.placeApart(connection);
      return { node, each };
    },
  );
  check(placed.failed);
  const byNumber = new Map(placed.done.map(({ node, each }) => [node.number, each]));
  const started = await settle(
    placed.done.map(({ node }) => node),
    options,
    (node, connection) => byNumber.get(node.number)!.start(connection),
  );
  const failed = [...placed.failed, ...started.failed];
  check(failed);
  return { brought: started.done, failed };
}

/** Removes everything of the cluster from machines, and returns those of which it could not be. */
export async function removeFrom(
  { id }: ClusterRecord,
  nodes: readonly NodeRecord[],
  reach: Pick<Reach, "connections" | "signal">,
): Promise<Failure[]> {
  const remove = (_node: NodeRecord, connection: SshConnection) => removeFromMachine(connection, id, reach.signal);
  return (await settle(nodes, { ...reach, onProgress: () => undefined }, remove)).failed;
}

/** Does the same on all, and again where the connection was lost: what was sent is there, and what was cut is sent anew. */
async function settle<T>(
  nodes: readonly NodeRecord[],
  { connections, signal, onProgress }: Reach,
  act: (node: NodeRecord, connection: SshConnection) => Promise<T>,
): Promise<{ done: T[]; failed: Failure[] }> {
  const insist = async (node: NodeRecord) => {
    const patience = new Patience({ withinMs: () => lostWithinMs, signal });
    for (;;) {
      try {
        return await act(node, await connections.to(node.host, signal));
      } catch (error) {
        if (!(error instanceof FarcallError) || error.code !== "connection.lost") throw error;
        await patience.bear(error);
        onProgress(`${node.host}: the connection was lost; going on`);
      }
    }
  };
  const ends = await Promise.allSettled(nodes.map(insist));
  signal?.throwIfAborted();
  return {
    done: ends.flatMap((end) => (end.status === "fulfilled" ? [end.value] : [])),
    failed: ends.flatMap((end, at) =>
      end.status === "rejected" ? [{ node: nodes[at]!, error: end.reason as unknown }] : [],
    ),
  };
}
