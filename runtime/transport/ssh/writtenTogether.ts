import type { Duplex } from "node:stream";

/**
 * Has a stream hand on together what is written to it in one turn. ssh2 writes each packet in three parts, which would
 * be as many system calls, segments and wake-ups of the other side.
 */
export function writtenTogether<T extends Duplex>(stream: T): T {
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  let isOpen = false;
  stream.write = (...args: unknown[]): boolean => {
    if (!isOpen) {
      isOpen = true;
      stream.cork();
      process.nextTick(() => {
        isOpen = false;
        stream.uncork();
      });
    }
    return write(...args);
  };
  return stream;
}
