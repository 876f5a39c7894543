import type { TreeNode } from "../../webview/messages/run.ts";
import { withoutReordering } from "../../webview/reordering.ts";
import { previewOf } from "./preview.ts";

/** A value as a tree that is opened a level at a time, so that neither its size nor cycles matter. */

interface Child {
  key: string;
  value: unknown;
}

const maxTextChars = 10_000;

export function rootOf(value: unknown): TreeNode {
  return nodeOf({ key: "", value });
}

/** Children `first` to `first + count` of the value that `path`, numbers of children, leads to; empty when nothing is there. */
export function childrenOf(root: unknown, path: readonly number[], first: number, count: number): TreeNode[] {
  let value = root;
  for (const step of path) {
    const [child] = children(value, step, 1);
    if (!child) return [];
    value = child.value;
  }
  return children(value, first, count).map(nodeOf);
}

function nodeOf({ key, value }: Child): TreeNode {
  return { key: previewOf(key), kind: kindOf(value), text: textOf(value), children: childCount(value) };
}

function kindOf(value: unknown): TreeNode["kind"] {
  if (value === null) return "null";
  if (value instanceof Date) return "date";
  if (value instanceof Error) return "error";
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return "array";
  switch (typeof value) {
    case "string":
    case "boolean":
    case "undefined":
      return typeof value as "string" | "boolean" | "undefined";
    case "number":
    case "bigint":
      return "number";
    case "object":
      return "object";
    default:
      return "other";
  }
}

function textOf(value: unknown): string {
  if (typeof value === "string")
    return withoutReordering(JSON.stringify(value.length > maxTextChars ? `${value.slice(0, maxTextChars)}…` : value));
  return previewOf(value);
}

function childCount(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  if (Array.isArray(value)) return value.length;
  if (value instanceof Map || value instanceof Set) return value.size;
  if (ArrayBuffer.isView(value)) return value instanceof DataView ? 0 : (value as Uint8Array).length;
  if (value instanceof Date || value instanceof RegExp) return 0;
  if (value instanceof Error) return errorChildren(value).length;
  return Object.keys(value).length;
}

function children(value: unknown, first: number, count: number): Child[] {
  if (typeof value !== "object" || value === null || count <= 0) return [];
  if (Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))) {
    const list = value as ArrayLike<unknown>;
    const found: Child[] = [];
    for (let i = first; i < Math.min(list.length, first + count); i++) found.push({ key: String(i), value: list[i] });
    return found;
  }
  if (value instanceof Map) {
    return slice(value.entries(), first, count).map(([key, held]) => ({
      key: previewOf(key, 80),
      value: held as unknown,
    }));
  }
  if (value instanceof Set)
    return slice(value.values(), first, count).map((held, i) => ({ key: String(first + i), value: held as unknown }));
  if (value instanceof Error) return errorChildren(value).slice(first, first + count);
  return Object.keys(value)
    .slice(first, first + count)
    .map((key) => ({ key, value: (value as Record<string, unknown>)[key] }));
}

function errorChildren(error: Error): Child[] {
  const own = Object.keys(error).map((key) => ({ key, value: (error as unknown as Record<string, unknown>)[key] }));
  return [
    { key: "message", value: error.message },
    ...(error.stack === undefined ? [] : [{ key: "stack", value: error.stack }]),
    ...(error.cause === undefined ? [] : [{ key: "cause", value: error.cause }]),
    ...own.filter(({ key }) => key !== "message" && key !== "stack" && key !== "cause"),
  ];
}

function slice<T>(values: Iterable<T>, first: number, count: number): T[] {
  const found: T[] = [];
  let at = 0;
  for (const value of values) {
    if (at >= first + count) break;
    if (at++ >= first) found.push(value);
  }
  return found;
}
