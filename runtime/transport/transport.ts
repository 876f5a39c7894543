/**
 * A way to carry frames between two parties: over a unix socket, through an SSH channel, to a child process,
 * or in memory.
 *
 * The contract every transport keeps, and everything above relies on:
 *
 * 1. A frame arrives whole, once, and in the order it was sent, or not at all because the transport closed.
 * 2. Receiving starts with `start`. Frames that came before it are kept; `start` is called once.
 * 3. `onClose` is called exactly once, after the last `onFrame`, whoever closed and whatever broke.
 * 4. `send` never throws and never blocks. After the close it does nothing: the close already tells the story.
 * 5. `bufferedBytes` counts what `send` took and the other side's machine has not; `drained` resolves when it
 *    is small again or the transport closed. Senders of bulk wait for it.
 * 6. A frame over the transport's limit closes it before the frame is held in memory.
 * 7. `close` may be called at any time and more than once. What was sent before it is still delivered where
 *    the other side reads on; `destroy` gives even that up.
 */
export interface Transport {
  start(handlers: TransportHandlers): void;
  send(frame: Uint8Array): void;
  readonly bufferedBytes: number;
  drained(): Promise<void>;
  close(): void;
  destroy(): void;
  /** Whether the open transport alone keeps this process from ending. It does at first. */
  keepProcessAlive(keep: boolean): void;
}

export interface TransportHandlers {
  onFrame(frame: Uint8Array): void;
  /** `cause` is absent when either side closed on purpose. */
  onClose(cause?: Error): void;
}

/** Above this many buffered bytes a sender of bulk should wait for `drained`. */
export const highWaterBytes = 4 * 1024 * 1024;

/**
 * Largest frame, and so the largest value with what surrounds it. Node's longest string is 512 MiB and a
 * frame may be held twice while it is decoded, which keeps the peak under 1 GiB.
 */
export const maxFrameBytes = 272 * 1024 * 1024;
