import { randomUUID } from "node:crypto";
import { agentMethods, type AgentMethods } from "../protocol/messages/agent.ts";
import { protocolVersion } from "../protocol/messages/session.ts";
import type { Item, Params, Result } from "../protocol/messages/catalogue.ts";
import { workMethods, type WorkMethods } from "../protocol/messages/work.ts";
import { type AskWork, passOn } from "../protocol/passOn.ts";
import { type OnItem, Peer, type Received } from "../protocol/rpc.ts";
import type { Provider } from "../providers/provider.ts";
import { FarcallError } from "../spec/errors.ts";
import { farcallVersion } from "../spec/version.ts";
import type { Transport } from "../transport/transport.ts";
import type { Asking, AskOptions } from "./asking.ts";
import { FollowedLogs } from "./followedLogs.ts";
import { Patience, pause } from "./loss.ts";
import { withSignal } from "../spec/withSignal.ts";

/**
 * A client's connection to a cluster, made when first needed and made again when it was lost.
 *
 * Requests fail with `connection.lost` when the connection breaks under them; only whoever made one knows
 * whether it may be made again. `withRetry` is for those that may. While nothing is asked, the connection
 * does not keep the process alive.
 */
export interface SessionOptions {
  provider: Provider;
  /** Called after each connect. */
  onConnect?: (session: Session) => void;
  /** Told when a connection that is needed is lost and sought again, and when it is there again. */
  onReconnecting?: (isReconnecting: boolean) => void;
  /** Told of runs that this client began or follows when they have ended. */
  onRunEnded?: (session: Session, run: string) => void;
}

const helloTimeoutMs = 10_000;
/** Tries to find an agent with the token that lies in its folder: one may be starting just now. */
const maxGreetings = 40;
const betweenGreetingsMs = 50;
/** For a cluster that does not say otherwise, and for one that was never reached. */
const shortPatienceMs = 45_000;

type Methods = AgentMethods;
type AgentPeer = Peer<Methods, WorkMethods>;

export class Session implements Asking {
  readonly #options: SessionOptions;
  #connecting: Promise<Connected> | undefined;
  /** As `#connecting`, without starting anything. */
  #looking: Promise<Connected> | undefined;
  #connected: Connected | undefined;
  /** The agent that was last found to be of a version that cannot be talked to. */
  #foreignPid: number | undefined;
  #busy = 0;
  #closed = false;
  #wasConnected = false;
  #isReconnecting = false;
  readonly isLooking = false;
  readonly followed = new FollowedLogs();
  /** Where to ask for the work of maps that this cluster works on for others. */
  readonly #lent = new Map<string, AskWork>();
  /** By which an agent knows that a new connection takes the place of one that it may still take for alive. */
  readonly #id = randomUUID();

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  request<K extends keyof Methods>(
    method: K,
    params: Params<Methods[K]>,
    options?: AskOptions,
    onItem?: OnItem,
  ): Promise<Received<Result<Methods[K]>>> {
    const connected = this.#connected;
    if (!connected) return this.#reach(options?.start).then(() => this.request(method, params, options, onItem));
    const answer = connected.peer.request(method, params, options, onItem);
    if (options?.background) return answer;
    this.#hold();
    answer.then(this.#release, this.#release);
    return answer;
  }

  async *stream<K extends keyof Methods>(
    method: K,
    params: Params<Methods[K]>,
    options: AskOptions = {},
  ): AsyncGenerator<Received<Item<Methods[K]>>, Received<Result<Methods[K]>>, undefined> {
    const { peer } = this.#connected ?? (await this.#reach(options.start));
    if (!options.background) this.#hold();
    try {
      return yield* peer.stream(method, params, options);
    } finally {
      if (!options.background) this.#release();
    }
  }

  /** The same session for those who only look: their requests start no agent. */
  looking(): Asking {
    return {
      request: (method, params, options, onItem) => this.request(method, params, { ...options, start: false }, onItem),
      stream: (method, params, options) => this.stream(method, params, { ...options, start: false }),
      withRetry: (act, signal) => this.withRetry(act, signal),
      insist: (act) => act(),
      patience: (signal) => this.#patience(() => shortPatienceMs, signal),
      isLooking: true,
      followed: this.followed,
      runEnded: (run) => this.runEnded(run),
    };
  }

  /** Lets the cluster ask for the work of a map of another one, until that is disposed of. */
  lend(run: string, ask: AskWork): Disposable {
    this.#lent.set(run, ask);
    return { [Symbol.dispose]: () => void this.#lent.delete(run) };
  }

  #askFor(run: string): AskWork {
    const ask = this.#lent.get(run);
    if (ask) return ask;
    throw new FarcallError("run.unknown", `This client does not lend work of the run ${run}.`);
  }

  runEnded(run: string): void {
    this.followed.end(run);
    this.#options.onRunEnded?.(this, run);
  }

  async #reach(start = true): Promise<Connected> {
    const connected = start ? await this.connect() : await this.connectIfUp();
    if (!connected) throw new FarcallError("agent.unreachable", "The cluster is not running.", { retryable: true });
    return connected;
  }

  /** Does `act` again, after a growing pause, as long as it fails only because the connection broke. */
  async withRetry<T>(act: (patience: Patience) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const patience = this.patience(signal);
    for (;;) {
      try {
        return await act(patience);
      } catch (error) {
        await patience.bear(error);
      }
    }
  }

  async insist<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof FarcallError) || error.code !== "connection.lost") throw error;
      return this.withRetry(act);
    }
  }

  /** Machines that were reached may be away for a while; those that never answered are not waited for as long. */
  patience(signal?: AbortSignal): Patience {
    const { patienceMs = shortPatienceMs } = this.#options.provider;
    return this.#patience(() => (this.#wasConnected ? patienceMs : shortPatienceMs), signal);
  }

  #patience(withinMs: () => number, signal: AbortSignal | undefined): Patience {
    return new Patience({
      withinMs: () => (this.#closed ? 0 : withinMs()),
      onLoss: () => this.#setReconnecting(this.#wasConnected && !this.#connected),
      signal,
    });
  }

  #setReconnecting(isReconnecting: boolean): void {
    if (isReconnecting === this.#isReconnecting) return;
    this.#isReconnecting = isReconnecting;
    this.#options.onReconnecting?.(isReconnecting);
  }

  async connect(signal?: AbortSignal): Promise<Connected> {
    if (this.#closed) throw new FarcallError("connection.lost", "The cluster was closed.");
    if (this.#connected) return this.#connected;
    // Shared by all who wait, so it is nobody's signal that ends it.
    this.#connecting ??= this.#begin().finally(() => (this.#connecting = undefined));
    return withSignal(this.#connecting, signal);
  }

  /** Connects if an agent is running; undefined if none is. */
  async connectIfUp(): Promise<Connected | undefined> {
    if (this.#connected) return this.#connected;
    if (this.#connecting) return this.#connecting;
    try {
      this.#looking ??= this.#dial(false).finally(() => (this.#looking = undefined));
      return await this.#looking;
    } catch (error) {
      if (error instanceof FarcallError && error.code === "agent.unreachable") return undefined;
      throw error;
    }
  }

  /** Resolves when an agent that was told to end is gone. */
  async agentEnded(connected: Connected): Promise<void> {
    // Awaiting something that only an idle connection will tell must not let the process end.
    connected.transport.keepProcessAlive(true);
    await connected.peer.closed;
    await this.#options.provider.ended(connected.agentPid);
  }

  /** Ends an agent that was found to be of a version that cannot be asked to. Resolves when it is gone. */
  async endForeign(): Promise<void> {
    const pid = this.#foreignPid;
    if (pid !== undefined) await this.#options.provider.terminate(pid);
  }

  close(): void {
    this.#closed = true;
    this.#connected?.peer.close();
    for (const connecting of [this.#connecting, this.#looking]) {
      void connecting?.then(
        ({ peer }) => peer.close(),
        () => undefined,
      );
    }
  }

  /** Connects, after whoever is only looking has found nobody. */
  #begin(): Promise<Connected> {
    return this.#looking ? this.#looking.catch(() => this.#dial(true)) : this.#dial(true);
  }

  async #dial(start: boolean): Promise<Connected> {
    for (let tries = 1; ; tries++) {
      const link = await this.#options.provider.connect({ start });
      const peer: AgentPeer = new Peer(link.transport, agentMethods, {
        methods: workMethods,
        handlers: passOn((run) => this.#askFor(run)),
        keepAlive: true,
        onClose: () => {
          if (this.#connected?.peer === peer) this.#connected = undefined;
        },
      });
      try {
        const { value } = await peer.request(
          "hello",
          {
            protocol: protocolVersion,
            token: link.token,
            version: farcallVersion,
            build: link.expectedBuild,
            client: this.#id,
          },
          { timeoutMs: helloTimeoutMs },
        );
        if (value.build !== link.expectedBuild && (await this.#replaces(peer, value, start))) continue;
        const connected = { peer, transport: link.transport, agentVersion: value.version, agentPid: value.pid };
        link.transport.keepProcessAlive(this.#busy > 0);
        this.#connected = connected;
        this.#wasConnected = true;
        this.#setReconnecting(false);
        if (this.#closed) peer.close();
        this.#options.onConnect?.(this);
        return connected;
      } catch (error) {
        peer.destroy();
        // Between a new agent's token and its socket, or the other way round, is a moment of disagreement.
        const passing =
          error instanceof FarcallError && (error.code === "agent.auth" || error.code === "connection.lost");
        if (!passing || tries >= maxGreetings) throw unanswered(error);
        await pause(betweenGreetingsMs);
      }
    }
  }

  /** Whether the agent of another build makes room for one of ours. */
  async #replaces(
    peer: AgentPeer,
    agent: { protocol: number; version: string; pid: number },
    start: boolean,
  ): Promise<boolean> {
    // Two editors of different versions that only look must not end the idle agents of each other.
    if (!start && agent.protocol === protocolVersion) return false;
    const { value } = await peer.request("retire", {}, { timeoutMs: helloTimeoutMs });
    if (value.retiring) {
      await peer.closed;
      await this.#options.provider.ended(agent.pid);
      return true;
    }
    if (agent.protocol === protocolVersion) return false;
    this.#foreignPid = agent.pid;
    throw new FarcallError(
      "agent.version",
      `The agent of this cluster is of Farcall ${agent.version} and cannot talk to this client of ${farcallVersion}; it was asked to make room, but ${value.why ?? "it will not"}.`,
      { hint: this.#options.provider.otherVersionHint },
    );
  }

  #hold(): void {
    if (this.#busy++ === 0) this.#connected?.transport.keepProcessAlive(true);
  }

  readonly #release = (): void => {
    if (--this.#busy === 0) this.#connected?.transport.keepProcessAlive(false);
  };
}

/** Who does not answer a greeting cannot be reached, whatever carried it there. */
function unanswered(error: unknown): unknown {
  if (!(error instanceof FarcallError) || error.code !== "timeout") return error;
  return new FarcallError("connection.lost", "The agent does not answer.", { cause: error, retryable: true });
}

export interface Connected {
  peer: AgentPeer;
  transport: Transport;
  agentVersion: string;
  agentPid: number;
}

/**
 * Whether the connection broke without a word, as when the agent was killed. One that ends in order, by `down` or
 * because it was idle, says farewell: then nobody wants it to be there.
 */
export function brokeOff(error: unknown): boolean {
  return (
    error instanceof Error && (error as { code?: unknown }).code === "connection.lost" && error.cause !== undefined
  );
}
