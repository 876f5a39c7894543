/** What JSON can say, so that reading it gives the same value again. */

/** The first place in a value that JSON cannot say, and what is there. */
export interface Unsayable {
  /** As one would write it behind the value's name: `.rows[3].when`; empty for the value itself. */
  path: string;
  what: string;
}

const maxDepth = 1_000;

/** Undefined when JSON brings `value` back as it is. Objects that appear twice are fine: they come back as equals. */
export function unsayableInJson(value: unknown): Unsayable | undefined {
  return look(value, "", [], new Set());
}

function look(value: unknown, path: string, above: object[], fine: Set<object>): Unsayable | undefined {
  const what = primitiveFault(value);
  if (what !== undefined) return { path, what };
  if (typeof value !== "object" || value === null || fine.has(value)) return undefined;
  if (above.includes(value)) return { path, what: "an object that holds it" };
  if (above.length >= maxDepth) return { path, what: "nested too deeply" };
  const kind = objectFault(value);
  if (kind !== undefined) return { path, what: kind };
  above.push(value);
  // Array.from also visits holes, which JSON would fill with null.
  const keys = Array.isArray(value) ? Array.from(value, (_item, i) => i) : Object.keys(value);
  for (const key of keys) {
    const found = look((value as Record<string | number, unknown>)[key], `${path}${step(key)}`, above, fine);
    if (found) return found;
  }
  above.pop();
  fine.add(value);
  return undefined;
}

function primitiveFault(value: unknown): string | undefined {
  if (typeof value === "number") return Number.isFinite(value) && !Object.is(value, -0) ? undefined : numberName(value);
  if (value === undefined) return "undefined";
  if (typeof value === "bigint") return "a bigint";
  if (typeof value === "symbol" || typeof value === "function") return `a ${typeof value}`;
  return undefined;
}

function numberName(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

function objectFault(value: object): string | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (Array.isArray(value) ? prototype !== Array.prototype : prototype !== Object.prototype && prototype !== null) {
    const name: unknown = (prototype as { constructor?: { name?: unknown } } | null)?.constructor?.name;
    return typeof name === "string" && name !== "" ? `an instance of ${name}` : "an object with a prototype of its own";
  }
  return typeof (value as { toJSON?: unknown }).toJSON === "function" ? "an object with toJSON" : undefined;
}

function step(key: string | number): string {
  if (typeof key === "number") return `[${key}]`;
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}
