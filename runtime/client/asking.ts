import type { AgentMethods } from "../protocol/messages/agent.ts";
import type { Item, Params, Result } from "../protocol/messages/catalogue.ts";
import type { OnItem, Received, RequestOptions } from "../protocol/rpc.ts";
import type { FollowedLogs } from "./followedLogs.ts";
import type { Patience } from "./loss.ts";

type Methods = AgentMethods;

/** What a request may say beside what it asks. */
export interface AskOptions extends RequestOptions {
  /** Does not keep this process alive. */
  background?: boolean;
  /** False: fails with `agent.unreachable` rather than have an agent started. Default true. */
  start?: boolean;
}

/** The part of a session that asks, for those to whom it is all the same whether that may start an agent. */
export interface Asking {
  request<K extends keyof Methods>(
    method: K,
    params: Params<Methods[K]>,
    options?: AskOptions,
    onItem?: OnItem,
  ): Promise<Received<Result<Methods[K]>>>;
  stream<K extends keyof Methods>(
    method: K,
    params: Params<Methods[K]>,
    options?: AskOptions,
  ): AsyncGenerator<Received<Item<Methods[K]>>, Received<Result<Methods[K]>>, undefined>;
  withRetry<T>(act: (patience: Patience) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Asks again what the connection broke under, as `withRetry` does, and does not wait for one that was never there. */
  insist<T>(act: () => Promise<T>): Promise<T>;
  /** How long to go on asking over a connection that is lost again and again. */
  patience(signal?: AbortSignal): Patience;
  /** Whether asking starts nothing. Who shows a cluster is told at once when the connection is lost. */
  readonly isLooking: boolean;
  /** The runs whose output comes to this client as it is printed. */
  readonly followed: FollowedLogs;
  /** A run that this client began or follows has ended. */
  runEnded(run: string): void;
}
