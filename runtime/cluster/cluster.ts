import { dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Cursors } from "../client/cursors.ts";
import { Envs } from "../client/envs.ts";
import type { WorkPlace } from "../client/guests/workPlace.ts";
import type { LoadOptions } from "../client/module.ts";
import { RemoteModule } from "../client/module.ts";
import { type Remote, remoteExports } from "../client/remote.ts";
import { Mirror } from "../client/mirror/mirror.ts";
import { MirrorStore } from "../client/mirror/store.ts";
import { Runs } from "../client/runs.ts";
import { isAway, isConnectionLoss } from "../client/loss.ts";
import { type Connected, Session } from "../client/session.ts";
import type { AgentMethods } from "../protocol/messages/agent.ts";
import type { AgentStatus, NodeMetrics } from "../protocol/messages/nodes.ts";
import type { Item } from "../protocol/messages/catalogue.ts";
import type { LogLine } from "../protocol/messages/logs.ts";
import type { RunRecord } from "../protocol/messages/runs.ts";
import { LocalProvider } from "../providers/local/local.ts";
import { checkClusterSpec, type ClusterSpec } from "../spec/cluster.ts";
import type { EnvSpec } from "../spec/env.ts";
import { FarcallError } from "../spec/errors.ts";
import { farcallHome } from "../spec/home.ts";
import { plainLine } from "../spec/text.ts";
import type { SshPrompter } from "../transport/ssh/auth.ts";
import type { Shell, ShellTerminal, SshConnection } from "../transport/ssh/connection.ts";
import type { Absence } from "./absence.ts";
import { Connections } from "./connections.ts";
import { type ClusterRecord, Registry } from "./registry.ts";
import { SshCluster, type UpOptions } from "./sshCluster.ts";

export interface ClusterOptions {
  /** Who is asked for passphrases, passwords and unknown host keys. Default: nobody, and what needs one fails. */
  prompter?: SshPrompter;
  /** Folder of this Farcall's agent, records and caches. Default: `FARCALL_HOME`, and without that `~/.farcall`. */
  home?: string;
  /**
   * What to do with lines that remote functions print: write them to standard error with the replica before
   * them (`inherit`, the default), nothing (`ignore`), or call a function.
   */
  logs?: "inherit" | "ignore" | ((line: LogLine) => void);
  /** Told when a connection that is needed was lost and is sought again, and when it is there again. */
  onReconnecting?: (isReconnecting: boolean) => void;
  /** Told when runs are given as they were kept on this machine, because the cluster is not there, and why. */
  onMirror?: (why: string) => void;
}

export interface ImportOptions {
  /** `import.meta.url` of the importing module: a relative path is resolved from there. Default: the working folder. */
  from?: string;
  env?: EnvSpec;
  signal?: AbortSignal;
  /** Told what takes time, and at the end whether the code was `reused`, `updated` or `new` on the cluster. */
  onProgress?: (line: string) => void;
}

/** What has changed on a cluster. */
export interface ClusterChanges {
  /** Records of runs that were begun, got further or ended. In a storm of short calls some are left out. */
  runs: RunRecord[];
  /** Replicas there are now. */
  replicas: number;
}

const stopTimeoutMs = 30_000;
/** How long going waits for what is kept on this machine. */
const keptWithinMs = 10_000;
const keepAllWithinMs = 60_000;
const metricsTimeoutMs = 15_000;

/**
 * A named set of machines to run functions on.
 *
 * @example
 * const local = cluster("local");
 * const { square } = await local.import<typeof import("./math.js")>("./math.ts", { from: import.meta.url });
 * console.log(await square(7));
 * console.log(await square.map([1, 2, 3]).toArray());
 */
export class Cluster implements AsyncDisposable, WorkPlace {
  readonly name: string;
  /** Folder of the Farcall that knows it. */
  readonly home: string;
  readonly runs: Runs;
  readonly envs: Envs;
  readonly #options: ClusterOptions;
  readonly #session: Session;
  readonly #cacheFolder: string;
  readonly #connections: Connections;
  /** Undefined for the local cluster. */
  readonly #machines: SshCluster | undefined;
  /** What is kept of its runs on this machine; undefined for the local cluster, whose runs are here anyway. */
  readonly #mirror: Mirror | undefined;
  /** Clusters that maps of this one run on as well, and that were given by name. */
  readonly #named = new Map<string, Cluster>();

  constructor(spec: string | ClusterSpec, options: ClusterOptions = {}) {
    const { logs = "inherit", onReconnecting, onMirror } = options;
    const checked = checkClusterSpec(typeof spec === "string" ? { name: spec } : spec);
    this.name = checked.name;
    const home = (this.home = options.home === undefined ? farcallHome() : resolve(options.home));
    this.#options = options;
    this.#cacheFolder = join(home, "cache", "vendor");
    this.#connections = new Connections(home, options.prompter);
    const registry = new Registry(home);
    if (this.name !== "local") {
      const store = new MirrorStore(home, this.name);
      // Of one that was taken down there are its runs.
      if (!checked.hosts && !store.exists) registry.need(this.name);
      const isDown = () => (this.record?.state ?? "stopped") === "stopped";
      this.#mirror = new Mirror({ store, isDown, onUse: onMirror });
      this.#machines = new SshCluster({ home, registry, connections: this.#connections, spec: checked });
    }

    this.#session = new Session({
      provider: this.#machines ?? new LocalProvider(home),
      onConnect: (session) => {
        if (logs !== "ignore") void followLogs(session, logs === "inherit" ? printLine : logs);
      },
      ...(onReconnecting ? { onReconnecting } : {}),
      onRunEnded: (session, run) => this.#mirror?.keep(session, run),
    });
    const sessionOf = (name: string) => this.#clusterNamed(name).#session;
    this.runs = new Runs(this.#session, new Cursors(home), { homeName: this.name, sessionOf }, this.#mirror);
    this.envs = new Envs(this.#session);
  }

  /** What the registry has on a cluster of machines; undefined for `local`, and for one that was never brought up. */
  get record(): ClusterRecord | undefined {
    return this.#machines?.record;
  }

  /** Makes the cluster be up as its spec says, whatever there is of it already, and returns it. */
  async up(options: UpOptions = {}): Promise<this> {
    await this.#machines?.up(options);
    await this.#session.connect(options.signal);
    return this;
  }

  /** Brings the cluster up if it is not, and returns it. */
  async upIfNot(options: { signal?: AbortSignal } = {}): Promise<this> {
    await this.#session.connect(options.signal);
    return this;
  }

  /**
   * The remote twin of `import()`: bundles the file and all it imports, sends what the cluster lacks, readies
   * the env, and returns the module's functions. They take the same arguments and return promises of the same
   * results; generators come back as async generators. Rejects with a `FarcallError` whose code begins with
   * `bundle.` or `env.` when the file, or what it needs, is at fault.
   */
  async import<M = Record<string, (...args: unknown[]) => unknown>>(
    file: string | URL,
    options: ImportOptions = {},
  ): Promise<Remote<M>> {
    const module = await this.openModule(resolveFile(file, options.from), options);
    const { synced, env } = await module.load();
    const sent = synced.sentFiles === 0 ? "" : `, ${synced.sentFiles} files of ${synced.sentBytes} bytes sent`;
    options.onProgress?.(`code ${synced.state}${sent}, env ${env}`);
    return remoteExports<M>(module);
  }

  /** A module by path, for those who know its functions by name only: the command line, the editor. */
  openModule(file: string, options: LoadOptions = {}): Promise<RemoteModule> {
    const placeNamed = (name: string) => this.#clusterNamed(name);
    return RemoteModule.open(this.#session, file, {
      cacheFolder: this.#cacheFolder,
      place: this,
      placeNamed,
      ...options,
    });
  }

  bring(module: RemoteModule): RemoteModule {
    return module.on(this.#session);
  }

  /** Throws `cluster.unknown`. */
  #clusterNamed(name: string): Cluster {
    if (name === this.name) return this;
    const { onReconnecting: _ofThis, ...options } = this.#options;
    const named = this.#named.get(name) ?? new Cluster(name, { ...options, home: this.home });
    this.#named.set(name, named);
    return named;
  }

  /** What the cluster is doing; undefined when it is not up. Starts nothing. */
  async status(): Promise<AgentStatus | undefined> {
    if (!(await this.#session.connectIfUp())) return undefined;
    const { value } = await this.#session.request("status", {}, { timeoutMs: stopTimeoutMs });
    return value;
  }

  /**
   * Why nothing is heard of the nodes that a `status` of this cluster lacks. Goes to their machines, for seconds, and
   * starts nothing there.
   */
  async absences({ nodes }: AgentStatus, signal?: AbortSignal): Promise<Absence[]> {
    const heard = nodes.map(({ number }) => number);
    return (await this.#machines?.absences(heard, signal)) ?? [];
  }

  /** How busy a node has been in the last hour, every few seconds; undefined when the cluster is not up. Starts nothing. */
  async metrics(node: number, signal?: AbortSignal): Promise<NodeMetrics | undefined> {
    if (!(await this.#session.connectIfUp())) return undefined;
    const options = { timeoutMs: metricsTimeoutMs, background: true, start: false, ...(signal && { signal }) };
    const { value } = await this.#session.request("node.metrics", { node }, options);
    return value.metrics;
  }

  /** A shell on a node, over the SSH connection that everything else goes by, in a terminal if one is described. Not for `local`. */
  async shell(node: number, terminal: ShellTerminal | undefined, signal?: AbortSignal): Promise<Shell> {
    return (await this.#nodeConnection(node, signal)).shell(terminal);
  }

  /** The end of the log of a node's agent. Not for `local`, whose log is a file of this machine. */
  async agentLog(node: number, signal?: AbortSignal): Promise<string> {
    const connection = await this.#nodeConnection(node, signal);
    const { readNodeLog } = await import("./nodeLog.ts");
    return readNodeLog(connection, this.#machines!.record!.id, signal);
  }

  async #nodeConnection(number: number, signal: AbortSignal | undefined): Promise<SshConnection> {
    const nodes = this.record?.nodes ?? [];
    const node = nodes.find((each) => each.number === number);
    if (node) return this.#connections.to(node.host, signal);
    const there = nodes.map((each) => `${each.number} (${each.host})`).join(", ");
    throw new FarcallError("usage", `The cluster ${this.name} has no node ${number} that is reached over SSH.`, {
      hint: `It has ${there || "none"}.`,
    });
  }

  /**
   * What changes, as it does, at most four times a second; at first the number of replicas. Ends when the
   * connection is lost, and with `start: false` at once when the cluster is not up. An abort of `signal` is thrown.
   */
  async *changes(
    options: { signal?: AbortSignal; start?: boolean } = {},
  ): AsyncGenerator<ClusterChanges, void, undefined> {
    const { signal, start = true } = options;
    if (!start && !(await this.#session.connectIfUp())) return;
    try {
      for await (const { value } of this.#session.stream("changes.follow", {}, { signal })) yield value;
    } catch (error) {
      signal?.throwIfAborted();
      if (!isConnectionLoss(error)) throw error;
    }
  }

  /**
   * Ends the cluster's agents and workers, and removes everything from machines that are not this one. Refused with
   * `run.state` while runs are active, unless `force` cancels them. With `force` also a cluster whose machines cannot
   * be reached is forgotten; `left` names those hosts. `wasUp` is whether there was an agent to end. An agent of a
   * version that cannot be talked to is ended only with `force`; a later one goes on with its maps.
   */
  async down(
    options: { force?: boolean; signal?: AbortSignal; onProgress?: (line: string) => void } = {},
  ): Promise<{ wasUp: boolean; left: string[] }> {
    const { force = false, signal, onProgress } = options;
    if (!force) await this.#keepRuns(onProgress);
    const wasUp = await this.#stop(force).catch((error: unknown) => {
      if (force && this.#machines && isAway(error)) return false;
      throw error;
    });
    return { wasUp, left: (await this.#machines?.remove({ force, signal })) ?? [] };
  }

  /** Ends the agents and workers and keeps everything on the machines, for `up` to go on from. Refused as `down` is. */
  async stop(options: { force?: boolean } = {}): Promise<boolean> {
    if (!options.force) await this.#keepRuns();
    const wasUp = await this.#stop(options.force ?? false);
    await this.#machines?.noteStopped();
    return wasUp;
  }

  /** Keeps what has ended on this machine, for when the others are gone. An agent that ended when idle is started for it. */
  async #keepRuns(onProgress?: (line: string) => void): Promise<void> {
    if (!this.#mirror) return;
    try {
      const late = AbortSignal.timeout(keepAllWithinMs);
      const mayStart = this.record?.state === "up";
      if (!(await this.#session.connectIfUp()) && !(mayStart && (await this.#session.connect(late)))) return;
      const failed = await this.#mirror.keepAll(this.#session, late);
      if (failed > 0) onProgress?.(`${failed} runs could not be kept on this machine`);
    } catch {
      // Whoever takes the cluster down is told what is wrong with it.
    }
  }

  /** Resolves when runs that this client saw end are kept on this machine, or after a while. */
  async kept(): Promise<void> {
    const named = [...this.#named.values()].map((cluster) => cluster.kept());
    await Promise.all([this.#mirror?.settled(keptWithinMs), ...named]);
  }

  async #stop(force: boolean): Promise<boolean> {
    let connected: Connected | undefined;
    try {
      connected = await this.#session.connectIfUp();
    } catch (error) {
      if (!force || !(error instanceof FarcallError) || error.code !== "agent.version") throw error;
      await this.#session.endForeign();
      return true;
    }
    if (!connected) return false;
    const { value } = await this.#session.request("stop", { force }, { timeoutMs: stopTimeoutMs });
    if (!value.stopping) {
      throw new FarcallError("run.state", `The cluster ${this.name} has ${value.activeRuns} active runs.`, {
        hint: "Wait for them or cancel them; with --force they are cancelled.",
      });
    }
    await this.#session.agentEnded(connected);
    return true;
  }

  /** Ends the connection. Runs go on. */
  close(): void {
    for (const named of this.#named.values()) named.close();
    this.#session.close();
    this.#machines?.close();
    void this.#connections.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kept();
    for (const named of this.#named.values()) await named[Symbol.asyncDispose]();
    this.#session.close();
    this.#machines?.close();
    await this.#connections.close();
  }
}

function resolveFile(file: string | URL, from: string | undefined): string {
  if (file instanceof URL || file.startsWith("file:")) return fileURLToPath(file);
  if (isAbsolute(file)) return file;
  const base =
    from === undefined ? process.cwd() : dirname(from.startsWith("file:") ? fileURLToPath(from) : resolve(from));
  return resolve(base, file);
}

async function followLogs(session: Session, take: (line: LogLine) => void): Promise<void> {
  const { followed } = session;
  try {
    // Taken as they arrive, in step with the results that arrive behind them.
    await session.request("logs.follow", { runs: followed.wanted() }, { background: true }, (item) => {
      const { lines, place } = item as Item<AgentMethods["logs.follow"]>;
      for (const line of lines) take(line);
      if (lines[0]) followed.took(lines[0].run, place);
    });
  } catch {
    // The connection is gone; the next one goes on from here.
  }
}

function printLine({ replica, index, text }: LogLine): void {
  process.stderr.write(`[replica ${replica}${index === undefined ? "" : `, input ${index}`}] ${plainLine(text)}\n`);
}
