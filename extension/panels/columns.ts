import { previewOf } from "./preview.ts";

/** Results that are objects of the same few properties are shown with a column for each. */

const maxColumns = 12;
/** A name that is longer is no name, and would not fit a message of the page. */
const maxNameChars = 500;
/** A text is sorted by its beginning. */
export const sortedChars = 200;

/** The columns that fit all of these values; none when they are not alike. */
export function columnsOf(values: readonly unknown[]): string[] {
  const keys = new Set<string>();
  for (const value of values) {
    if (!isRecord(value)) return [];
    for (const key of Object.keys(value)) {
      keys.add(key);
      if (keys.size > maxColumns || key.length > maxNameChars) return [];
    }
  }
  return [...keys];
}

/** One text for each column, or a single one for a value that has none of them. */
export function cellsOf(value: unknown, columns: readonly string[]): string[] {
  if (!isRecord(value) || !columns.some((key) => Object.hasOwn(value, key))) return [previewOf(value)];
  return columns.map((key) => (Object.hasOwn(value, key) ? previewOf(value[key]) : ""));
}

/** What a row is sorted by; undefined where there is nothing to sort by. */
export type SortKey = number | Date | boolean | string | undefined;

/** The key of a value, or with `column` of that property of it. */
export function sortKeyOf(value: unknown, column: string | undefined): SortKey {
  const held =
    column === undefined ? value : isRecord(value) && Object.hasOwn(value, column) ? value[column] : undefined;
  if (held === null || held === undefined) return undefined;
  if (typeof held === "number") return Number.isNaN(held) ? undefined : held;
  if (typeof held === "bigint") return Number(held);
  if (typeof held === "boolean") return held;
  if (held instanceof Date) return Number.isNaN(held.getTime()) ? undefined : held;
  return typeof held === "string" ? beginningOf(held, sortedChars) : previewOf(held, sortedChars);
}

/** A slice of a string keeps all of it in memory; this is a copy. */
export function beginningOf(text: string, chars: number): string {
  return text.length > chars ? Buffer.from(text.slice(0, chars)).toString() : text;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
