import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Timeline } from "../protocol/messages/runs.ts";
import type { RunId } from "../spec/names.ts";
import { waitWithin } from "../spec/waitWithin.ts";
import { type Sample, TimelineRecorder } from "./timeline.ts";

/** The timelines of the node's maps: those of running maps are sampled, and kept beside the record of runs. */

const schema = "CREATE TABLE IF NOT EXISTS timeline (id TEXT PRIMARY KEY, timeline TEXT NOT NULL) WITHOUT ROWID";
/** What an agent that dies may lose. */
const writeEveryMs = 5_000;
/** Of an agent that ends. */
const lastLookMs = 1_000;

interface Recording {
  recorder: TimelineRecorder;
  look: () => Promise<Sample>;
  timer: NodeJS.Timeout | undefined;
  writtenAtMs: number;
  ended: boolean;
}

export class Timelines {
  readonly #recordings = new Map<RunId, Recording>();
  readonly #upsert: StatementSync;
  readonly #byId: StatementSync;

  constructor(database: DatabaseSync) {
    database.exec(schema);
    this.#upsert = database.prepare("INSERT OR REPLACE INTO timeline (id, timeline) VALUES (?, ?)");
    this.#byId = database.prepare("SELECT timeline FROM timeline WHERE id = ?");
  }

  /** Samples a map from now on, until `end`; goes on with the timeline that an earlier agent left of it. */
  begin(run: RunId, look: () => Promise<Sample>): void {
    const nowMs = Date.now();
    const recorder = new TimelineRecorder(nowMs, this.#stored(run));
    const recording: Recording = { recorder, look, timer: undefined, writtenAtMs: nowMs, ended: false };
    this.#recordings.set(run, recording);
    this.#schedule(run, recording);
  }

  async end(run: RunId): Promise<void> {
    const recording = this.#recordings.get(run);
    if (!recording || recording.ended) return;
    recording.ended = true;
    clearTimeout(recording.timer);
    try {
      recording.recorder.finish(Date.now(), await recording.look());
    } finally {
      this.#write(run, recording);
      this.#recordings.delete(run);
    }
  }

  get(run: RunId): Timeline | undefined {
    return this.#recordings.get(run)?.recorder.timeline ?? this.#stored(run);
  }

  async close(): Promise<void> {
    await waitWithin(lastLookMs, Promise.allSettled([...this.#recordings.keys()].map((run) => this.end(run))));
    // A queue that is not reached says nothing any more.
    for (const [run, recording] of this.#recordings) this.#write(run, recording);
  }

  #stored(run: RunId): Timeline | undefined {
    const row = this.#byId.get(run);
    return row && (JSON.parse(row["timeline"] as string) as Timeline);
  }

  #schedule(run: RunId, recording: Recording): void {
    recording.timer = setTimeout(() => void this.#tick(run, recording), recording.recorder.msLeft(Date.now()) + 1);
    recording.timer.unref();
  }

  async #tick(run: RunId, recording: Recording): Promise<void> {
    try {
      const sample = await recording.look();
      if (recording.ended) return;
      const nowMs = Date.now();
      recording.recorder.sample(nowMs, sample);
      if (nowMs - recording.writtenAtMs >= writeEveryMs) this.#write(run, recording);
    } catch {
      // The queue cannot say now; the next sample has what this one lacks.
    }
    if (!recording.ended) this.#schedule(run, recording);
  }

  #write(run: RunId, recording: Recording): void {
    recording.writtenAtMs = Date.now();
    try {
      this.#upsert.run(run, JSON.stringify(recording.recorder.timeline));
    } catch {
      // A full disk loses a picture, never a result.
    }
  }
}
