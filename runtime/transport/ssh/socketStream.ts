import { Duplex } from "node:stream";
import type { ClientChannel } from "ssh2";

/**
 * A channel to a socket as a stream that behaves as a socket does: it ends when the other end does, is closed once it
 * is destroyed, and fails when the connection below it is lost. ssh2's own channels do none of these by themselves.
 */
export class SocketStream extends Duplex {
  readonly #channel: ClientChannel;
  readonly #hold: () => () => void;
  /** Lets the process end; undefined when it may. */
  #release: (() => void) | undefined;
  /** The write that the channel has not taken yet. */
  #writing: ((error?: Error | null) => void) | undefined;

  /**
   * `gone` says whether the connection is, with the reason unless it was closed here; `hold` keeps the process alive until its result is called. To be
   * made in the moment in which the channel is opened.
   */
  constructor(channel: ClientChannel, gone: () => { reason: Error | undefined } | undefined, hold: () => () => void) {
    super({ allowHalfOpen: false });
    this.#channel = channel;
    this.#hold = hold;
    this.ref();
    const end = () => {
      const why = gone();
      if (why) this.destroy(why.reason);
      else if (!this.readableEnded && !this.destroyed) this.push(null);
    };
    channel.on("data", (data: Buffer) => {
      // What comes after the end is thrown away, or the channel would not close.
      if (!this.destroyed && !this.push(data)) channel.pause();
    });
    channel.on("end", end);
    channel.on("close", () => {
      end();
      this.#written(gone()?.reason ?? Object.assign(new Error("The other end closed the stream."), { code: "EPIPE" }));
    });
    channel.on("error", (error: Error) => this.destroy(error));
  }

  ref(): void {
    this.#release ??= this.destroyed ? undefined : this.#hold();
  }

  unref(): void {
    this.#release?.();
    this.#release = undefined;
  }

  override _read(): void {
    this.#channel.resume();
  }

  override _write(data: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#writing = done;
    this.#channel.write(data, (error) => this.#written(error));
  }

  /** What was written in one go is one packet: each is encrypted, sent and handed on for itself. */
  override _writev(parts: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this._write(Buffer.concat(parts.map(({ chunk }) => chunk)), "buffer" as BufferEncoding, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#channel.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#channel.destroy();
    // Nobody reads what still comes, and the channel is there until somebody has.
    this.#channel.resume();
    this.unref();
    done(error);
  }

  #written(error?: Error | null): void {
    const done = this.#writing;
    this.#writing = undefined;
    done?.(error);
  }
}
