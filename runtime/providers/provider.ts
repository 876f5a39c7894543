import type { Transport } from "../transport/transport.ts";

/** Where nodes come from, and how a client reaches the agent on one: the port. */
export interface Provider {
  readonly name: string;
  /** How long a client that had a connection goes on trying to have one again. */
  readonly patienceMs?: number;
  /** What a person can do about an agent of another version that is used, in words. */
  readonly otherVersionHint: string;
  /** Connects to the head's agent. With `start`, an agent that is not running is started. */
  connect(options: ConnectOptions): Promise<AgentLink>;
  /** Resolves when an agent that was told to end is gone, or after a bound. */
  ended(agentPid: number): Promise<void>;
  /** Ends an agent that cannot be asked to, in an orderly way, and resolves as `ended` does. */
  terminate(agentPid: number): Promise<void>;
}

export interface ConnectOptions {
  start: boolean;
  signal?: AbortSignal | undefined;
}

export interface AgentLink {
  transport: Transport;
  /** What the agent wants to see in `hello`. */
  token: string;
  /** The build that this client would start. */
  expectedBuild: string;
}
