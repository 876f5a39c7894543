/**
 * What is checked on text from the other side before anything is built from it.
 *
 * A parser turns 3 bytes (`[],`) into some 60 bytes of heap and a chain of references into recursion, so a
 * frame within the byte limit could still end the process. The caps on values and depth hold for the encoder
 * too: what one side may send, the other can read.
 */

/** Most values (elements, fields, containers) in one encoded value; larger data belongs in a typed array. */
export const maxValues = 10_000_000;
/** Levels of references a value may have, counting an Error as three. */
export const maxRichDepth = 1000;
/** Binary leaves of at least this many bytes travel raw; below it base64 costs less than a blob of its own. */
export const minBlobBytes = 32 * 1024;
/** Most blobs in one value: 2 GiB of the smallest. The sender leaves further ones in the text. */
export const maxBlobs = 65_536;
/** Most characters of a BigInt: a million digits, which take 0.2 s to read (measured on Node 24). */
export const maxBigIntChars = 1_000_000;
/** Most bytes of an encoded value, unless the caller says otherwise: 256 MiB. */
export const defaultLimitBytes = 256 * 1024 * 1024;

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;

/**
 * Scans JSON text without parsing it. Returns what is wrong, or undefined. It counts only what stands outside
 * strings and does not otherwise check the syntax, which the parser does.
 */
export function checkJsonText(text: Uint8Array, maxDepth: number): string | undefined {
  const end = text.byteLength;
  // Whatever is too deep, with its closing brackets, or too many is longer than this.
  if (end <= 2 * maxDepth && end <= maxValues) return undefined;
  let depth = 0;
  let values = 0;
  for (let at = 0; at < end; at++) {
    const byte = text[at];
    if (byte === quote) {
      at++;
      while (at < end && text[at] !== quote) at += text[at] === backslash ? 2 : 1;
    } else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > maxDepth) return `it is nested more than ${maxDepth} levels deep`;
      values++;
    } else if (byte === 0x5d || byte === 0x7d) depth--;
    else if (byte === comma) values++;
  }
  return values > maxValues ? `it holds more than ${maxValues} values` : undefined;
}

/** Whether any object below `root` has an own key `__proto__`. `root` is what JSON.parse made: a tree. */
export function hasProtoKey(root: unknown): boolean {
  const waiting: unknown[] = [root];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (typeof value !== "object" || value === null) continue;
    if (Object.hasOwn(value, "__proto__")) return true;
    for (const item of Object.values(value)) if (typeof item === "object") waiting.push(item);
  }
  return false;
}

/**
 * Whether following the references of devalue's flat list of entries, in the order in which it revives them,
 * goes more than `maxDepth` entries deep. Iterative, so that no list can exhaust the stack here.
 */
export function referencesTooDeep(entries: readonly unknown[], maxDepth: number): boolean {
  if (entries.length <= maxDepth) return false;
  const seen = new Uint8Array(entries.length);
  seen[0] = 1;
  const lists: (readonly unknown[])[] = [references(entries[0])];
  const positions = [0];
  while (lists.length > 0) {
    const level = lists.length - 1;
    const list = lists[level]!;
    const at = positions[level]!;
    if (at === list.length) {
      lists.pop();
      positions.pop();
      continue;
    }
    positions[level] = at + 1;
    const index = list[at];
    if (typeof index !== "number" || seen[index] !== 0) continue;
    seen[index] = 1;
    const entry = entries[index];
    if (typeof entry !== "object" || entry === null) continue;
    if (lists.length === maxDepth) return true;
    lists.push(references(entry));
    positions.push(0);
  }
  return false;
}

/** The indexes an entry refers to, among other things that are no numbers. See the format in devalue's README. */
function references(entry: unknown): readonly unknown[] {
  if (typeof entry !== "object" || entry === null) return [];
  if (!Array.isArray(entry)) return Object.values(entry);
  const [tag] = entry as unknown[];
  if (typeof tag === "string") {
    // Only these list more references than one; a view, for example, goes on with its offset and length.
    return tag === "Map" || tag === "Set" || tag === "null" ? entry : entry.slice(1, 2);
  }
  const sparse = -7;
  return tag === sparse ? entry.filter((_, i) => i >= 3 && i % 2 === 1) : entry;
}
