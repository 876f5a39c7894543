import { previewOf } from "./preview.ts";

/** Results that are objects of the same few properties are shown with a column for each. */

const maxColumns = 12;

/** The columns that fit all of these values; none when they are not alike. */
export function columnsOf(values: readonly unknown[]): string[] {
  const keys = new Set<string>();
  for (const value of values) {
    if (!isRecord(value)) return [];
    for (const key of Object.keys(value)) {
      keys.add(key);
      if (keys.size > maxColumns) return [];
    }
  }
  return [...keys];
}

export function cellsOf(value: unknown, columns: readonly string[]): string[] {
  if (columns.length === 0) return [previewOf(value)];
  const record = isRecord(value) ? value : {};
  return columns.map((key) => (Object.hasOwn(record, key) ? previewOf(record[key]) : ""));
}

/** What a row is sorted by: a number where it is one, and text otherwise. */
export function sortKeyOf(value: unknown, column: string, columns: readonly string[]): number | string {
  const held =
    columns.includes(column) && isRecord(value) ? (Object.hasOwn(value, column) ? value[column] : undefined) : value;
  if (typeof held === "number") return held;
  if (typeof held === "bigint") return Number(held);
  if (typeof held === "boolean") return held ? 1 : 0;
  if (held instanceof Date) return held.getTime();
  return typeof held === "string" ? held.slice(0, 200) : previewOf(held, 200);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
