/** Notices when streams are gone or have begun anew, so that sequences mean something else. */
import type { Connection } from "./connection.ts";
import { ensureStreams, type StreamOptions } from "./streams.ts";

export class Epoch {
  readonly #connection: Connection;
  readonly #options: StreamOptions;
  readonly #reload: () => Promise<void>;
  /** Of what can be read here. */
  current: string;
  #checking: Promise<void> | undefined;
  #reloading = false;

  /** `reload` is to read everything anew. */
  constructor(connection: Connection, options: StreamOptions, epoch: string, reload: () => Promise<void>) {
    this.#connection = connection;
    this.#options = options;
    this.#reload = reload;
    this.current = epoch;
    connection.onReconnect(() => void this.check());
  }

  /** Makes streams that are gone, and has everything read anew if need be, without waiting for that. */
  check(): Promise<void> {
    this.#checking ??= this.#check().finally(() => (this.#checking = undefined));
    return this.#checking;
  }

  async #check(): Promise<void> {
    try {
      const epoch = await ensureStreams(this.#connection, this.#options);
      if (epoch === this.current || this.#reloading) return;
      this.#reloading = true;
      void this.#change(epoch);
    } catch {
      // Whoever needs the streams comes here again.
    }
  }

  async #change(epoch: string): Promise<void> {
    try {
      await this.#reload();
      this.current = epoch;
    } catch {
      // The connection is closed.
    }
    this.#reloading = false;
    // They may have begun anew once more.
    if (!this.#connection.signal.aborted) await this.check();
  }
}
