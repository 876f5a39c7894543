import type { Duplex } from "node:stream";
import { highWaterBytes, maxFrameBytes, type Transport, type TransportHandlers } from "./transport.ts";

const lengthBytes = 4;
const joinedBytes = 64 * 1024;

/** Frames on a byte stream, each behind its length as an unsigned 32-bit little-endian number. */
export function streamTransport(stream: Duplex, limitBytes: number = maxFrameBytes): Transport {
  return new StreamTransport(stream, limitBytes);
}

/** Sockets and pipes can be told not to keep the process alive; other streams do not anyway. */
export function setReferenced(stream: unknown, keep: boolean): void {
  const { ref, unref } = stream as { ref?: () => void; unref?: () => void };
  (keep ? ref : unref)?.call(stream);
}

class StreamTransport implements Transport {
  readonly #stream: Duplex;
  readonly #limitBytes: number;
  #handlers: TransportHandlers | undefined;
  #parts: Buffer[] = [];
  #partBytes = 0;
  /** Bytes of the frame being gathered, or undefined while its length is not known. */
  #wanted: number | undefined;
  #cause: Error | undefined;
  #closed = false;

  constructor(stream: Duplex, limitBytes: number) {
    this.#stream = stream;
    this.#limitBytes = limitBytes;
    // From the beginning: a stream may break or close before anybody has called `start`.
    stream.on("error", (cause: Error) => {
      this.#cause ??= cause;
    });
    stream.on("close", () => {
      this.#closed = true;
      this.#handlers?.onClose(this.#cause);
    });
  }

  start(handlers: TransportHandlers): void {
    this.#handlers = handlers;
    if (this.#closed) {
      queueMicrotask(() => handlers.onClose(this.#cause));
      return;
    }
    this.#stream.on("data", (part: Buffer) => this.#take(part));
    this.#stream.on("end", () => this.#stream.destroy());
    this.#stream.resume();
  }

  send(frame: Uint8Array): void {
    if (this.#closed || !this.#stream.writable) return;
    // One write costs half of two, and copying what is small costs nothing beside either.
    if (frame.byteLength <= joinedBytes) {
      const joined = Buffer.allocUnsafe(lengthBytes + frame.byteLength);
      joined.writeUInt32LE(frame.byteLength);
      joined.set(frame, lengthBytes);
      this.#stream.write(joined);
      return;
    }
    const length = Buffer.allocUnsafe(lengthBytes);
    length.writeUInt32LE(frame.byteLength);
    this.#stream.cork();
    this.#stream.write(length);
    this.#stream.write(frame);
    this.#stream.uncork();
  }

  get bufferedBytes(): number {
    return this.#stream.writableLength;
  }

  async drained(): Promise<void> {
    while (!this.#closed && this.#stream.writable && this.bufferedBytes > highWaterBytes) {
      await new Promise<void>((resolve) => {
        const done = () => {
          this.#stream.off("drain", done);
          this.#stream.off("close", done);
          resolve();
        };
        this.#stream.on("drain", done);
        this.#stream.on("close", done);
      });
    }
  }

  close(): void {
    this.#stream.end();
  }

  destroy(): void {
    this.#stream.destroy();
  }

  keepProcessAlive(keep: boolean): void {
    setReferenced(this.#stream, keep);
  }

  #take(part: Buffer): void {
    this.#parts.push(part);
    this.#partBytes += part.byteLength;
    for (;;) {
      if (this.#wanted === undefined) {
        if (this.#partBytes < lengthBytes) return;
        this.#wanted = this.#shift(lengthBytes).readUInt32LE();
        if (this.#wanted > this.#limitBytes) {
          this.#cause = new Error(`a frame of ${this.#wanted} bytes is over the limit of ${this.#limitBytes}`);
          this.#stream.destroy();
          return;
        }
      }
      if (this.#partBytes < this.#wanted) return;
      const frame = this.#shift(this.#wanted);
      this.#wanted = undefined;
      this.#handlers?.onFrame(frame);
    }
  }

  #shift(bytes: number): Buffer {
    const first = this.#parts[0];
    if (first && first.byteLength >= bytes) {
      if (first.byteLength === bytes) this.#parts.shift();
      else this.#parts[0] = first.subarray(bytes);
      this.#partBytes -= bytes;
      return first.subarray(0, bytes);
    }
    const whole = Buffer.concat(this.#parts, this.#partBytes);
    this.#parts = whole.byteLength > bytes ? [whole.subarray(bytes)] : [];
    this.#partBytes -= bytes;
    return whole.subarray(0, bytes);
  }
}
