/**
 * Whether a value, written out as a tree, is larger than anything that was sent as one. JSON writes a part as often
 * as it is referred to: forty levels of pairs of the same part are a few hundred bytes on the wire and never end as
 * text. Each part is counted once, so this takes no longer than the value is large. A value that contains itself is
 * too large as well.
 */
export function isBeyondTree(value: unknown, maxNodes: number, maxChars: number): boolean {
  const sizes = new Map<object, Size>();
  const endless: Size = { nodes: Number.POSITIVE_INFINITY, chars: 0 };
  const sizeOf = (value: unknown): Size => {
    if (typeof value === "string") return { nodes: 1, chars: value.length };
    if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return leaf;
    const known = sizes.get(value);
    if (known) return known;
    // What is met again while it is being counted is within itself.
    sizes.set(value, endless);
    const size: Size = { nodes: 1, chars: 0 };
    for (const part of partsOf(value)) {
      const { nodes, chars } = sizeOf(part);
      size.nodes += nodes;
      size.chars += chars;
    }
    sizes.set(value, size);
    return size;
  };
  const { nodes, chars } = sizeOf(value);
  return nodes > maxNodes || chars > maxChars;
}

interface Size {
  nodes: number;
  chars: number;
}
const leaf: Size = { nodes: 1, chars: 0 };

function partsOf(value: object): Iterable<unknown> {
  if (Array.isArray(value) || value instanceof Set) return value as Iterable<unknown>;
  if (value instanceof Map) return [...value].flat();
  return value instanceof Date || value instanceof Error ? [] : Object.values(value);
}
