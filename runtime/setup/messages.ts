/** What a client asks of a node's set-up program, and what it is answered. Plain types: both ends are of one build. */
export interface SetupRequest {
  /** Files of the agent to put in place; their bytes follow the request in this order. */
  build?: { hash: string; files: SetupFile[] };
  /** Who this cluster is, for clients that find it on the machine. Kept as it is. */
  cluster?: {
    id: string;
    name: string;
    createdAtMs: number;
    hosts: string[];
    number: number;
    /** How clients carry the node's traffic; absent where it needs nobody. */
    relay?: { seats: number[]; port: number };
  };
  /** What this node is in its cluster. Kept as it is, for the agent. Without, it stays what it was. */
  node?: object;
  /** The server of the queue, for a node that is a seat; its bytes follow those of the build. Known again by `mark`. */
  server?: SetupFile & { mark: string };
  /** After how many milliseconds without work the agent is to end, 0 for never, and when that was said. */
  autostop?: { ms: number; saidAtMs: number };
  /**
   * Something of this was put in place a moment ago, so that an agent that is coming up is an old one, unless the one
   * there was, of the token `ending`, ends for it and is started again.
   */
  placed?: { ending?: string | undefined };
  /** Starts the agent unless it runs. */
  start?: {
    linger: boolean;
    /** Where the node has to get through to. When it does not come up, those that never answered are named. */
    reach: SetupTarget[];
  };
  /**
   * Changes nothing: finds out which of `dial` the node gets through to within a time in which others do the same and
   * so many of them connect to each port in `listen`. Everything else is left out then.
   */
  survey?: { listen: { port: number; callers: number }[]; dial: SetupTarget[]; withinMs: number };
}

export interface SetupTarget {
  host: string;
  port: number;
  name: string;
}

export interface SetupFile {
  name: string;
  sizeBytes: number;
  sha256: string;
  mode: number;
}

export type SetupAnswer =
  | { ok: true; ending?: string | undefined; agent?: AgentAddress; missing?: SetupTarget[] }
  | { ok: false; code: string; message: string };

export interface AgentAddress {
  token: string;
  socket: string;
  build: string;
}
