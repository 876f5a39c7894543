import { isConnectionLoss } from "../client/loss.ts";
import type { AgentLink, ConnectOptions, Provider } from "../providers/provider.ts";
import type { AgentAddress } from "../setup/messages.ts";
import type { ClusterSpec } from "../spec/cluster.ts";
import { FarcallError } from "../spec/errors.ts";
import { type Absence, absenceOf } from "./absence.ts";
import type { Connections } from "./connections.ts";
import { firstToAnswer } from "./firstToAnswer.ts";
import { Launch } from "./launch.ts";
import { bring, look, removeFrom } from "./machines.ts";
import { failureOf, missingLine } from "./missing.ts";
import { NodeAgent } from "./nodeAgent.ts";
import { planOf } from "./plan.ts";
import { enter, wasUp, withNodes, withoutNew } from "./recordChanges.ts";
import type { ClusterRecord, NodeRecord, Registry } from "./registry.ts";
import { Relay } from "./relay.ts";

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
  /** Told of each machine that the cluster has to do without for now, and why. Default: a line of progress. */
  onMissing?: ((host: string, error: unknown) => void) | undefined;
}

/** Somebody else may be bringing the cluster up meanwhile. */
const wholeWithinMs = 15 * 60_000;
/** A laptop may change networks, and a machine may boot anew. */
const patienceMs = 10 * 60_000;

export class SshCluster implements Provider {
  readonly name = "ssh";
  readonly patienceMs = patienceMs;
  readonly otherVersionHint: string;
  readonly #options: SshClusterOptions;
  readonly #agents = new Map<string, NodeAgent>();
  readonly #relay: Relay;
  /** The node that was reached last. */
  #head: NodeAgent | undefined;

  constructor(options: SshClusterOptions) {
    this.#options = options;
    const { name } = options.spec;
    this.otherVersionHint = `Wait until its runs are over, then \`farcall up ${name}\` has it come up as yours, or end it with \`farcall stop ${name} --force\`.`;
    this.#relay = new Relay(options.connections);
  }

  get #planOptions() {
    return { ...this.#options, relay: this.#relay };
  }

  /** Undefined when it was never brought up from here. */
  get record(): ClusterRecord | undefined {
    return this.#options.registry.get(this.#options.spec.name);
  }

  /** Connects to the first node that can be reached, beginning with those that there is a way to. */
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
      const others = agents.filter((each) => each !== agent);
      agent.compareWith((signal) => isAnyThere(others, signal));
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

  /** The agents of all nodes: one that cannot be asked to does not pass it on. */
  async terminate(): Promise<void> {
    const { record } = this;
    if (record) await this.#endAgents(record, record.nodes);
  }

  /**
   * Makes the cluster be up as its spec says: begins it, goes on with what was begun, gives it the hosts it does not
   * have yet, or finds that all is well. Machines that were up before may be away, as long as most of the seats are
   * there. Rejects with `cluster.changed` where the spec asks for what the cluster cannot become, and leaves nothing
   * on new machines when not all of them come up.
   */
  async up(options: UpOptions = {}): Promise<ClusterRecord> {
    const { registry, spec, connections } = this.#options;
    const { signal, onProgress = () => undefined } = options;
    const { onMissing = (host, error) => onProgress(missingLine(host, error)) } = options;
    const launch = new Launch({
      ...this.#planOptions,
      reach: { connections, signal, onProgress },
      onMissing,
      endAgents: (record, nodes) => this.#endAgents(record, nodes),
    });
    return registry.whole(spec.name, () => launch.run(), {
      withinMs: wholeWithinMs,
      signal,
      onWait: () => onProgress(`waiting: ${spec.name} is being brought up by somebody else`),
    });
  }

  /** Starts the agents of all nodes, as the record says, and returns where that of `host` listens. */
  async #start(host: string, signal: AbortSignal | undefined): Promise<AgentAddress> {
    const { registry, connections, spec } = this.#options;
    const record = registry.need(spec.name);
    const reach = { connections, signal, onProgress: () => undefined };
    // Those that never were up are the business of whoever is adding them.
    const { found, failed } = await look(wasUp(record) ? withoutNew(record) : record, reach);
    const bootstrap = await planOf(record, this.#planOptions, reach);
    const { brought, failed: fell } = await bring(record, found, { ...reach, bootstrap, check: () => undefined });
    const nodes = brought.map(({ node }) => node);
    const isUp = brought.length > 0;
    await registry.change(spec.name, (before) => before && enter(withNodes(before, nodes), isUp ? "up" : before.state));
    const mine = brought.find(({ node }) => node.host === host);
    if (mine) return mine.agent;
    // Others may be away; the one that was asked for has to be there.
    const failure = [...failed, ...fell].find(({ node }) => node.host === host);
    throw failure?.error ?? new FarcallError("cluster.state", `${host} is no node of ${spec.name} any more.`);
  }

  /** Why nothing is heard of nodes other than those in `heard`. */
  async absences(heard: readonly number[], signal: AbortSignal | undefined): Promise<Absence[]> {
    const { record } = this;
    const missing = record?.nodes.filter(({ number }) => !heard.includes(number)) ?? [];
    return Promise.all(missing.map((node) => absenceOf(node, this.#agentOf(record!, node), signal)));
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
        const left = await removeFrom(record, record.nodes, { connections, signal });
        if (left.length > 0 && !force) throw failureOf(left);
        await registry.forget(spec.name);
        return left.map(({ node }) => node.host);
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
    const start = (signal: AbortSignal | undefined) => this.#start(host, signal);
    const agent = new NodeAgent({ connections, host, id, start });
    this.#agents.set(key, agent);
    return agent;
  }

  #agentsOf(record: ClusterRecord): NodeAgent[] {
    const agents = record.nodes.map((node) => this.#agentOf(record, node));
    const rank = (agent: NodeAgent) => Number(agent.isConnected) * 2 + Number(agent === this.#head);
    return agents.sort((a, b) => rank(b) - rank(a));
  }
}

/** Whether one of these answers. The way there stays open, for who then has to do without the node that does not. */
async function isAnyThere(agents: readonly NodeAgent[], signal: AbortSignal): Promise<boolean> {
  try {
    const { link } = await firstToAnswer(agents, signal);
    link.transport.destroy();
    return true;
  } catch {
    return false;
  }
}
