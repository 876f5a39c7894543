import { escaped, valueText } from "./valueText.ts";

/** Values as one line of text. */

const maxChars = 300;
/** A line holds fewer, and looking for more would take long where a value shares its parts. */
const maxNodes = 500;

export function previewOf(value: unknown, limit: number = maxChars): string {
  if (typeof value === "string") return cut(escaped(value.length > limit ? value.slice(0, limit + 1) : value), limit);
  const limits = { chars: limit, nodes: Math.max(maxNodes, limit), depth: 3, items: 50, indent: 0 };
  return cut(valueText(value, limits).text, limit);
}

export function cut(text: string, limit: number): string {
  return text.length > limit ? `${text.slice(0, limit)}…` : text;
}
