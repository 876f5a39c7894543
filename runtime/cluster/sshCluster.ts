import { rmSync } from "node:fs";
import { join } from "node:path";
import { isConnectionLoss } from "../client/loss.ts";
import type { AgentLink, ConnectOptions, Provider } from "../providers/provider.ts";
import type { AgentAddress } from "../setup/messages.ts";
import { type ClusterSpec, resolveClusterSpec } from "../spec/cluster.ts";
import { FarcallError } from "../spec/errors.ts";
import { adopted } from "./adopting.ts";
import type { BootstrapOptions } from "./bootstrap/node.ts";
import { removeFrom } from "./bootstrap/setup.ts";
import type { Connections } from "./connections.ts";
import { firstToAnswer } from "./firstToAnswer.ts";
import type { Keys } from "./keys.ts";
import { bring, type Failure, look, type Machine, type Reach } from "./machines.ts";
import { failureOf, missingLine, refuseWithout } from "./missing.ts";
import { NodeAgent } from "./nodeAgent.ts";
import { changed, enter, isNew, newRecord, wasUp, withNodes, withoutNew } from "./recordChanges.ts";
import type { ClusterRecord, NodeRecord, Registry } from "./registry.ts";
import { newPorts, nodeFileOf, seatCount, targetsOf } from "./seats.ts";

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
/** What an `up` that failed has put on machines is removed for so long. */
const takeBackWithinMs = 30_000;
/** A laptop may change networks, and a machine may boot anew. */
const patienceMs = 10 * 60_000;

export class SshCluster implements Provider {
  readonly name = "ssh";
  readonly patienceMs = patienceMs;
  readonly #options: SshClusterOptions;
  readonly #agents = new Map<string, NodeAgent>();
  /** The node that was reached last. */
  #head: NodeAgent | undefined;

  constructor(options: SshClusterOptions) {
    this.#options = options;
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

  /** How to bring nodes of the cluster to where they are up. */
  async #bootstrap(record: ClusterRecord, reach: Reach, onTouch?: (host: string) => void) {
    const keys = await this.#keysOf(record);
    const cacheFolder = join(this.#options.home, "cache", "machines");
    // Whoever joined a cluster changes of it what it was told to.
    const isSaid = !record.joined || this.#options.spec.autostopMs !== undefined;
    const autostopMs = isSaid ? (record.spec.autostopMs ?? 0) : undefined;
    const grows = wasUp(record) && record.nodes.some(isNew);
    return (node: NodeRecord): BootstrapOptions => ({
      cacheFolder,
      signal: reach.signal,
      onProgress: reach.onProgress,
      onTouch: onTouch && (() => onTouch(node.host)),
      nodeFile: record.joined ? undefined : keys ? nodeFileOf(record, node, keys) : { number: node.number },
      autostopMs,
      isAwaited: grows && record.seats.includes(node.number),
      reach: record.joined ? [] : targetsOf(record, node),
    });
  }

  /** Undefined when it was never brought up from here. */
  get record(): ClusterRecord | undefined {
    return this.#options.registry.get(this.#options.spec.name);
  }

  /** Connects to the first node that can be reached, beginning with the one that was reached last. */
  async connect(options: ConnectOptions): Promise<AgentLink> {
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
   * Makes the cluster be up as its spec says: begins it, goes on with what was begun, gives it the hosts it does not
   * have yet, or finds that all is well. Machines that were up before may be away, as long as most of the seats are
   * there. Rejects with `cluster.changed` where the spec asks for what the cluster cannot become, and leaves nothing
   * on new machines when not all of them come up.
   */
  async up(options: UpOptions = {}): Promise<ClusterRecord> {
    const { registry, spec, connections } = this.#options;
    const { signal, onProgress = () => undefined } = options;
    const { onMissing = (host, error) => onProgress(missingLine(host, error)) } = options;
    const reach = { connections, signal, onProgress };
    return registry.whole(spec.name, () => this.#up(reach, onMissing), {
      withinMs: wholeWithinMs,
      signal,
      onWait: () => onProgress(`waiting: ${spec.name} is being brought up by somebody else`),
    });
  }

  async #up(reach: Reach, onMissing: NonNullable<UpOptions["onMissing"]>): Promise<ClusterRecord> {
    const { registry, spec } = this.#options;
    let isOurs = false;
    const begun = (await registry.change(spec.name, (before) => {
      if (before) return changed(before, spec);
      if (!spec.hosts) return registry.need(spec.name);
      isOurs = true;
      return newRecord(resolveClusterSpec({ ...spec, hosts: spec.hosts }));
    }))!;
    const touched = new Set<string>();
    try {
      return await this.#bringUp(begun, reach, touched, onMissing);
    } catch (error) {
      await this.#takeBack(isOurs, touched);
      throw error;
    }
  }

  async #bringUp(
    begun: ClusterRecord,
    reach: Reach,
    touched: Set<string>,
    onMissing: NonNullable<UpOptions["onMissing"]>,
  ): Promise<ClusterRecord> {
    const { registry, spec } = this.#options;
    let record = begun;
    let { found, failed } = await look(record, reach);
    refuseWithout(record, failed);
    const mayBeTheirs = record.nodes.some(isNew) && (record.joined || !wasUp(record));
    const theirs = mayBeTheirs ? adopted(record, found) : undefined;
    if (theirs) {
      reach.onProgress(`joining the cluster ${record.name} that is there already`);
      record = (await registry.change(spec.name, (before) => before && theirs))!;
      // What lies there for a cluster lies under its id.
      ({ found, failed } = await look(record, reach));
      refuseWithout(record, failed);
    }
    record = await this.#place(record, found);
    const addressed = found.map((machine) => ({ ...machine, node: nodeOf(record, machine.node.number) }));
    const { brought, failed: fell } = await bring(record, addressed, {
      ...reach,
      bootstrap: await this.#bootstrap(record, reach, (host) => touched.add(host)),
      check: (more) => refuseWithout(record, [...failed, ...more]),
    });
    for (const { node, error } of [...failed, ...fell]) onMissing(node.host, error);
    const nodes = brought.map(({ node }) => node);
    return (await registry.change(spec.name, (before) => before && enter(withNodes(before, nodes), "up")))!;
  }

  /** Notes by which addresses nodes are reached, and, where there are several, which hold the queue. */
  async #place(record: ClusterRecord, found: readonly Machine[]): Promise<ClusterRecord> {
    const nodes = found.map(({ node, connection }) => ({ ...node, address: connection.target.host }));
    const isSettled = wasUp(record) || record.seats.length > 0 || record.joined;
    const seats = isSettled ? record.seats : nodes.slice(0, seatCount(nodes.length)).map(({ number }) => number);
    const ports = record.ports ?? (seats.length > 0 ? newPorts() : null);
    return (await this.#options.registry.change(
      record.name,
      (before) => before && { ...withNodes(before, nodes), seats, ports },
    ))!;
  }

  /** After an `up` that failed: new machines are left as they were, and so is the cluster that was there before. */
  async #takeBack(isOurs: boolean, touched: ReadonlySet<string>): Promise<void> {
    const { registry, spec, connections } = this.#options;
    const record = this.record;
    if (!record) return;
    const reach = { connections, signal: AbortSignal.timeout(takeBackWithinMs), onProgress: () => undefined };
    const before = withoutNew(record);
    const fresh = record.nodes.filter((node) => isNew(node) && touched.has(node.host));
    if (!wasUp(record)) {
      // One that an earlier `up` began goes on from there.
      if (!isOurs) return;
      const left = record.joined ? [] : await this.#removeFrom(record, fresh, reach.signal);
      // What cannot be removed now must not be forgotten.
      if (left.length === 0) await this.#forget();
      return;
    }
    if (before.nodes.length === record.nodes.length) return;
    if (!record.joined) await this.#removeFrom(record, fresh, reach.signal);
    await registry.change(spec.name, () => before);
    if (touched.size === fresh.length) return;
    // Those that were told of the new ones are told that there are none.
    const told = await look(before, reach).catch(() => undefined);
    const found = told?.found.filter(({ node }) => touched.has(node.host)) ?? [];
    const bootstrap = await this.#bootstrap(before, reach);
    await bring(before, found, { ...reach, bootstrap, check: () => undefined }).catch(() => undefined);
  }

  async #forget(): Promise<void> {
    await this.#options.registry.change(this.#options.spec.name, () => undefined);
    rmSync(this.#keysFile, { force: true });
  }

  /** Starts the agents of all nodes, as the record says, and returns where that of `host` listens. */
  async #start(host: string, signal: AbortSignal | undefined): Promise<AgentAddress> {
    const { registry, connections, spec } = this.#options;
    const record = registry.need(spec.name);
    const reach = { connections, signal, onProgress: () => undefined };
    const { found, failed } = await look(record, reach);
    const bootstrap = await this.#bootstrap(record, reach);
    const { brought, failed: fell } = await bring(record, found, { ...reach, bootstrap, check: () => undefined });
    await registry.change(
      spec.name,
      (before) =>
        before &&
        enter(
          withNodes(
            before,
            brought.map(({ node }) => node),
          ),
          brought.length > 0 ? "up" : before.state,
        ),
    );
    const mine = brought.find(({ node }) => node.host === host);
    if (mine) return mine.agent;
    // Others may be away; the one that was asked for has to be there.
    const failure = [...failed, ...fell].find(({ node }) => node.host === host);
    throw failure?.error ?? new FarcallError("cluster.state", `${host} is no node of ${spec.name} any more.`);
  }

  /** Notes that the agents were ended; everything stays on the machines. */
  async noteStopped(): Promise<void> {
    await this.#options.registry.change(this.#options.spec.name, (before) => before && enter(before, "stopped"));
  }

  /**
   * Removes the cluster from its machines and from the registry. With `force` also when some of them cannot be
   * reached: returns the hosts on which something may be left.
   */
  async remove({ force, signal }: { force: boolean; signal?: AbortSignal | undefined }): Promise<string[]> {
    const { registry, spec } = this.#options;
    return registry.whole(
      spec.name,
      async () => {
        const record = await registry.change(spec.name, (before) => before && enter(before, "ending"));
        // Somebody else has removed it meanwhile, or it never was.
        if (!record) return [];
        const left = await this.#removeFrom(record, record.nodes, signal);
        if (left.length > 0 && !force) throw failureOf(left);
        await this.#forget();
        return left.map(({ node }) => node.host);
      },
      { withinMs: wholeWithinMs, signal },
    );
  }

  /** Removes everything of the cluster from some machines, and returns those of which it failed. */
  async #removeFrom(
    { id }: ClusterRecord,
    nodes: readonly NodeRecord[],
    signal: AbortSignal | undefined,
  ): Promise<Failure[]> {
    const { connections } = this.#options;
    const ends = nodes.map((node) =>
      connections
        .to(node.host, signal)
        .then((connection) => removeFrom(connection, id, signal))
        .then(
          () => [],
          (error: unknown) => [{ node, error }],
        ),
    );
    return (await Promise.all(ends)).flat();
  }

  #agentsOf(record: ClusterRecord): NodeAgent[] {
    const { connections } = this.#options;
    for (const { host } of record.nodes) {
      const key = `${record.id} ${host}`;
      if (this.#agents.has(key)) continue;
      const start = (signal: AbortSignal | undefined) => this.#start(host, signal);
      this.#agents.set(key, new NodeAgent({ connections, host, id: record.id, start }));
    }
    const agents = record.nodes.map(({ host }) => this.#agents.get(`${record.id} ${host}`)!);
    return agents.sort((a, b) => Number(b === this.#head) - Number(a === this.#head));
  }
}

function nodeOf({ nodes }: ClusterRecord, number: number): NodeRecord {
  return nodes.find((node) => node.number === number)!;
}
