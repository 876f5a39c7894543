import { resolveClusterSpec } from "../spec/cluster.ts";
import { adopted } from "./adopting.ts";
import { withHeard, withSaid } from "./autostop.ts";
import { bring, look, type Machine, type Reach, removeFrom } from "./machines.ts";
import { failureOf, refuseWithout } from "./missing.ts";
import { isMoved, newlyRelayed, place } from "./placing.ts";
import { machinesCache, planOf, type PlanOptions } from "./plan.ts";
import { changed, enter, isNew, newRecord, wasUp, withNodes, withoutNew } from "./recordChanges.ts";
import type { ClusterRecord, NodeRecord } from "./registry.ts";

export interface LaunchOptions extends PlanOptions {
  reach: Reach;
  /** Told of each machine that the cluster has to do without for now. */
  onMissing: (host: string, error: unknown) => void;
  /** Ends agents of nodes that may not get through to the queue, as far as they are reached. */
  endAgents: (record: ClusterRecord, nodes: readonly NodeRecord[]) => Promise<void>;
}

/** What was put on machines by an `up` that failed is removed for so long. */
const takeBackWithinMs = 30_000;

/** One `up` of a cluster, from whatever there is of it to where it is as its spec says. */
export class Launch {
  readonly #options: LaunchOptions;
  /** Hosts on which something was changed. */
  readonly #touched = new Set<string>();

  readonly #onTouch = (host: string) => void this.#touched.add(host);

  constructor(options: LaunchOptions) {
    this.#options = options;
  }

  /** Not while anybody else changes the cluster as a whole. */
  async run(): Promise<ClusterRecord> {
    const { registry, spec } = this.#options;
    let before: ClusterRecord | undefined;
    const begun = (await registry.change(spec.name, (found) => {
      before = found;
      if (found) return withSaid(changed(found, spec), spec);
      if (!spec.hosts) return registry.need(spec.name);
      return withSaid(newRecord(resolveClusterSpec({ ...spec, hosts: spec.hosts })), spec);
    }))!;
    try {
      return await this.#bringUp(begun);
    } catch (error) {
      // Whoever brings it up is told why that failed, whatever becomes of what was begun.
      await this.#takeBack(before).catch(() => undefined);
      throw error;
    }
  }

  async #bringUp(begun: ClusterRecord): Promise<ClusterRecord> {
    const { registry, spec, reach, onMissing } = this.#options;
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
    const settled = await this.#settle(record, found);
    if (isMoved(record, settled)) {
      // It never was up, so there is nothing in its queue; but servers cannot change places with each other.
      const left = await removeFrom(settled, settled.nodes, reach);
      if (left.length > 0) throw failureOf(left);
      ({ found, failed } = await look(settled, reach));
      refuseWithout(settled, failed);
    }
    await this.#options.endAgents(settled, newlyRelayed(record, settled));
    record = settled;
    const nodeOf = new Map(record.nodes.map((node) => [node.number, node]));
    const machines = found.map((machine) => ({ ...machine, node: nodeOf.get(machine.node.number)! }));
    const { brought, failed: fell } = await bring(record, machines, {
      ...reach,
      bootstrap: await planOf(record, this.#options, reach, this.#onTouch),
      check: (more) => refuseWithout(record, [...failed, ...more]),
    });
    for (const { node, error } of [...failed, ...fell]) onMissing(node.host, error);
    const nodes = brought.map(({ node }) => node);
    return (await registry.change(spec.name, (before) => before && enter(withNodes(before, nodes), "up")))!;
  }

  /**
   * Notes by which addresses nodes are reached, which of several hold the queue, whose traffic is carried, and what nodes
   * were told by others.
   */
  async #settle(record: ClusterRecord, found: readonly Machine[]): Promise<ClusterRecord> {
    const { home, registry, spec, reach } = this.#options;
    const places = await place(record, found, {
      cacheFolder: machinesCache(home),
      signal: reach.signal,
      onProgress: reach.onProgress,
      onTouch: this.#onTouch,
    });
    return (await registry.change(
      record.name,
      (before) => before && { ...withHeard(before, spec, found), ...places },
    ))!;
  }

  /** New machines are left as they were, and so is the cluster that was there before. */
  async #takeBack(before: ClusterRecord | undefined): Promise<void> {
    const { registry, spec, reach } = this.#options;
    const record = registry.get(spec.name);
    // What an earlier `up` began is gone on with by a later one.
    if (!record || (before && !wasUp(before))) return;
    const late = { ...reach, signal: AbortSignal.timeout(takeBackWithinMs), onProgress: () => undefined };
    const fresh = record.nodes.filter((node) => isNew(node) && this.#touched.has(node.host));
    // A cluster that somebody else began stays on its machines.
    const left = record.joined ? [] : await removeFrom(record, fresh, late).catch(() => fresh);
    if (!before) {
      // What cannot be removed now must not be forgotten.
      if (left.length === 0) await registry.forget(spec.name);
    } else if (record.nodes.some(isNew)) {
      const old = withoutNew(before);
      const after = spec.autostopMs === undefined ? old : withSaid(old, old.spec);
      await registry.change(spec.name, () => after);
      if (this.#touched.size > fresh.length) await this.#tellAgain(after, late);
    }
  }

  /** Those that were told of new nodes are told that there are none. */
  async #tellAgain(record: ClusterRecord, late: Reach): Promise<void> {
    const { found } = await look(record, late);
    const told = found.filter(({ node }) => this.#touched.has(node.host));
    await bring(record, told, {
      ...late,
      bootstrap: await planOf(record, this.#options, late),
      check: () => undefined,
    });
  }
}
