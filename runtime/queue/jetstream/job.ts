/** One job as this process knows it: its index, kept up to date, and the inputs that are being stored now. */
import { FarcallError } from "../../spec/errors.ts";
import type { RunId } from "../../spec/names.ts";
import type { NewChunk } from "../mapQueue.ts";
import type { Connection } from "./connection.ts";
import { JobIndex } from "./jobIndex.ts";
import type { Pulls } from "./pulls.ts";
import { type Range, Ranges } from "./ranges.ts";
import type { StoredJob } from "./records.ts";
import { readSettled } from "./settled.ts";
import { streams, subjects } from "./streams.ts";
import { Tail, type TailMessage } from "./tail.ts";

/** How long a reader waits for what this process has stored itself to come round. */
const ownMs = 5_000;
const againMs = 100;

export interface Arriving extends Range {
  stored: Promise<void>;
}

export class Job {
  readonly id: RunId;
  readonly key: string;
  index = new JobIndex();
  /** Inputs on their way to the stream of work. */
  readonly arriving = new Ranges<Arriving>();
  /** Resolves when a change of state that was asked for before has been answered. */
  ending: Promise<void> = Promise.resolve();
  /** Chunks whose children this process has stored. */
  readonly complete = new Set<string>();
  readonly #connection: Connection;
  readonly #pulls: Pulls;
  readonly #onChange: () => void;
  readonly #onBroken: () => Promise<void>;
  #tail: Tail;
  #whole: Promise<void> | undefined;
  #closed = false;

  constructor(
    { id, key }: StoredJob,
    connection: Connection,
    pulls: Pulls,
    onChange: () => void,
    onBroken: () => Promise<void>,
  ) {
    this.id = id;
    this.key = key;
    this.#connection = connection;
    this.#pulls = pulls;
    this.#onChange = onChange;
    this.#onBroken = onBroken;
    this.#tail = this.#follow(this.index);
  }

  get loaded(): Promise<void> {
    return this.#tail.caughtUp;
  }

  /**
   * Waits until the index of a job that has ended holds all its outcomes. That a job has ended may be heard before the
   * last outcomes that others stored; after it there are none.
   */
  whole({ state, total }: Pick<StoredJob, "state" | "total">): Promise<void> {
    this.#whole ??= this.#readWhole(state === "done" ? (total ?? 0) : 0);
    this.#whole.catch(() => (this.#whole = undefined));
    return this.#whole;
  }

  /** `count` inputs are known to have an outcome. */
  async #readWhole(count: number): Promise<void> {
    const giveUpAtMs = performance.now() + ownMs;
    await this.sync();
    // A leader that was one until a moment ago may not have the last. What is lost for good is not waited for again.
    while (this.index.settledCount < count && performance.now() < giveUpAtMs) {
      await this.#connection.pause(againMs);
      await this.sync();
    }
  }

  /** Waits until the index holds all that is stored. */
  async sync(): Promise<void> {
    await this.#tail.synced(ownMs);
  }

  /**
   * Waits until outcomes can be read in the order of the stream up to the newest that is known. What this process
   * stored itself is known before others' outcomes with lower sequences have come round; a reader that was given
   * it at once would miss those.
   */
  async ordered(): Promise<void> {
    await this.#tail.reached(this.index.newest, ownMs);
  }

  /** False while what others settle is not heard of. */
  get isLive(): boolean {
    return this.#tail.isOpen;
  }

  /** Outcomes up to this message are known without a gap. */
  get position(): number {
    return this.#tail.position;
  }

  /** Reads everything anew, into a stream that may have another beginning. */
  async reload(): Promise<void> {
    const index = new JobIndex();
    const tail = this.#follow(index);
    await tail.caughtUp;
    this.#whole = undefined;
    this.#tail.close();
    if (this.#closed) return tail.close();
    this.index = index;
    this.#tail = tail;
    this.#onChange();
  }

  close(): void {
    this.#closed = true;
    this.#tail.close();
  }

  /** Throws `run.mismatch` for inputs that share an index with others; true for a chunk that is stored. */
  isStored(chunk: NewChunk): boolean {
    const stored = this.index.inputs.overlapping(chunk);
    if (!stored) return false;
    if (stored.lo === chunk.lo && stored.count === chunk.count) return true;
    throw this.mismatch(chunk, stored);
  }

  mismatch(chunk: Range, stored: Range): FarcallError {
    const name = ({ lo, count }: Range): string => `${count} inputs from ${lo}`;
    return new FarcallError(
      "run.mismatch",
      `The run ${this.id} was sent ${name(chunk)}, but it has ${name(stored)} already.`,
      { hint: "A run keeps the inputs it was begun with: start another run for other inputs." },
    );
  }

  #follow(index: JobIndex): Tail {
    return new Tail(
      this.#connection,
      this.#pulls,
      {
        stream: streams.outcomes,
        filters: [subjects.outcomes(this.key), subjects.acceptances(this.key)],
        headersOnly: true,
      },
      (message) => {
        if (enter(index, message) && index === this.index) this.#onChange();
      },
      this.#onBroken,
    );
  }
}

/** Inputs that were accepted, as the header of a marker has them. */
export const acceptedHeader = "Inputs";

export function writeAccepted(chunks: readonly Range[]): string {
  return chunks.map(({ lo, count }) => `${lo.toString(36)}.${count.toString(36)}`).join(",");
}

function enter(index: JobIndex, { subject, sequence, header }: TailMessage): boolean {
  const token = subject.slice(subject.lastIndexOf(".") + 1);
  if (subject.startsWith("r.")) {
    const settled = readSettled(token, header);
    return settled !== undefined && index.addSettled(sequence, settled);
  }
  for (const pair of header?.get(acceptedHeader).split(",") ?? []) {
    const [lo, count] = pair.split(".").map((digits) => Number.parseInt(digits, 36));
    if (Number.isSafeInteger(lo) && count! > 0) index.addInput({ lo: lo!, count: count! });
  }
  return true;
}
