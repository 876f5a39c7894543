/**
 * The walk that decides whether a value may travel as plain JSON.
 *
 * It stands on the hot path of maps of millions of inputs, so it allocates nothing for a flat value, and one
 * Set once containers are nested. The Set is what keeps shared references: JSON would write such an object
 * twice, and take exponential time over a chain of them, so a value that holds one is refused here and sent
 * in the richer format. Cycles are refused by the same test, or by the depth limit when they lead to the root.
 */

import { maxValues } from "./wireLimits.ts";

/** Levels of arrays and objects that the JSON format carries; what is deeper takes the rich format. */
export const maxJsonDepth = 200;

/**
 * True when JSON would bring `value` back exactly as it is: no undefined, holes, -0, NaN or Infinity, nothing
 * but arrays and objects of the standard prototype, no `toJSON`, no own `__proto__`, no shared references.
 * Symbol keys and other properties of arrays are not looked at, as JSON ignores them. May throw what a getter
 * or a proxy throws.
 */
export function isPlainJson(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return isPlainContainer(value, 1, undefined);
  return isPlainPrimitive(value);
}

function isPlainPrimitive(value: unknown): boolean {
  if (typeof value === "string" || typeof value === "boolean" || value === null) return true;
  // The subtraction tells finite numbers, the division tells -0.
  return typeof value === "number" && value - value === 0 && (value !== 0 || 1 / value > 0);
}

function isPlainContainer(value: object, depth: number, seenAbove: Set<object> | undefined): boolean {
  if (depth > maxJsonDepth || "toJSON" in value) return false;
  let seen = seenAbove;
  if (Array.isArray(value)) {
    if (Object.getPrototypeOf(value) !== Array.prototype || value.length > maxValues) return false;
    for (let i = 0; i < value.length; i++) {
      const item: unknown = value[i];
      if (typeof item === "object" && item !== null) {
        seen ??= new Set();
        if (!isPlainChild(item, depth + 1, seen)) return false;
      } else if (!isPlainPrimitive(item)) return false;
    }
    return true;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  for (const key in value) {
    const item: unknown = (value as Record<string, unknown>)[key];
    if (key === "__proto__") return false;
    if (typeof item === "object" && item !== null) {
      seen ??= new Set();
      if (!isPlainChild(item, depth + 1, seen)) return false;
    } else if (!isPlainPrimitive(item)) return false;
  }
  return true;
}

function isPlainChild(item: object, depth: number, seen: Set<object>): boolean {
  const before = seen.size;
  seen.add(item);
  return seen.size > before && isPlainContainer(item, depth, seen);
}
