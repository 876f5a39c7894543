import { encodeError } from "../../protocol/codec.ts";
import type { AgentMethods } from "../../protocol/messages/agent.ts";
import type { ExportInfo, ModuleRef } from "../../protocol/messages/code.ts";
import type { Result } from "../../protocol/messages/catalogue.ts";
import type { Answer, RequestOptions } from "../../protocol/rpc.ts";
import { FarcallError } from "../../spec/errors.ts";
import type { Slot } from "../pool.ts";
import type { ReadyPool } from "../pools.ts";
import type { LiveCall } from "../liveCall.ts";
import type { SharedCode } from "./code.ts";
import type { AgentPeer, Fleet } from "./fleet.ts";
import type { Shares } from "./shares.ts";

/** Sends single calls to the node whose replicas of the env have the least to do. */
type Loaded = Result<AgentMethods["module.load"]>;
type CallAnswer = Answer<Result<AgentMethods["call"]>>;

export class Router {
  readonly #fleet: Fleet;
  readonly #code: SharedCode;
  readonly #shares: Shares;
  /** Calls sent from here that are not answered, by module and node. */
  readonly #waiting = new Map<string, Map<number, number>>();

  constructor(fleet: Fleet, code: SharedCode, shares: Shares) {
    this.#fleet = fleet;
    this.#code = code;
    this.#shares = shares;
  }

  /** Runs a call here or elsewhere. `onNode` is told of another node that prints its output. */
  async run(
    live: LiveCall,
    ready: ReadyPool,
    logFile: (slot: Slot) => string,
    onNode: (number: number) => void,
  ): Promise<CallAnswer> {
    const number = this.#choose(ready);
    const waiting = this.#waiting.get(ready.key) ?? new Map<number, number>();
    this.#waiting.set(ready.key, waiting);
    waiting.set(number, (waiting.get(number) ?? 0) + 1);
    try {
      if (number === this.#fleet.number) return await ready.calls.run(live, logFile);
      return await this.#forward(number, live, ready, onNode);
    } finally {
      const left = waiting.get(number)! - 1;
      if (left > 0) waiting.set(number, left);
      else waiting.delete(number);
      if (waiting.size === 0) this.#waiting.delete(ready.key);
    }
  }

  /** What a module exports, from a node that may have a replica of it; undefined where that is this one. */
  async exports(ready: ReadyPool, signal: AbortSignal): Promise<ExportInfo[] | undefined> {
    const { module } = ready.pool;
    if (this.#shares.mine(module.env, null) > 0) return undefined;
    const peer = await this.#fleet.peer(this.#choose(ready), signal);
    return (await this.#load(peer, module, { signal })).exports;
  }

  async #load(peer: AgentPeer, module: ModuleRef, options: RequestOptions): Promise<Loaded> {
    // It may not know yet where else there is the code.
    await this.#code.send(peer, module.bundle);
    return (await peer.request("module.load", { module }, options)).value;
  }

  #choose(ready: ReadyPool): number {
    const { env } = ready.pool.module;
    const waiting = this.#waiting.get(ready.key);
    let best: { number: number; load: number } | undefined;
    for (const [number, replicas] of this.#shares.of(env, null)) {
      if (replicas === 0) continue;
      const load = ((waiting?.get(number) ?? 0) + 1) / (replicas * env.concurrency);
      const isBetter = !best || load < best.load || (load === best.load && number === this.#fleet.number);
      if (isBetter) best = { number, load };
    }
    if (best) return best.number;
    throw this.#shares.noRoom(env);
  }

  async #forward(
    number: number,
    live: LiveCall,
    ready: ReadyPool,
    onNode: (number: number) => void,
  ): Promise<CallAnswer> {
    const peer = await this.#fleet.peer(number);
    onNode(number);
    try {
      return await this.#ask(peer, live, ready.key);
    } catch (error) {
      if (error instanceof FarcallError && error.code === "module.unknown") {
        // Nothing has run there yet.
        await this.#load(peer, ready.pool.module, { signal: live });
        return this.#ask(peer, live, ready.key);
      }
      if (error instanceof FarcallError && error.code === "connection.lost" && !live.aborted) {
        const lost = new FarcallError("worker.killed", `The node ${number} was lost while the call ran there.`);
        return { result: { ok: false, replica: 0 }, body: encodeError(lost) };
      }
      throw error;
    }
  }

  async #ask(peer: AgentPeer, live: LiveCall, module: string): Promise<CallAnswer> {
    const { run, export: name, timeoutMs, detached = false } = live.params;
    const limit = timeoutMs === undefined ? {} : { timeoutMs };
    // One that is detached goes on there when this node dies.
    const params = { run, module, export: name, here: true, detached, ...limit };
    // Once it is cancelled it is over when it is so there.
    const options = { body: live.body, signal: live, onAbort: "wait" } as const;
    const { value, body } = await peer.request("call", params, options, (_item, itemBody) => live.send({}, itemBody));
    live.keptElsewhere = true;
    return { result: value, body };
  }
}
