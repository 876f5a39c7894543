import { openSync, writeSync } from "node:fs";

/**
 * A note in a file of what this worker is doing, for the agent to read when the worker died: which inputs
 * were being worked on, and since when. A write to a file outlives any death of the process and costs about
 * 3 µs, so it is made at every start of an input only where that matters, and otherwise once a millisecond.
 *
 * The first line is `timeMs exact token=index,index;token=index`, with the slices that have begun. `exact`
 * is 1 when the lists are known to be complete. The second line is the note of an orderly death as JSON.
 */
export interface DeathNote {
  kind: "exit" | "uncaught" | "unhandled-rejection";
  /** The encoded error, in base64. */
  error?: string;
}

const betweenMs = 1;

export class Journal {
  readonly #descriptor: number;
  /** Inputs being worked on, by slice. */
  readonly #slices = new Map<string, Set<number>>();
  #careful = 0;
  #writtenAtMs = 0;

  constructor(file: string) {
    this.#descriptor = openSync(file, "w", 0o600);
  }

  /** With `careful`, every start is written down at once until the slice ends. */
  begin(token: string, careful: boolean): SliceJournal {
    const active = new Set<number>();
    this.#slices.set(token, active);
    if (careful) this.#careful++;
    this.#write(this.#careful > 0, "");
    return {
      start: (index) => {
        active.add(index);
        const now = performance.now();
        if (this.#careful === 0 && now - this.#writtenAtMs < betweenMs) return;
        this.#writtenAtMs = now;
        this.#write(this.#careful > 0, "");
      },
      finish: (index) => active.delete(index),
      end: () => {
        this.#slices.delete(token);
        if (careful) this.#careful--;
        this.#write(true, "");
      },
    };
  }

  /** The last word of a worker that still can say one. */
  died(note: DeathNote): void {
    this.#write(true, JSON.stringify(note));
  }

  #write(exact: boolean, note: string): void {
    const slices = [...this.#slices].map(([token, active]) => `${token}=${[...active].join(",")}`).join(";");
    const line = `${Date.now()} ${exact ? 1 : 0} ${slices}\n${note}\n`;
    try {
      writeSync(this.#descriptor, line, 0);
    } catch {
      // Without a journal a death is blamed on the whole slice, which is then worked with care: slower, not wrong.
    }
  }
}

export interface SliceJournal {
  start(index: number): void;
  finish(index: number): void;
  end(): void;
}
