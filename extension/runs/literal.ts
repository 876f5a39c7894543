import { uneval, type UnevalReplacer } from "devalue";
import { isPlainJson } from "../../runtime/protocol/plainJson.ts";
import { FarcallError, messageOf } from "../../runtime/spec/errors.ts";
import { unsayableInJson } from "../../runtime/spec/jsonValue.ts";

/** Values as TypeScript. */

const widthChars = 100;

/**
 * An expression that makes the value again, in several lines where it is long; lines behind the first are indented by
 * `indent`. Throws `value.unserializable` for what no expression can make, such as an instance of the user's classes.
 */
export function literal(value: unknown, indent = ""): string {
  if (isPlainJson(value)) return plainLiteral(value, indent);
  try {
    return uneval(value, replacer);
  } catch (cause) {
    // Objects with a key `__proto__`, which a literal would take for the prototype.
    if (unsayableInJson(value) === undefined) return `JSON.parse(${JSON.stringify(JSON.stringify(value))})`;
    throw new FarcallError("value.unserializable", `A value cannot be written as TypeScript: ${messageOf(cause)}.`, {
      cause,
    });
  }
}

/** `.name`, or `["a name"]` when it is no identifier. */
export function member(name: string): string {
  return isIdentifier(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
}

/** Whether a name may stand behind a dot and as a key, reserved words included. */
export function isIdentifier(name: string): boolean {
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name);
}

function plainLiteral(value: unknown, indent: string): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  const parts = Array.isArray(value)
    ? value.map((item) => plainLiteral(item, inner))
    : Object.entries(value).map(([key, item]) => `${propertyKey(key)}: ${plainLiteral(item, inner)}`);
  return group(Array.isArray(value) ? "[]" : "{}", parts, indent);
}

/** Parts between brackets, on one line if they fit. */
export function group(brackets: "[]" | "{}" | "()", parts: readonly string[], indent: string): string {
  const [open = "", close = ""] = brackets;
  if (parts.length === 0) return brackets;
  const space = brackets === "{}" ? " " : "";
  const line = `${open}${space}${parts.join(", ")}${space}${close}`;
  if (line.length + indent.length <= widthChars && !line.includes("\n")) return line;
  return `${open}\n${parts.map((part) => `${indent}  ${part},\n`).join("")}${indent}${close}`;
}

export function propertyKey(key: string): string {
  return isIdentifier(key) ? key : JSON.stringify(key);
}

type Tag = Parameters<UnevalReplacer>[1];

/** The classes as text of the program, which is not to be had from a string. */
const errorClasses = {
  EvalError: (js: Tag) => js`EvalError`,
  RangeError: (js: Tag) => js`RangeError`,
  ReferenceError: (js: Tag) => js`ReferenceError`,
  SyntaxError: (js: Tag) => js`SyntaxError`,
  TypeError: (js: Tag) => js`TypeError`,
  URIError: (js: Tag) => js`URIError`,
  Error: (js: Tag) => js`Error`,
};

const replacer: UnevalReplacer = (value, js) => {
  if (Buffer.isBuffer(value)) return js`Buffer.from(${value.toString("base64")}, "base64")`;
  if (!(value instanceof Error)) return undefined;
  const { name, message, stack: _stack, cause, ...own } = value;
  const errors: unknown = value instanceof AggregateError ? value.errors : undefined;
  const fields = { ...own, ...(name === value.constructor.name ? {} : { name }) };
  const options = cause === undefined ? {} : { cause };
  if (errors !== undefined) return js`Object.assign(new AggregateError(${errors}, ${message}, ${options}), ${fields})`;
  const isKnown = Object.hasOwn(errorClasses, value.constructor.name);
  const constructor = errorClasses[isKnown ? (value.constructor.name as keyof typeof errorClasses) : "Error"](js);
  return js`Object.assign(new ${constructor}(${message}, ${options}), ${fields})`;
};
