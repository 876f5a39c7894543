import { open } from "node:fs/promises";
import { join } from "node:path";

/**
 * Where the newest lines of a run's log begin. Its files are read through once, and of each line no more than its
 * time and place is kept, so a follower who wants the end is not sent what lies before it.
 */
export interface TailLimit {
  lines: number;
  /** Of the files; by default as many as the lines have. */
  bytes?: number | undefined;
}

export interface Tail {
  /** Where to begin in each file. */
  offsets: Map<string, number>;
  /** Lines that lie before. */
  skipped: number;
}

interface Entry {
  name: string;
  at: number;
  sizeBytes: number;
  timeMs: number;
}

const readBytes = 256 * 1024;
/** A line begins with its stream and time. */
const headBytes = 48;
const headPattern = /^\["\w+",(\d+)/;

export async function findTail(folder: string, names: readonly string[], limit: TailLimit): Promise<Tail> {
  const offsets = new Map<string, number>();
  const newest: Entry[] = [];
  let total = 0;
  for (const name of names) {
    const file = await newestLines(folder, name, limit.lines);
    total += file.total;
    offsets.set(name, file.end);
    for (const entry of file.entries) newest.push(entry);
  }
  // As readers put lines in order, so that the tail is the end of what they give: those of the same time as they stand.
  newest.sort((a, b) => a.timeMs - b.timeMs);
  let taken = 0;
  let bytes = 0;
  for (const { name, at, sizeBytes } of newest.toReversed()) {
    bytes += sizeBytes;
    if (taken >= limit.lines || (limit.bytes !== undefined && bytes > limit.bytes)) break;
    offsets.set(name, at);
    taken++;
  }
  return { offsets, skipped: total - taken };
}

async function newestLines(folder: string, name: string, lines: number) {
  let entries: Entry[] = [];
  let total = 0;
  let end = 0;
  const file = await open(join(folder, name), "r").catch(() => undefined);
  if (!file) return { entries, total, end };
  try {
    const buffer = Buffer.allocUnsafe(readBytes);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, readBytes, end);
      let from = 0;
      for (let to = buffer.indexOf(10); to !== -1 && to < bytesRead; to = buffer.indexOf(10, from)) {
        const [, time = "0"] = headPattern.exec(buffer.toString("latin1", from, Math.min(to, from + headBytes))) ?? [];
        // A clock that was set back must not make an older line of a file count as newer than a later one.
        const timeMs = Math.max(Number(time), entries.at(-1)?.timeMs ?? 0);
        entries.push({ name, at: end + from, sizeBytes: to + 1 - from, timeMs });
        total++;
        from = to + 1;
      }
      if (entries.length > 2 * lines) entries = entries.slice(entries.length - lines);
      // A piece without an end that fills the buffer is nothing a worker writes; readers pass over it too.
      end += from === 0 && bytesRead === readBytes ? bytesRead : from;
      if (bytesRead < readBytes) return { entries: entries.slice(Math.max(0, entries.length - lines)), total, end };
    }
  } finally {
    await file.close();
  }
}
