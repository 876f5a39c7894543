import type { RunRecord } from "../protocol/messages/runs.ts";
import type { Cursors } from "./cursors.ts";
import type { Neighbours } from "./guests/resume.ts";
import type { Mirror } from "./mirror/mirror.ts";
import { Run } from "./run.ts";
import type { Session } from "./session.ts";

const askTimeoutMs = 30_000;

export interface ListOptions {
  /** Default 50. */
  limit?: number;
  /** Id of the last run of the page before. */
  before?: string;
}

/** The record of what ran on a cluster. */
export class Runs {
  readonly #session: Session;
  readonly #cursors: Cursors;
  readonly #neighbours: Neighbours;
  readonly #mirror: Mirror | undefined;

  /** With a mirror, runs that are kept on this machine are given when the cluster is not there. */
  constructor(session: Session, cursors: Cursors, neighbours: Neighbours, mirror?: Mirror) {
    this.#session = session;
    this.#cursors = cursors;
    this.#neighbours = neighbours;
    this.#mirror = mirror;
  }

  /** Newest first. With `start: false` nothing is started, and it gives undefined when the cluster is not up. */
  list(options?: ListOptions & { start?: true }): Promise<RunRecord[]>;
  list(options: ListOptions & { start?: boolean }): Promise<RunRecord[] | undefined>;
  async list(options: ListOptions & { start?: boolean } = {}): Promise<RunRecord[] | undefined> {
    const { limit = 50, before, start = true } = options;
    if (!start && !(await this.#session.connectIfUp())) return undefined;
    const asked = before === undefined ? { limit } : { limit, before };
    const live = async () => {
      const ask = () => this.#session.request("run.list", asked, { timeoutMs: askTimeoutMs });
      return (await this.#session.insist(ask)).value.runs;
    };
    const mirror = this.#mirror;
    return mirror ? mirror.instead(live, () => mirror.list(limit, before)) : live();
  }

  /**
   * Attaches to a run, whoever began it. Throws `run.unknown`. With `start: false` neither this nor anything asked of
   * the run starts the cluster: while it is not up that is `agent.unreachable`. With `kept`, the default unless
   * `start` is false, it is then the run as it was kept on this machine, if it was: see `Run.kept`.
   */
  async open<T = unknown>(id: string, options: { start?: boolean; kept?: boolean } = {}): Promise<Run<T>> {
    const { start = true, kept: mayBeKept = start } = options;
    const session = start ? this.#session : this.#session.looking();
    const live = async () => {
      const ask = () => session.request("run.get", { run: id }, { timeoutMs: askTimeoutMs });
      return new Run<T>(session, this.#cursors, this.#neighbours, (await session.insist(ask)).value.record);
    };
    const mirror = this.#mirror;
    if (!mirror || !mayBeKept) return live();
    return mirror.instead(live, async (failure) => {
      const found = await mirror.open(id);
      if (!found) return undefined;
      const { record, cut } = found.kept;
      return new Run<T>(found.asking, this.#cursors, this.#neighbours, record, { failure, cut });
    });
  }
}
