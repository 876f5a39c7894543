import { inspect } from "node:util";

/** Values as one line of text. Nothing of a value is called: it came from afar. */

const maxChars = 300;

export function previewOf(value: unknown, limit: number = maxChars): string {
  if (typeof value === "string") return cut(oneLine(value.length > limit ? value.slice(0, limit + 1) : value), limit);
  const text = inspect(value, {
    depth: 3,
    breakLength: Number.POSITIVE_INFINITY,
    compact: true,
    maxStringLength: limit,
    maxArrayLength: 50,
    customInspect: false,
    getters: false,
  });
  return cut(oneLine(text), limit);
}

export function cut(text: string, limit: number): string {
  return text.length > limit ? `${text.slice(0, limit)}…` : text;
}

// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** Control characters as their escapes, so that a line is a line and shows what is in it. */
function oneLine(text: string): string {
  return text.replace(controls, (character) => {
    const known: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
    return known[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
