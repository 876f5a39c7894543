import { randomBytes } from "node:crypto";
import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import { FarcallError } from "../spec/errors.ts";
import { highWaterBytes, maxFrameBytes, type Transport, type TransportHandlers } from "./transport.ts";

/**
 * Frames between two nodes that both reach a NATS broker and need not reach each other.
 *
 * Each side listens on subjects of its own, `f.<node>.>`. A message is a header of one byte for its kind and four for
 * its number, and then bytes. The broker keeps order and may lose messages when a connection to it breaks: a number
 * that is missing ends the transport, so a frame never arrives twice, in part, or out of turn. The broker does not
 * hold back whoever sends too fast either, so the receiver says how far it has read.
 */
const kinds = { open: 0, part: 1, last: 2, read: 3, close: 4 } as const;
type Kind = (typeof kinds)[keyof typeof kinds];

const headerBytes = 5;
/** Well below the 1 MiB that a broker takes by default. */
const partBytes = 512 * 1024;
/** So much may be on its way to a reader that has said nothing of it. */
const windowBytes = 8 * 1024 * 1024;
const readEveryBytes = 1024 * 1024;
const openTimeoutMs = 10_000;

/** Where a node listens; `word` names a connection, or is `open`. */
function subjectOf(node: string, word: string): string {
  return `f.${node}.${word}`;
}

/** Takes connections from other nodes until the result is disposed. */
export function listenOnBroker(nats: NatsConnection, node: string, take: (transport: Transport) => void): Disposable {
  const subscription = nats.subscribe(subjectOf(node, "open"), {
    callback: (error, message) => {
      const { reply } = message;
      if (error || reply === undefined || !/^f\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(reply)) return;
      const transport = new BrokerTransport(nats, subjectOf(node, newWord()));
      transport.connectTo(reply);
      transport.say(kinds.open, Buffer.from(transport.subject));
      take(transport);
    },
  });
  return { [Symbol.dispose]: () => subscription.unsubscribe() };
}

/** Connects to another node. Rejects with `node.unreachable` when it does not answer, or the signal's reason. */
export async function dialOverBroker(
  nats: NatsConnection,
  self: string,
  node: string,
  { signal, timeoutMs = openTimeoutMs }: { signal?: AbortSignal | undefined; timeoutMs?: number } = {},
): Promise<Transport> {
  signal?.throwIfAborted();
  const transport = new BrokerTransport(nats, subjectOf(self, newWord()));
  const answered = Promise.withResolvers<void>();
  const unanswered = () =>
    answered.reject(new FarcallError("node.unreachable", `The node ${node} does not answer.`, { retryable: true }));
  const timer = setTimeout(unanswered, timeoutMs);
  const abort = () => answered.reject(signal?.reason as Error);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    transport.whenOpened(answered.resolve);
    nats.publish(subjectOf(node, "open"), new Uint8Array(), { reply: transport.subject });
    await answered.promise;
    return transport;
  } catch (error) {
    transport.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

function newWord(): string {
  return randomBytes(9).toString("base64url");
}

class BrokerTransport implements Transport {
  /** Where this side listens. */
  readonly subject: string;
  readonly #nats: NatsConnection;
  readonly #subscription: Subscription;
  #peer: string | undefined;
  #onOpened: (() => void) | undefined;
  #handlers: TransportHandlers | undefined;
  #early: Uint8Array[] = [];
  #parts: Buffer[] = [];
  #partsBytes = 0;
  #sent = 0;
  #received = 0;
  /** Frames that wait until the other side has read more. */
  readonly #waiting: { kind: Kind; bytes: Uint8Array }[] = [];
  #waitingBytes = 0;
  #sentBytes = 0;
  #readBytes = 0;
  #takenBytes = 0;
  #saidBytes = 0;
  #drains: (() => void)[] = [];
  #closing = false;
  #cause: Error | undefined;
  #closed = false;

  constructor(nats: NatsConnection, subject: string) {
    this.#nats = nats;
    this.subject = subject;
    this.#subscription = nats.subscribe(subject, { callback: (error, message) => this.#take(error, message) });
    void nats.closed().then(() => this.#end(new Error("the connection to the broker was closed")));
  }

  connectTo(peer: string): void {
    this.#peer = peer;
  }

  whenOpened(act: () => void): void {
    this.#onOpened = act;
  }

  start(handlers: TransportHandlers): void {
    this.#handlers = handlers;
    const early = this.#early;
    this.#early = [];
    for (const frame of early) this.#give(frame);
    if (this.#closed) queueMicrotask(() => handlers.onClose(this.#cause));
  }

  send(frame: Uint8Array): void {
    if (this.#closed || this.#closing) return;
    let at = 0;
    do {
      const bytes = frame.subarray(at, at + partBytes);
      at += partBytes;
      this.#push(at >= frame.byteLength ? kinds.last : kinds.part, bytes);
    } while (at < frame.byteLength);
  }

  get bufferedBytes(): number {
    return this.#waitingBytes + this.#sentBytes - this.#readBytes;
  }

  async drained(): Promise<void> {
    while (!this.#closed && this.bufferedBytes > highWaterBytes)
      await new Promise<void>((resolve) => this.#drains.push(resolve));
  }

  close(): void {
    if (this.#closed || this.#closing) return;
    this.#closing = true;
    this.#push(kinds.close, new Uint8Array());
  }

  destroy(): void {
    if (this.#closed) return;
    if (this.#peer !== undefined) this.say(kinds.close, new Uint8Array());
    this.#end(undefined);
  }

  keepProcessAlive(): void {
    // That is the broker connection's, which others use as well.
  }

  /** Sends past what waits. */
  say(kind: Kind, bytes: Uint8Array): void {
    if (this.#peer === undefined || this.#nats.isClosed()) return;
    const message = Buffer.allocUnsafe(headerBytes + bytes.byteLength);
    message[0] = kind;
    message.writeUInt32LE(kind === kinds.read ? 0 : this.#sent++ % 2 ** 32, 1);
    message.set(bytes, headerBytes);
    this.#nats.publish(this.#peer, message);
  }

  #push(kind: Kind, bytes: Uint8Array): void {
    if (this.#waiting.length === 0 && this.#sentBytes - this.#readBytes < windowBytes) this.#emit(kind, bytes);
    else {
      // Whoever sent it may use its memory again.
      this.#waiting.push({ kind, bytes: Buffer.from(bytes) });
      this.#waitingBytes += bytes.byteLength;
    }
  }

  #emit(kind: Kind, bytes: Uint8Array): void {
    this.#sentBytes += bytes.byteLength;
    this.say(kind, bytes);
    if (kind === kinds.close) this.#end(undefined);
  }

  #take(error: Error | null, message: Msg): void {
    if (this.#closed) return;
    if (error) return this.#end(error);
    const data = Buffer.from(message.data.buffer, message.data.byteOffset, message.data.byteLength);
    if (data.byteLength < headerBytes) return this.#end(new Error("a message is too short"));
    const kind = data[0] as Kind;
    const bytes = data.subarray(headerBytes);
    if (kind === kinds.read) return this.#peerRead(bytes);
    if (data.readUInt32LE(1) !== this.#received++ % 2 ** 32)
      return this.#fail(new Error("messages were lost on the way"));
    switch (kind) {
      case kinds.open:
        this.#peer = bytes.toString("latin1");
        this.#onOpened?.();
        break;
      case kinds.part:
      case kinds.last:
        this.#gather(kind, bytes);
        break;
      case kinds.close:
        this.#end(undefined);
        break;
      default:
        this.#fail(new Error("a message is of no known kind"));
    }
  }

  #gather(kind: Kind, bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#partsBytes += bytes.byteLength;
    if (this.#partsBytes > maxFrameBytes)
      return this.#fail(new Error(`a frame is over the limit of ${maxFrameBytes} bytes`));
    // A frame larger than the window must be able to arrive.
    if (kind === kinds.part) return this.#sayRead(bytes.byteLength);
    const frame = this.#parts.length === 1 ? bytes : Buffer.concat(this.#parts, this.#partsBytes);
    this.#parts = [];
    this.#partsBytes = 0;
    if (this.#handlers) this.#give(frame);
    else this.#early.push(frame);
    return this.#sayRead(bytes.byteLength);
  }

  #give(frame: Uint8Array): void {
    this.#handlers?.onFrame(frame);
  }

  #sayRead(bytes: number): void {
    this.#takenBytes += bytes;
    if (this.#takenBytes - this.#saidBytes < readEveryBytes) return;
    this.#saidBytes = this.#takenBytes;
    const said = Buffer.allocUnsafe(8);
    said.writeDoubleLE(this.#takenBytes);
    this.say(kinds.read, said);
  }

  #peerRead(bytes: Buffer): void {
    if (bytes.byteLength !== 8) return;
    this.#readBytes = Math.min(this.#sentBytes, Math.max(this.#readBytes, bytes.readDoubleLE()));
    while (this.#waiting.length > 0 && this.#sentBytes - this.#readBytes < windowBytes) {
      const next = this.#waiting.shift()!;
      this.#waitingBytes -= next.bytes.byteLength;
      this.#emit(next.kind, next.bytes);
    }
    for (const drained of this.#drains.splice(0)) drained();
  }

  #fail(cause: Error): void {
    this.say(kinds.close, new Uint8Array());
    this.#end(cause);
  }

  #end(cause: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cause = cause;
    this.#waiting.length = 0;
    this.#subscription.unsubscribe();
    for (const drained of this.#drains.splice(0)) drained();
    this.#handlers?.onClose(cause);
  }
}
