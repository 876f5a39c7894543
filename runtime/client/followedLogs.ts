import { advance, type LogPosition } from "../protocol/logPosition.ts";
import type { LogPlace } from "../protocol/messages/logs.ts";

/** The maps whose output a client is sent as it is printed, and how far: a new connection goes on from there. */
export class FollowedLogs {
  readonly #positions = new Map<string, LogPosition>();

  /** Before the run is begun, so that it is followed whichever connection begins it. */
  begin(run: string): void {
    if (!this.#positions.has(run)) this.#positions.set(run, []);
  }

  end(run: string): void {
    this.#positions.delete(run);
  }

  took(run: string, place: LogPlace | undefined): void {
    const before = this.#positions.get(run);
    if (before) this.#positions.set(run, advance(before, place));
  }

  /** What to ask an agent for. */
  wanted(): { run: string; after: LogPosition }[] {
    return [...this.#positions].map(([run, after]) => ({ run, after }));
  }
}
