/**
 * Keys that fall due at some time, behind one timer. Times are those of `performance.now()`, which a change of
 * the wall clock does not move.
 *
 * A binary heap holds the times. A key that is set to a later time keeps its place in the heap and is moved
 * when it comes to the top, so that keeping a lease alive costs nothing but a map entry; a key that is deleted
 * leaves its entry behind, until such entries are the most part of the heap.
 */
interface Entry {
  key: string;
  atMs: number;
}

interface Deadline {
  dueMs: number;
  /** The time of the key's entry in the heap; any other entry of the key is a leftover. */
  entryMs: number;
}

const longestTimerMs = 2 ** 31 - 1;
const leftoversKept = 1000;

export class Deadlines {
  readonly #due: (keys: string[]) => void;
  readonly #deadlines = new Map<string, Deadline>();
  #heap: Entry[] = [];
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Infinity;

  /** `due` gets all keys whose time has come; they are not set any more by then. */
  constructor(due: (keys: string[]) => void) {
    this.#due = due;
  }

  has(key: string): boolean {
    return this.#deadlines.has(key);
  }

  /** The key falls due `inMs` milliseconds from now, whatever it was set to before. */
  set(key: string, inMs: number): void {
    const dueMs = performance.now() + inMs;
    const before = this.#deadlines.get(key);
    if (before !== undefined && dueMs >= before.entryMs) {
      before.dueMs = dueMs;
      return;
    }
    this.#deadlines.set(key, { dueMs, entryMs: dueMs });
    this.#push({ key, atMs: dueMs });
    if (this.#heap.length > 2 * this.#deadlines.size + leftoversKept) this.#rebuild();
    this.#arm();
  }

  delete(key: string): void {
    this.#deadlines.delete(key);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timerAtMs = Infinity;
    this.#deadlines.clear();
    this.#heap = [];
  }

  #arm(): void {
    const nextMs = this.#heap[0]?.atMs ?? Infinity;
    if (nextMs >= this.#timerAtMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = nextMs;
    const inMs = Math.min(Math.max(0, nextMs - performance.now()), longestTimerMs);
    this.#timer = setTimeout(() => this.#fire(), Math.ceil(inMs)).unref();
  }

  #fire(): void {
    this.#timerAtMs = Infinity;
    const nowMs = performance.now();
    const keys: string[] = [];
    for (let top = this.#heap[0]; top !== undefined && top.atMs <= nowMs; top = this.#heap[0]) {
      this.#pop();
      const deadline = this.#deadlines.get(top.key);
      if (deadline === undefined || deadline.entryMs !== top.atMs) continue;
      if (deadline.dueMs > nowMs) {
        deadline.entryMs = deadline.dueMs;
        this.#push({ key: top.key, atMs: deadline.dueMs });
      } else {
        this.#deadlines.delete(top.key);
        keys.push(top.key);
      }
    }
    this.#arm();
    if (keys.length > 0) this.#due(keys);
  }

  /** A sorted list is a heap. */
  #rebuild(): void {
    this.#heap = Array.from(this.#deadlines, ([key, { entryMs }]) => ({ key, atMs: entryMs }));
    this.#heap.sort((a, b) => a.atMs - b.atMs);
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.atMs <= entry.atMs) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.atMs < heap[child]!.atMs) child++;
      if (heap[child]!.atMs >= last.atMs) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}
