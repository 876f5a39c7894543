import { rmSync } from "node:fs";
import { join } from "node:path";
import { isConnectionLoss, Patience } from "../client/loss.ts";
import type { AgentLink, ConnectOptions, Provider } from "../providers/provider.ts";
import type { AgentAddress } from "../setup/messages.ts";
import { type ClusterSpec, resolveClusterSpec, type ResolvedClusterSpec } from "../spec/cluster.ts";
import { FarcallError } from "../spec/errors.ts";
import { bring } from "./bootstrap/node.ts";
import { probe, type Probe } from "./bootstrap/probe.ts";
import { removeFrom } from "./bootstrap/setup.ts";
import type { Connections } from "./connections.ts";
import { firstToAnswer } from "./firstToAnswer.ts";
import { meeting } from "./meeting.ts";
import { NodeAgent } from "./nodeAgent.ts";
import { type ClusterRecord, newClusterId, type NodeRecord, type Registry } from "./registry.ts";
import type { Keys } from "./keys.ts";
import { isMoved, newlyRelayed, place } from "./placing.ts";
import { Relay } from "./relay.ts";
import type { Found } from "./roads.ts";
import { nodeFileOf, targetsOf } from "./seats.ts";

/**
 * A cluster of machines that are reached over SSH: how it comes to be, is reached, stopped and removed. Every step may
 * be the last one that a client lives to take; the next `up` goes on from what it finds.
 */
export interface SshClusterOptions {
  /** `FARCALL_HOME`. */
  home: string;
  registry: Registry;
  connections: Connections;
  /** With hosts a cluster to be made, or found to be there as asked for; without, one that is there. */
  spec: ClusterSpec;
}

export interface UpOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((line: string) => void) | undefined;
}

/** Somebody else may be bringing the cluster up meanwhile. */
const wholeWithinMs = 15 * 60_000;
/** How long a link may be lost again and again while a cluster is brought up. */
const upAgainWithinMs = 60_000;
/** A laptop may change networks, and a machine may boot anew. */
const patienceMs = 10 * 60_000;

export class SshCluster implements Provider {
  readonly name = "ssh";
  readonly patienceMs = patienceMs;
  readonly #options: SshClusterOptions;
  readonly #agents = new Map<string, NodeAgent>();
  readonly #relay: Relay;
  /** The node that was reached last. */
  #head: NodeAgent | undefined;

  constructor(options: SshClusterOptions) {
    this.#options = options;
    this.#relay = new Relay(options.connections);
  }

  get #cacheFolder(): string {
    return join(this.#options.home, "cache", "machines");
  }

  get #keysFile(): string {
    return join(this.#options.home, "clusters", `${this.#options.spec.name}.keys`);
  }

  /** Of a cluster that was begun from here and whose queue is on seats. */
  async #keysOf(record: ClusterRecord): Promise<Keys | undefined> {
    if (record.joined || record.seats.length === 0) return undefined;
    // What makes them is large, and needed by nothing else that is done from here.
    const { ensureKeys } = await import("./keys.ts");
    return ensureKeys(this.#keysFile, record);
  }

  /** How to bring a node of the cluster to where it is up. */
  async #bootstrap(record: ClusterRecord, node: NodeRecord, keys: Keys | undefined) {
    const cacheFolder = this.#cacheFolder;
    const port = await this.#relay.ready(record, node);
    const relayed = port === undefined ? [] : [{ host: "127.0.0.1", port, name: "this client" }];
    if (record.joined) return { cacheFolder, nodeFile: undefined, reach: relayed };
    return {
      cacheFolder,
      nodeFile: keys ? nodeFileOf(record, node, keys) : { number: node.number },
      reach: [...targetsOf(record, node), ...relayed],
    };
  }

  /** Undefined when it was never brought up from here. */
  get record(): ClusterRecord | undefined {
    return this.#options.registry.get(this.#options.spec.name);
  }

  /** Connects to the first node that can be reached, beginning with the one that was reached last. */
  async connect(options: ConnectOptions): Promise<AgentLink> {
    const link = await this.#connect(options);
    const { record } = this;
    if (record) this.#relay.begin(record, { isLooking: !options.start });
    return link;
  }

  async #connect(options: ConnectOptions): Promise<AgentLink> {
    const { registry, spec } = this.#options;
    let record = registry.get(spec.name);
    if (!record && spec.hosts) {
      if (!options.start) throw new FarcallError("agent.unreachable", `The cluster ${spec.name} is not up.`);
      record = await this.up(options);
    }
    const agents = this.#agentsOf(record ?? registry.need(spec.name));
    const reach = async (agent: NodeAgent, start: boolean): Promise<AgentLink> => {
      const link = await agent.connect({ ...options, start });
      this.#head = agent;
      return link;
    };
    if (agents.length === 1) return reach(agents[0]!, options.start);
    try {
      const { agent, link } = await firstToAnswer(agents, options.signal);
      this.#head = agent;
      return link;
    } catch (error) {
      if (!options.start || !isConnectionLoss(error)) throw error;
    }
    // None runs anywhere: only then is the cluster started anew.
    let failure: unknown;
    for (const agent of agents) {
      try {
        return await reach(agent, true);
      } catch (error) {
        options.signal?.throwIfAborted();
        if (!isConnectionLoss(error)) throw error;
        failure ??= error;
      }
    }
    throw failure;
  }

  async ended(): Promise<void> {
    await this.#head?.ended();
  }

  async terminate(): Promise<void> {
    await this.#head?.terminate();
  }

  /**
   * Makes the cluster be up as its spec says: begins it, goes on with what was begun, or finds that all is well.
   * Rejects with `cluster.changed` where the spec asks for what a cluster that is up cannot become.
   */
  async up({ signal, onProgress = () => undefined }: UpOptions = {}): Promise<ClusterRecord> {
    const { registry, spec } = this.#options;
    // Every step can be taken again: what was sent is there, and what was cut is sent anew.
    const patience = new Patience({ withinMs: () => upAgainWithinMs, signal });
    const act = async () => {
      for (;;) {
        try {
          return await this.#up({ signal, onProgress });
        } catch (error) {
          if (!(error instanceof FarcallError) || error.code !== "connection.lost") throw error;
          await patience.bear(error);
          onProgress("the connection was lost; going on");
        }
      }
    };
    return registry.whole(spec.name, act, {
      withinMs: wholeWithinMs,
      signal,
      onWait: () => onProgress(`waiting: ${spec.name} is being brought up by somebody else`),
    });
  }

  async #up({ signal, onProgress }: UpOptions & { onProgress: (line: string) => void }): Promise<ClusterRecord> {
    const { registry, spec } = this.#options;
    const wanted = (before: ClusterRecord | undefined): ClusterRecord => {
      if (before) return changed(before, spec);
      if (!spec.hosts) return registry.need(spec.name);
      return newRecord(resolveClusterSpec({ ...spec, hosts: spec.hosts }));
    };
    let record = (await registry.change(spec.name, wanted))!;
    const isNew = record.nodes.every(({ build }) => build === null);
    let untouched = isNew;
    try {
      let found = await this.#look(record, signal);
      if (isNew) {
        const { id } = record;
        record = await this.#adopt(record, found, onProgress);
        if (record.id !== id) found = await this.#look(record, signal);
      }
      const onTouch = () => (untouched = false);
      const placing = { cacheFolder: this.#cacheFolder, signal, onProgress, onTouch };
      const places = await place(record, found, placing);
      const moved = (await registry.change(spec.name, (before) => before && { ...before, ...places }))!;
      if (isMoved(record, moved)) {
        // It never was up, so there is nothing in its queue; but servers cannot change places with each other.
        await Promise.all(found.map(({ connection }) => removeFrom(connection, moved.id, signal)));
        found = await this.#look(moved, signal);
      }
      await this.#endAgents(moved, newlyRelayed(record, moved));
      record = moved;
      const keys = await this.#keysOf(record);
      const placed = meeting(found.length);
      const brought = await Promise.all(
        found.map(async ({ connection, probe: seen }, at) => {
          const node = record.nodes[at]!;
          try {
            const options = { ...(await this.#bootstrap(record, node, keys)), signal, onProgress, onTouch, placed };
            return await bring(connection, record, node, seen, options);
          } catch (error) {
            placed.fail(error);
            throw error;
          }
        }),
      );
      const nodes = brought.map(({ node }) => node);
      return (await registry.change(spec.name, (before) => before && enter({ ...before, nodes }, "up")))!;
    } catch (error) {
      // Nothing was put on any machine: then there is nothing to remember either.
      if (untouched) await registry.change(spec.name, () => undefined);
      throw error;
    }
  }

  /** Logs in to all nodes and looks at them, without changing anything. */
  #look(record: ClusterRecord, signal: AbortSignal | undefined): Promise<Found[]> {
    return Promise.all(
      record.nodes.map(async (node) => {
        const connection = await this.#options.connections.to(node.host, signal);
        return { node, connection, probe: await probe(connection, record.id, signal) };
      }),
    );
  }

  /**
   * Takes the id of a cluster of this name that another client of the user brought up on these machines, and the
   * numbers that its nodes have there. Its keys stay with whoever began it, and what its nodes are as well.
   */
  async #adopt(
    record: ClusterRecord,
    found: { node: NodeRecord; probe: Probe }[],
    onProgress: (line: string) => void,
  ): Promise<ClusterRecord> {
    const ofName = found.map(({ probe: { clusters } }) => clusters.find(({ name }) => name === record.name));
    const first = ofName.find((each) => each !== undefined);
    // What is there may be left of an earlier try of this client.
    if (!first || ofName.some((each) => each?.id === record.id)) return record;
    const { id, hosts } = first;
    const strangers = found.flatMap(({ node }, at) => (ofName[at]?.id === id ? [] : [node.host]));
    if (strangers.length > 0 || hosts.length !== found.length) {
      const differs = strangers.length > 0 ? `${strangers.join(", ")} is not of it` : `it has ${hosts.length} nodes`;
      throw new FarcallError(
        "cluster.changed",
        `There is a cluster ${record.name} on these machines already, and ${differs}.`,
        { hint: `Name all of its hosts to join it (it was made with ${hosts.join(", ")}), or choose another name.` },
      );
    }
    onProgress(`joining the cluster ${record.name} that is there already`);
    const nodes = record.nodes
      .map((node, at) => ({ ...node, number: ofName[at]!.number }))
      .sort((a, b) => a.number - b.number);
    return (await this.#options.registry.change(
      record.name,
      (before) => before && { ...before, id, nodes, joined: true },
    ))!;
  }

  /** Starts the agents of all nodes, as the record says, and returns where that of `host` listens. */
  async #start(host: string, { signal, onProgress = () => undefined }: UpOptions): Promise<AgentAddress> {
    const { registry, connections, spec } = this.#options;
    const record = registry.need(spec.name);
    const keys = await this.#keysOf(record);
    const brought = await Promise.allSettled(
      record.nodes.map(async (node) => {
        const connection = await connections.to(node.host, signal);
        const seen = await probe(connection, record.id, signal);
        const options = { ...(await this.#bootstrap(record, node, keys)), signal, onProgress };
        return bring(connection, record, node, seen, options);
      }),
    );
    const at = record.nodes.findIndex((each) => each.host === host);
    const mine = brought[at];
    if (!mine) throw new FarcallError("cluster.state", `${host} is no node of ${spec.name} any more.`);
    // Others may be away; the one that was asked for has to be there.
    if (mine.status === "rejected") throw mine.reason;
    await registry.change(spec.name, (before) => {
      if (!before) return undefined;
      const nodes = brought.flatMap((each) => (each.status === "fulfilled" ? [each.value.node] : []));
      return enter(nodes.reduce(withNode, before), "up");
    });
    return mine.value.agent;
  }

  /** Notes that the agents were ended; everything stays on the machines. */
  async noteStopped(): Promise<void> {
    const { record } = this;
    // Those that nobody relays at the moment have not heard of it.
    const relayed = record?.nodes.filter(({ relay }) => relay) ?? [];
    if (record) await this.#endAgents(record, relayed);
    await this.#options.registry.change(this.#options.spec.name, (before) => before && enter(before, "stopped"));
  }

  /**
   * Removes the cluster from its machines and from the registry. With `force` also when some of them cannot be
   * reached: returns the hosts on which something may be left.
   */
  async remove({ force, signal }: { force: boolean; signal?: AbortSignal | undefined }): Promise<string[]> {
    const { registry, connections, spec } = this.#options;
    return registry.whole(
      spec.name,
      async () => {
        const record = await registry.change(spec.name, (before) => before && enter(before, "ending"));
        // Somebody else has removed it meanwhile, or it never was.
        if (!record) return [];
        const left = await Promise.all(
          record.nodes.map(async ({ host }) => {
            try {
              await removeFrom(await connections.to(host, signal), record.id, signal);
              return [];
            } catch (error) {
              if (!force) throw error;
              return [host];
            }
          }),
        );
        await registry.change(spec.name, () => undefined);
        rmSync(this.#keysFile, { force: true });
        return left.flat();
      },
      { withinMs: wholeWithinMs, signal },
    );
  }

  /** Ends agents past the queue, of nodes that do not get through to it. Those that cannot be reached end when idle. */
  async #endAgents(record: ClusterRecord, nodes: readonly NodeRecord[]): Promise<void> {
    await Promise.allSettled(nodes.map((node) => this.#agentOf(record, node).terminate()));
  }

  /** Carries nobody's traffic any more. */
  close(): void {
    this.#relay[Symbol.dispose]();
  }

  #agentOf({ id }: ClusterRecord, { host }: NodeRecord): NodeAgent {
    const key = `${id} ${host}`;
    const known = this.#agents.get(key);
    if (known) return known;
    const { connections } = this.#options;
    const start = (signal: AbortSignal | undefined) => this.#start(host, { signal });
    const agent = new NodeAgent({ connections, host, id, start });
    this.#agents.set(key, agent);
    return agent;
  }

  #agentsOf(record: ClusterRecord): NodeAgent[] {
    const agents = record.nodes.map((node) => this.#agentOf(record, node));
    return agents.sort((a, b) => Number(b === this.#head) - Number(a === this.#head));
  }
}

function newRecord(spec: ResolvedClusterSpec): ClusterRecord {
  const nowMs = Date.now();
  return {
    schema: 1,
    name: spec.name,
    id: newClusterId(),
    provider: "ssh",
    spec,
    state: "launching",
    nodes: spec.hosts.map((host, at) => newNode(at + 1, host)),
    seats: [],
    ports: null,
    createdAtMs: nowMs,
    sinceMs: nowMs,
  };
}

function newNode(number: number, host: string): NodeRecord {
  return {
    number,
    host,
    address: null,
    home: null,
    nodePath: null,
    platform: null,
    cpus: null,
    memoryMiB: null,
    build: null,
  };
}

/** The record as a changed spec would have it. Throws `cluster.changed` for what cannot be. */
function changed(before: ClusterRecord, spec: ClusterSpec): ClusterRecord {
  const { hosts = before.spec.hosts } = spec;
  const missing = before.spec.hosts.filter((host) => !hosts.includes(host));
  const added = hosts.filter((host) => !before.spec.hosts.includes(host));
  if (missing.length > 0 || added.length > 0) {
    const differences = [
      ...(missing.length > 0 ? [`without ${missing.join(", ")}`] : []),
      ...(added.length > 0 ? [`with ${added.join(", ")}`] : []),
    ];
    throw new FarcallError(
      "cluster.changed",
      `The cluster ${before.name} is there already, and not ${differences.join(" and ")}.`,
      {
        hint: `It has ${before.spec.hosts.join(", ")}. Take it down first, or choose another name.`,
      },
    );
  }
  const autostopMs = spec.autostopMs === undefined ? before.spec.autostopMs : spec.autostopMs;
  const relay = spec.relay ?? before.spec.relay ?? false;
  return { ...before, spec: { ...before.spec, autostopMs, relay } };
}

function enter(record: ClusterRecord, state: ClusterRecord["state"]): ClusterRecord {
  return record.state === state ? record : { ...record, state, sinceMs: Date.now() };
}

function withNode(record: ClusterRecord, node: NodeRecord): ClusterRecord {
  return { ...record, nodes: record.nodes.map((each) => (each.number === node.number ? node : each)) };
}
